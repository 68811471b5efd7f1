//! A network that fails on command.

mod direction;
mod pump;

use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

pub use direction::Direction;

/// A network between clients and a server that breaks on command.
///
/// Clients connect to [`address`](Self::address); for each of them the proxy connects to the server and carries the
/// bytes both ways. Faults can be set and lifted at any time and meet open connections and new ones alike. Dropping the
/// proxy closes them all.
///
/// The proxy takes what it carries into a buffer of at most 2 MiB for each connection and direction; when that is full,
/// it stops reading, as a full network would.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use gnsq_testkit::{Nsqd, Proxy, http};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let nsqd = Nsqd::start().await;
/// let proxy = Proxy::to(nsqd.http_address()).await;
/// proxy.downstream().delay(Duration::from_millis(20));
/// assert_eq!(http::get(proxy.address(), "/ping").await, (200, "OK".to_owned()));
///
/// proxy.refuse();
/// assert!(http::request(proxy.address(), "GET", "/ping", b"").await.is_err());
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: Arc<Network>,
    listener: AbortHandle,
}

#[derive(Debug)]
struct Network {
    server: SocketAddr,
    upstream: Direction,
    downstream: Direction,
    refusing: AtomicBool,
    accepted: AtomicU64,
    refused: AtomicU64,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

impl Proxy {
    /// Stands before `server`, on a free port of 127.0.0.1. The server need not listen yet.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("127.0.0.1 has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let network = Arc::new(Network {
            server,
            upstream: Direction::default(),
            downstream: Direction::default(),
            refusing: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            connections: Mutex::default(),
        });
        let listener = tokio::spawn(Arc::clone(&network).accept_from(listener)).abort_handle();
        Self { address, network, listener }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the clients to the server.
    pub fn upstream(&self) -> &Direction {
        &self.network.upstream
    }

    /// From the server to the clients.
    pub fn downstream(&self) -> &Direction {
        &self.network.downstream
    }

    /// Lifts all faults of both directions. It doesn't undo [`refuse`](Self::refuse).
    pub fn pass(&self) {
        self.upstream().pass();
        self.downstream().pass();
    }

    /// Stalls both directions: a partition, which neither side can tell from a silent peer.
    pub fn stall(&self) {
        self.upstream().stall();
        self.downstream().stall();
    }

    /// Ends the [`stall`](Self::stall) of both directions. Nothing was lost.
    pub fn resume(&self) {
        self.upstream().resume();
        self.downstream().resume();
    }

    /// Closes all connections now, on both sides, and drops what was on its way. New ones are still accepted.
    pub async fn cut(&self) {
        let connections = mem::take(&mut *self.network.connections());
        for connection in &connections {
            connection.abort();
        }
        for connection in connections {
            // Ends in an error, because it was aborted.
            let _ = connection.await;
        }
    }

    /// Resets new connections at once, until [`accept`](Self::accept). Open ones stay: see [`cut`](Self::cut).
    pub fn refuse(&self) {
        self.network.refusing.store(true, Ordering::SeqCst);
    }

    /// Ends [`refuse`](Self::refuse).
    pub fn accept(&self) {
        self.network.refusing.store(false, Ordering::SeqCst);
    }

    /// How many connections were accepted so far. A client may believe itself connected a moment earlier.
    pub fn accepted_connections(&self) -> u64 {
        self.network.accepted.load(Ordering::SeqCst)
    }

    /// How many connections were refused so far.
    pub fn refused_connections(&self) -> u64 {
        self.network.refused.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.network.connections().iter().filter(|connection| !connection.is_finished()).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        for connection in self.network.connections().iter() {
            connection.abort();
        }
    }
}

impl Network {
    async fn accept_from(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (client, _) = listener.accept().await.expect("a connection can be accepted");
            if self.refusing.load(Ordering::SeqCst) {
                self.refused.fetch_add(1, Ordering::SeqCst);
                // Closing an unread socket in order would look like a server that accepts and leaves.
                let _ = client.set_zero_linger();
                continue;
            }
            self.accepted.fetch_add(1, Ordering::SeqCst);
            let mut connections = self.connections();
            connections.retain(|connection| !connection.is_finished());
            // Under the lock, so that a cut misses no connection that was accepted before it.
            connections.push(tokio::spawn(Arc::clone(&self).carry(client)));
        }
    }

    /// Carries one connection until both sides have closed it, one of them has failed, or a fault ends it.
    async fn carry(self: Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.server).await else {
            let _ = client.set_zero_linger();
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        // The first failure closes both sides, as it would on a direct connection.
        let _ =
            tokio::try_join!(self.upstream.pump(from_client, to_server), self.downstream.pump(from_server, to_client));
    }

    fn connections(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.connections.lock().expect("nobody panics while holding this lock")
    }
}
