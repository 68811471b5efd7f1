//! The HTTP API of an nsqd.

mod admin;
mod config;
mod publish;
mod stats;

use bytes::Bytes;

pub use config::LogLevel;
pub use stats::StatsOptions;

use super::builder::{HttpClient, HttpClientBuilder};
use super::transport::Transport;
use super::{HttpError, NsqdInfo};

/// A client of one nsqd's HTTP API.
///
/// It publishes, administers topics and channels, and reads statistics and settings. For publishing at a high rate
/// the TCP protocol is much faster. Clones share their connections.
///
/// Every method fails with [`HttpError`]; each names the server's own errors that its caller may want to tell apart.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use gnsq::TopicName;
/// use gnsq::http::NsqdHttpClient;
///
/// let nsqd = NsqdHttpClient::new("http://127.0.0.1:4151")?;
/// nsqd.ping().await?;
/// nsqd.publish(&TopicName::new("orders")?, "paid").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct NsqdHttpClient {
    transport: Transport,
}

impl NsqdHttpClient {
    /// A client of the nsqd at `address`, with the defaults of [`HttpClientBuilder`]. Nothing is connected yet.
    ///
    /// `address` is `host`, `host:port`, `[ipv6]:port` (port 4151 when there is none), or a URL beginning with
    /// `http://` or `https://`, which means what it means elsewhere: without a port, 80 or 443. A path is kept as a
    /// prefix of each endpoint's. A query goes with every request, and is shown nowhere: it may be a secret.
    ///
    /// # Errors
    ///
    /// As [`HttpClientBuilder::build`].
    pub fn new(address: impl Into<String>) -> Result<Self, HttpError> {
        Self::builder(address).build()
    }

    /// Sets up a client of the nsqd at `address`, which is as for [`new`](Self::new).
    pub fn builder(address: impl Into<String>) -> HttpClientBuilder<Self> {
        HttpClientBuilder::new(address)
    }

    /// The server's URL, such as `http://127.0.0.1:4151/`.
    pub fn address(&self) -> &str {
        self.transport.base().as_str()
    }

    /// Makes sure that nsqd is there and well.
    ///
    /// # Errors
    ///
    /// [`Status`](HttpError::Status) 500, with what is wrong as its code, while nsqd can't write to its disk.
    pub async fn ping(&self) -> Result<(), HttpError> {
        self.transport.get(&["ping"]).send().await?.ok()
    }

    /// nsqd's version, ports and limits.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn info(&self) -> Result<NsqdInfo, HttpError> {
        self.transport.get(&["info"]).send().await?.json()
    }

    /// The answer of any other endpoint that is read with GET, such as `debug/pprof/cmdline`.
    ///
    /// ```no_run
    /// # async fn example(nsqd: gnsq::http::NsqdHttpClient) -> Result<(), gnsq::http::HttpError> {
    /// let json = nsqd.get("stats", &[("format", "json"), ("topic", "orders")]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`HttpError`]; `NOT_FOUND` for a path that nsqd does not have.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Bytes, HttpError> {
        self.transport.get_path(path, query).await
    }
}

impl HttpClient for NsqdHttpClient {
    const DEFAULT_PORT: u16 = 4151;

    fn over(transport: Transport) -> Self {
        Self { transport }
    }
}
