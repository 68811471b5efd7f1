//! From an address to a socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::socket::Socket;
use crate::address::{Address, Kind};
use crate::error::{Error, Result};

/// Connects within `timeout`. Of a host name all addresses are tried, in the resolver's order.
pub(crate) async fn dial(address: &Address, timeout: Duration) -> Result<Socket> {
    let connected = tokio::time::timeout(timeout, async {
        match address.kind() {
            Kind::Tcp { host, port } => dial_tcp(host, *port, timeout).await.map(Socket::from),
            #[cfg(unix)]
            Kind::Unix(path) => tokio::net::UnixStream::connect(path).await.map(Socket::from),
            #[cfg(not(unix))]
            Kind::Unix(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no unix sockets")),
        }
    });
    let result = connected.await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {timeout:?} (connect_timeout)")))
    });
    result.map_err(|error| Error::Connect { address: address.clone(), source: Arc::new(error) })
}

async fn dial_tcp(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + timeout;
    let addresses: Vec<_> = lookup_host((host, port)).await?.collect();
    connect_any(&addresses, deadline).await
}

/// Tries one after the other. Each gets an even part of the time that is left: where one swallows what is sent to it,
/// the next has its chance.
async fn connect_any(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let now = Instant::now();
        let part = deadline.saturating_duration_since(now) / u32::try_from(left).unwrap_or(u32::MAX);
        match timeout_at(now + part, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                // What is to be sent is gathered here, before it reaches the socket; waiting for more there only delays.
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Ok(Err(error)) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
            Err(_) => {
                let text = format!("{address}: no connection within {part:?} (its part of connect_timeout)");
                last = io::Error::new(io::ErrorKind::TimedOut, text);
            }
        }
    }
    Err(last)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn an_address_that_swallows_everything_leaves_time_for_the_next() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // Linux lets a full listener's callers wait.
        let full = socket.listen(1).unwrap();
        let full_address = full.local_addr().unwrap();
        let mut callers = Vec::new();
        while let Ok(caller) = tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(full_address)).await
        {
            callers.push(caller.unwrap());
        }
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [full_address, open.local_addr().unwrap()];
        let stream = connect_any(&addresses, Instant::now() + Duration::from_secs(2)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
    }
}
