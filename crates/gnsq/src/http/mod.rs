//! Clients of the HTTP APIs of nsqd and nsqlookupd.
//!
//! [`NsqdHttpClient`] publishes, administers topics and channels and reads statistics; [`LookupdClient`] finds out
//! which nsqd has which topic. Both are cheap to clone, share their connections between clones, take no proxy from
//! the environment and follow no redirects. They need a running tokio runtime.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use gnsq::TopicName;
//! use gnsq::http::{LookupdClient, NsqdHttpClient};
//!
//! let topic = TopicName::new("orders")?;
//! NsqdHttpClient::new("127.0.0.1:4151")?.publish(&topic, "paid").await?;
//!
//! for producer in LookupdClient::new("127.0.0.1:4161")?.lookup(&topic).await?.producers {
//!     println!("{:?}", producer.tcp_address());
//! }
//! # Ok(())
//! # }
//! ```

mod address;
mod answer;
mod builder;
mod error;
mod lookupd;
mod nsqd;
mod raw;
mod tls;
mod transport;
mod types;

pub use builder::HttpClientBuilder;
pub use error::HttpError;
pub use lookupd::LookupdClient;
pub use nsqd::{LogLevel, NsqdHttpClient, StatsOptions};
pub use raw::{RawAnswer, RawClient};
pub use types::{
    ChannelStats, ClientState, ClientStats, Latency, Lookup, LookupdInfo, MemoryStats, Node, NodeTopic, NsqdInfo,
    Percentile, Producer, PublishCount, Registration, Stats, TopicStats,
};
