//! From an address to a socket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

use super::stream::Stream;
use crate::address::{Address, Kind};
use crate::error::{Error, Result};

/// Connects within `timeout`. Of a host name all addresses are tried, in the resolver's order.
pub(crate) async fn dial(address: &Address, timeout: Duration) -> Result<Stream> {
    let connected = tokio::time::timeout(timeout, async {
        match address.kind() {
            Kind::Tcp { host, port } => dial_tcp(host, *port).await,
            #[cfg(unix)]
            Kind::Unix(path) => tokio::net::UnixStream::connect(path).await.map(Stream::Unix),
            #[cfg(not(unix))]
            Kind::Unix(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no unix sockets")),
        }
    });
    let result = connected.await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {timeout:?} (connect_timeout)")))
    });
    result.map_err(|error| Error::Connect { address: address.clone(), source: Arc::new(error) })
}

async fn dial_tcp(host: &str, port: u16) -> io::Result<Stream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(socket) => {
                // What is to be sent is gathered here, before it reaches the socket; waiting for more there only delays.
                socket.set_nodelay(true)?;
                return Ok(Stream::Tcp(socket));
            }
            Err(error) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
        }
    }
    Err(last)
}
