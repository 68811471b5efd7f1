//! From an address to a socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::socket::Socket;
use crate::address::{Address, Kind};
use crate::config::ConnectionConfig;
use crate::error::{Error, Result};

/// Connects within the `connect_timeout`. Of a host name all addresses are tried, in the resolver's order.
pub(crate) async fn dial(address: &Address, config: &ConnectionConfig) -> Result<Socket> {
    let timeout = config.connect_timeout;
    let deadline = Instant::now() + timeout;
    let connected = timeout_at(deadline, async {
        if let Some(dialer) = &config.dialer {
            return dialer.dial(address).await.map(Socket::from);
        }
        match address.kind() {
            Kind::Tcp { host, port } => {
                let addresses: Vec<_> = lookup_host((host.as_str(), *port)).await?.collect();
                connect_any(&addresses, config.local_address, deadline).await.map(Socket::from)
            }
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

/// Tries one after the other. Each gets an even part of the time that is left: where one swallows what is sent to it,
/// the next has its chance.
async fn connect_any(addresses: &[SocketAddr], from: Option<IpAddr>, deadline: Instant) -> io::Result<TcpStream> {
    let reachable = |address: &&SocketAddr| from.is_none_or(|from| from.is_ipv4() == address.is_ipv4());
    let reachable: Vec<_> = addresses.iter().filter(reachable).collect();
    let mut last = match (addresses, from) {
        ([_, ..], Some(from)) => {
            let text = format!("it has no address that {from} (local_address) can reach, of {addresses:?}");
            io::Error::new(io::ErrorKind::AddrNotAvailable, text)
        }
        _ => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
    };
    for (address, left) in reachable.iter().zip((1..=reachable.len()).rev()) {
        let now = Instant::now();
        let part = deadline.saturating_duration_since(now) / u32::try_from(left).unwrap_or(u32::MAX);
        match timeout_at(now + part, connect(**address, from)).await {
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

async fn connect(address: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(from) = from else { return TcpStream::connect(address).await };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket
        .bind((from, 0).into())
        .map_err(|error| io::Error::new(error.kind(), format!("from {from} (local_address): {error}")))?;
    socket.connect(address).await
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn addresses_that_refuse_are_passed_over_whatever_their_family() {
        let refusing = TcpSocket::new_v4().unwrap();
        // Bound but not listened on: nobody else gets the port, and connections are refused.
        refusing.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let open = TcpListener::bind("[::1]:0").await.unwrap();
        let addresses = [refusing.local_addr().unwrap(), open.local_addr().unwrap()];
        let deadline = Instant::now() + Duration::from_secs(60);
        let stream = connect_any(&addresses, None, deadline).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);

        // Of a local address's family there may be none that works.
        let error = connect_any(&addresses, Some("127.0.0.1".parse().unwrap()), deadline).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

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
        let stream = connect_any(&addresses, None, Instant::now() + Duration::from_secs(2)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
    }
}
