//! `gnsq topic`, `channel`, `nodes` and `tombstone`: what a cluster's administrator does.

mod change;
pub(crate) mod channel;
pub(crate) mod nodes;
mod report;
pub(crate) mod tombstone;
pub(crate) mod topic;

pub(crate) use self::channel::ChannelCommand;
pub(crate) use self::nodes::NodesArgs;
pub(crate) use self::tombstone::TombstoneArgs;
pub(crate) use self::topic::TopicCommand;
