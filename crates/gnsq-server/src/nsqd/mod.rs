//! An nsqd in memory.

mod options;
mod stats;

pub use options::NsqdOptions;
pub use stats::{ChannelStats, ClientState, ClientStats, E2eLatency, MemoryStats, PubCount, Stats, TopicStats};

/// How to start an `Nsqd`.
#[derive(Debug, Clone, Default)]
pub struct NsqdBuilder {
    options: NsqdOptions,
}
