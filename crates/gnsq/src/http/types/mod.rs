//! What the servers tell as JSON.
//!
//! Fields that a server does not send have their default, and fields that are not known here are ignored, so that
//! older and newer servers are understood. A list that a server sends as `null` is empty. Only the lists that an answer
//! of nsqlookupd is asked for have to be there: taking another server's JSON for an empty list would have consumers
//! leave every nsqd.

mod encoding;
mod lookupd;
mod nsqd;
mod stats;

pub(super) use lookupd::{Channels, Nodes, Topics};
pub use lookupd::{Lookup, LookupdInfo, Node, NodeTopic, Producer, Registration};
pub use nsqd::NsqdInfo;
pub use stats::{
    ChannelStats, ClientState, ClientStats, Latency, MemoryStats, Percentile, PublishCount, Stats, TopicStats,
};
