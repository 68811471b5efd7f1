//! NSQ's wire protocol and the policies of a client, without sockets, clocks or randomness of their own.

pub mod name;

pub use name::{ChannelName, NameError, TopicName};
