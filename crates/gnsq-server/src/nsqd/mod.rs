//! An nsqd in memory.

mod alarms;
mod auth;
mod broker;
mod budget;
mod channel;
mod client;
mod consumers;
mod in_flight;
mod message;
mod options;
mod subscription;
mod topic;

pub use options::NsqdOptions;

/// How to start an `Nsqd`.
#[derive(Debug, Clone, Default)]
pub struct NsqdBuilder {
    options: NsqdOptions,
}
