//! Clients of NSQ's HTTP APIs.
//!
//! [`NsqdHttpClient`] publishes, administers topics and channels and reads statistics. It is cheap to clone, shares
//! its connections between clones, takes no proxy from the environment and follows no redirects. It needs a running
//! tokio runtime.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use gnsq::TopicName;
//! use gnsq::http::NsqdHttpClient;
//!
//! let topic = TopicName::new("orders")?;
//! NsqdHttpClient::new("127.0.0.1:4151")?.publish(&topic, "paid").await?;
//! # Ok(())
//! # }
//! ```

mod address;
mod answer;
mod builder;
mod error;
mod nsqd;
mod transport;
mod types;

pub use builder::HttpClientBuilder;
pub use error::HttpError;
pub use nsqd::{LogLevel, NsqdHttpClient, StatsOptions};
pub use types::{
    ChannelStats, ClientState, ClientStats, Latency, MemoryStats, NsqdInfo, Percentile, PublishCount, Stats, TopicStats,
};
