//! Connections that are made by the user: through a proxy, a tunnel, a simulated network.

use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::address::Address;

/// Connects to nsqds in a way of its own; see [`ConnectionConfig::dialer`](crate::ConnectionConfig::dialer).
///
/// This one goes through an HTTP proxy:
///
/// ```no_run
/// use std::io;
///
/// use gnsq::{Address, Consumer, ConnectionConfig, Dialer};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::TcpStream;
///
/// struct ThroughProxy(&'static str);
///
/// impl Dialer for ThroughProxy {
///     type Stream = TcpStream;
///
///     async fn dial(&self, nsqd: &Address) -> io::Result<TcpStream> {
///         let mut stream = TcpStream::connect(self.0).await?;
///         stream.set_nodelay(true)?;
///         stream.write_all(format!("CONNECT {nsqd} HTTP/1.1\r\nHost: {nsqd}\r\n\r\n").as_bytes()).await?;
///         // Byte by byte: what follows the answer is nsqd's.
///         let mut answer = Vec::new();
///         while !answer.ends_with(b"\r\n\r\n") && answer.len() < 8192 {
///             answer.push(stream.read_u8().await?);
///         }
///         if answer.starts_with(b"HTTP/1.1 200") {
///             Ok(stream)
///         } else {
///             Err(io::Error::other(format!("the proxy says {:?}", String::from_utf8_lossy(&answer))))
///         }
///     }
/// }
///
/// # fn example() -> gnsq::Result<()> {
/// let config = ConnectionConfig::new().dialer(ThroughProxy("proxy.internal:3128"));
/// let consumer = Consumer::builder("orders", "billing").nsqd("nsqd.internal").connection(config).build()?;
/// # let _ = consumer;
/// # Ok(())
/// # }
/// ```
pub trait Dialer: Send + Sync + 'static {
    /// What bytes travel through. It need not gather small writes: the client does.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Connects to the nsqd at `address`, or to what stands for it. The future is dropped when
    /// [`connect_timeout`](crate::ConnectionConfig::connect_timeout) has passed. It must not block its thread, on which
    /// other connections live.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from connecting; a consumer or producer tries again later.
    fn dial(&self, address: &Address) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A stream of any kind.
pub(crate) trait Dialed: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Dialed for S {}

/// A [`Dialer`] of any kind.
#[derive(Clone)]
pub(crate) struct AnyDialer(Arc<dyn Erased>);

trait Erased: Send + Sync {
    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<Box<dyn Dialed>>>;
}

impl<D: Dialer> Erased for D {
    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<Box<dyn Dialed>>> {
        async move { Dialer::dial(self, address).await.map(|stream| Box::new(stream) as Box<dyn Dialed>) }.boxed()
    }
}

impl AnyDialer {
    pub(crate) fn new(dialer: impl Dialer) -> Self {
        Self(Arc::new(dialer))
    }

    pub(super) async fn dial(&self, address: &Address) -> io::Result<Box<dyn Dialed>> {
        // A panic would end the task that keeps the nsqd connected.
        let dialed = AssertUnwindSafe(async { self.0.dial(address).await }).catch_unwind().await;
        dialed.unwrap_or_else(|_| Err(io::Error::other("the dialer panicked")))
    }
}

impl fmt::Debug for AnyDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}
