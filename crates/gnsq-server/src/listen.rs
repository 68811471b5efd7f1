//! Where a server listens, and the sockets of those who come.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixSocket, UnixStream};

use crate::error::StartError;

/// Where to listen: `host:port` (port 0 for a free one), or the path of a unix socket.
///
/// ```
/// use gnsq_server::ListenAddress;
///
/// assert!(matches!("127.0.0.1:0".parse(), Ok(ListenAddress::Tcp(_))));
/// assert!(matches!("/run/nsqd.sock".parse(), Ok(ListenAddress::Unix(_))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A host, which may be empty for all interfaces, a colon and a port.
    Tcp(String),
    /// A unix socket. A file that is there already, and that nobody listens on, is replaced.
    Unix(PathBuf),
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundAddress {
    /// An address with its port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// A free port of 127.0.0.1.
    pub fn free_port() -> Self {
        Self::Tcp("127.0.0.1:0".to_owned())
    }
}

/// What has the form `host:port` is that, anything else is a path, as nsqd reads it.
impl FromStr for ListenAddress {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let host_and_port = text.rsplit_once(':').filter(|(host, _)| {
            let bracketed = host.starts_with('[') && host.ends_with(']');
            !host.contains('/') && (bracketed || !host.contains(':'))
        });
        Ok(match host_and_port {
            Some(_) => Self::Tcp(text.to_owned()),
            None => Self::Unix(text.into()),
        })
    }
}

impl From<&str> for ListenAddress {
    fn from(text: &str) -> Self {
        let Ok(address) = text.parse();
        address
    }
}

impl From<String> for ListenAddress {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address.to_string())
    }
}

impl From<&Path> for ListenAddress {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

impl From<PathBuf> for ListenAddress {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl BoundAddress {
    /// The address, unless it is a unix socket.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A bound listener. Dropping one on a unix socket removes its file.
///
/// Dropped, it listens no more, also where the child of a fork has a copy of its descriptor.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, RemoveOnDrop),
}

/// The socket of one who came. Dropped, it ends the connection, also where the child of a fork has a copy of its
/// descriptor.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Listener {
    pub(crate) async fn bind(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => {
                // nsqd's `:4150` means all interfaces.
                let address = if address.starts_with(':') { format!("[::]{address}") } else { address.clone() };
                listen(&address).await.map(Self::Tcp)
            }
            #[cfg(unix)]
            ListenAddress::Unix(path) => {
                if path.exists() && UnixStream::connect(path).await.is_err() {
                    std::fs::remove_file(path)?;
                }
                let socket = UnixSocket::new_stream()?;
                socket.bind(path)?;
                Ok(Self::Unix(socket.listen(BACKLOG)?, RemoveOnDrop(path.clone())))
            }
            #[cfg(not(unix))]
            ListenAddress::Unix(_) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no unix sockets"))
            }
        }
    }

    /// Binds, and tells the address with its port; `what` is for the error.
    pub(crate) async fn listen(
        what: &'static str,
        address: &ListenAddress,
    ) -> Result<(Self, BoundAddress), StartError> {
        let failed = |source| StartError::Listen { what, address: address.clone(), source };
        let listener = Self::bind(address).await.map_err(failed)?;
        let bound = listener.address().map_err(failed)?;
        Ok((listener, bound))
    }

    pub(crate) fn address(&self) -> io::Result<BoundAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(BoundAddress::Tcp),
            #[cfg(unix)]
            Self::Unix(_, path) => Ok(BoundAddress::Unix(path.0.clone())),
        }
    }

    /// The next one who comes, and its address as nsqd shows it: empty for a unix socket.
    pub(crate) async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, peer) = listener.accept().await?;
                // What is to be sent is gathered before it reaches the socket; waiting for more there only delays.
                let _ = socket.set_nodelay(true);
                Ok((Socket::Tcp(socket), Some(peer)))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => listener.accept().await.map(|(socket, _)| (Socket::Unix(socket), None)),
        }
    }
}

#[cfg(unix)]
impl Drop for Listener {
    fn drop(&mut self) {
        match self {
            Self::Tcp(listener) => end(listener),
            Self::Unix(listener, _) => end(listener),
        }
    }
}

#[cfg(unix)]
impl Drop for Socket {
    fn drop(&mut self) {
        match self {
            Self::Tcp(socket) => end(socket),
            Self::Unix(socket) => end(socket),
        }
    }
}

/// To close a descriptor ends nothing while another process has it, too.
#[cfg(unix)]
fn end(socket: &impl AsFd) {
    // It has ended before, or the system can't: to be closed is all that is left.
    let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
}

/// Listens on the first of the host's addresses on which that is possible.
async fn listen(address: &str) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "the host has no address");
    for address in lookup_host(address).await? {
        let listen = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // Else the port would be taken for a minute after a restart. On Windows it means something else.
            #[cfg(not(windows))]
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        match listen() {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// How many may come at once: all of a cluster's clients when a server is back. Beyond it, and beyond what the system
/// allows, they are made to wait for seconds.
const BACKLOG: u32 = 4096;

/// Calls `$call` on whichever socket it is.
macro_rules! on_socket {
    ($self:expr, $socket:ident => $call:expr) => {
        match $self.get_mut() {
            Socket::Tcp($socket) => {
                let $socket = Pin::new($socket);
                $call
            }
            #[cfg(unix)]
            Socket::Unix($socket) => {
                let $socket = Pin::new($socket);
                $call
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, socket => socket.poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_socket!(self, socket => socket.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_socket!(self, socket => socket.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, socket => socket.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, socket => socket.poll_shutdown(cx))
    }
}

#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct RemoveOnDrop(PathBuf);

#[cfg(unix)]
impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_port_is_told_from_a_path() {
        for (text, tcp) in
            [("127.0.0.1:0", true), (":4150", true), ("[::1]:4150", true), ("nsqd.sock", false), ("/a:1/b", false)]
        {
            assert_eq!(matches!(ListenAddress::from(text), ListenAddress::Tcp(_)), tcp, "{text}");
        }
    }
}
