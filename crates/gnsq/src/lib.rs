//! An NSQ client.

#[cfg(feature = "http")]
pub mod http;

pub use gnsq_proto::{ChannelName, NameError, TopicName};
#[cfg(feature = "http")]
pub use http::{HttpError, LookupdClient, NsqdHttpClient};
