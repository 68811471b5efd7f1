//! NSQ's wire protocol and the policies of a client, without sockets, clocks or randomness of their own.

pub mod backoff;
pub mod name;
pub mod rdy;

pub use backoff::{Backoff, BackoffStrategy, BackoffTimer, ExponentialBackoff, Phase};
pub use name::{ChannelName, NameError, TopicName};
pub use rdy::{ConnectionId, Demand, Facts, RdyPlan, RdySettings, ReadyWindow, ShareChange};
