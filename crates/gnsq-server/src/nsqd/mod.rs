//! An nsqd in memory.

mod alarms;
mod auth;
mod broker;
mod budget;
mod builder;
mod channel;
mod client;
mod connection;
mod consumers;
#[cfg(test)]
mod engine_tests;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod gather;
mod http;
mod in_flight;
mod latency;
mod lookup;
mod message;
mod options;
mod settings;
mod stats;
mod statsd;
mod subscription;
mod topic;

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use broker::Broker;
pub use builder::NsqdBuilder;
pub use options::NsqdOptions;
use stats::StatsFilter;
pub use stats::{
    ChannelStats, ClientState, ClientStats, E2eLatency, E2ePercentile, MemoryStats, PubCount, Stats, TopicStats,
};

use crate::error::StartError;
use crate::listen::BoundAddress;
use crate::log_level::LogLevel;

/// A running nsqd. Dropping it stops it, as [`shutdown`](Self::shutdown) does, without waiting for the end.
///
/// It keeps everything in memory: what it holds is gone when it stops.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gnsq_server::StartError> {
/// let nsqd = gnsq_server::Nsqd::start().await?;
/// println!("{} and {}", nsqd.tcp_address(), nsqd.http_url());
/// assert!(nsqd.stats().topics.is_empty());
/// nsqd.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct Nsqd {
    broker: Arc<Broker>,
    stop: DropGuard,
    tasks: TaskTracker,
}

impl Nsqd {
    /// An nsqd on free ports of 127.0.0.1, until it is told otherwise.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gnsq_server::StartError> {
    /// use std::time::Duration;
    ///
    /// let nsqd = gnsq_server::Nsqd::builder().msg_timeout(Duration::from_secs(1)).max_rdy_count(10_u32).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> NsqdBuilder {
        NsqdBuilder::default()
    }

    /// Starts one with the defaults, on free ports of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// As [`NsqdBuilder::start`].
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    fn new(broker: Arc<Broker>, stop: CancellationToken, tasks: TaskTracker) -> Self {
        Self { broker, stop: stop.drop_guard(), tasks }
    }

    /// Where it takes the TCP protocol: `127.0.0.1:4150`, or the path of a unix socket.
    pub fn tcp_address(&self) -> String {
        self.broker.surroundings().tcp_address.to_string()
    }

    /// Where its HTTP API is: `127.0.0.1:4151`, or the path of a unix socket.
    pub fn http_address(&self) -> String {
        self.broker.surroundings().http_address.to_string()
    }

    /// Its HTTP API as `http://127.0.0.1:4151`.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http_address())
    }

    /// Where its HTTP API is under TLS, if it has a certificate.
    pub fn https_address(&self) -> Option<String> {
        self.broker.surroundings().https_address.as_ref().map(BoundAddress::to_string)
    }

    /// How it is at this moment: what `GET /stats` tells. A publish that was confirmed is in it.
    pub fn stats(&self) -> Stats {
        self.broker.stats(&StatsFilter::default())
    }

    /// The log level that is set over HTTP, and before that, the [option's](NsqdOptions::log_level).
    pub fn log_level(&self) -> watch::Receiver<LogLevel> {
        self.broker.settings().log_level.subscribe()
    }

    /// Stops listening, ends all connections, and waits until the last task has ended.
    pub async fn shutdown(self) {
        drop(self.stop);
        self.tasks.wait().await;
    }
}

impl fmt::Debug for Nsqd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nsqd")
            .field("tcp_address", &self.tcp_address())
            .field("http_address", &self.http_address())
            .finish_non_exhaustive()
    }
}
