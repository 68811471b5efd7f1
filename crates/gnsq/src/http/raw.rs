//! Requests that no other client here has a method for, and their answers as they are.

use bytes::Bytes;
use reqwest::Method;

use super::builder::{HttpClient, HttpClientBuilder};
use super::transport::Transport;
use super::{HttpError, LookupdClient};

/// A client of any HTTP API of NSQ's servers, for what the others have no method for. It is set up as they are, and gives
/// each answer whole, whatever its status.
///
/// ```no_run
/// # async fn example() -> Result<(), gnsq::http::HttpError> {
/// use gnsq::http::RawClient;
///
/// let nsqd = RawClient::builder("127.0.0.1:4151").build()?;
/// let answer = nsqd.send("GET", "/debug/pprof/goroutine", &[("debug", "1")], "").await?;
/// println!("{} {:?}", answer.status, answer.body);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RawClient {
    transport: Transport,
}

/// A server's answer to a request of a [`RawClient`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Content-Type`, if there is one and it is text.
    pub content_type: Option<String>,
    /// All of the body.
    pub body: Bytes,
}

impl RawClient {
    /// Sets up a client of the server at `address`, which is as for [`NsqdHttpClient::new`](super::NsqdHttpClient::new),
    /// with nsqd's port where it has none.
    pub fn builder(address: impl Into<String>) -> HttpClientBuilder<Self> {
        HttpClientBuilder::new(address)
    }

    /// The server's URL, such as `http://127.0.0.1:4151/`.
    pub fn address(&self) -> &str {
        self.transport.base().as_str()
    }

    /// Sends a request and gives the answer. `path` has no query; the query is escaped here.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](HttpError::InvalidOption) for what is no method; otherwise none for an answer, unless it is larger
    /// than allowed ([`ResponseTooLarge`](HttpError::ResponseTooLarge)).
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<RawAnswer, HttpError> {
        let method: Method = method.parse().map_err(|_| HttpError::InvalidOption {
            option: "method",
            reason: "it is no method of HTTP, such as GET".to_owned(),
        })?;
        let answer = self.transport.path(method, path, query).body(body.into()).send_raw().await?;
        Ok(RawAnswer { status: answer.status, content_type: answer.content_type, body: answer.body })
    }
}

/// Over the same connections.
impl From<RawClient> for LookupdClient {
    fn from(client: RawClient) -> Self {
        Self::over(client.transport)
    }
}

impl HttpClient for RawClient {
    const DEFAULT_PORT: u16 = 4151;

    fn over(transport: Transport) -> Self {
        Self { transport }
    }
}
