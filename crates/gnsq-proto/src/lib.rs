//! NSQ's wire protocol and the policies of a client, without sockets, clocks or randomness of their own.

pub mod backoff;
pub mod name;

pub use backoff::{Backoff, BackoffStrategy, BackoffTimer, ExponentialBackoff, Phase};
pub use name::{ChannelName, NameError, TopicName};
