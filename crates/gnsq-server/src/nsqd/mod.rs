//! An nsqd in memory.

mod alarms;
mod auth;
mod broker;
mod budget;
mod channel;
mod client;
mod consumers;
#[cfg(test)]
mod engine_tests;
mod gather;
mod http;
mod in_flight;
mod message;
mod options;
mod settings;
mod stats;
mod subscription;
mod topic;

pub use options::NsqdOptions;
pub use stats::{ChannelStats, ClientState, ClientStats, E2eLatency, MemoryStats, PubCount, Stats, TopicStats};

/// How to start an `Nsqd`.
#[derive(Debug, Clone, Default)]
pub struct NsqdBuilder {
    options: NsqdOptions,
}
