//! How an nsqlookupd is started.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gnsq_proto::lookupd::PeerInfo;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::registry::Registry;
use super::{Nsqlookupd, Shared, api, connection};
use crate::accept::accept_each;
use crate::clock::Clock;
use crate::error::StartError;
use crate::http;
use crate::listen::{ListenAddress, Listener};
use crate::version::NSQ_VERSION;

/// How to start an [`Nsqlookupd`]; the names are those of nsqlookupd's flags.
#[derive(Debug, Clone)]
#[must_use = "nothing starts before `start()`"]
pub struct NsqlookupdBuilder {
    tcp_address: String,
    http_address: String,
    broadcast_address: String,
    hostname: String,
    inactive_producer_timeout: Duration,
    tombstone_lifetime: Duration,
    clock: Clock,
    max_connections: usize,
    max_registrations: usize,
    max_body_size: usize,
}

impl NsqlookupdBuilder {
    /// Where nsqds register: `host:port`, port 0 for a free one. Default: a free port of 127.0.0.1.
    pub fn tcp_address(mut self, address: impl Into<String>) -> Self {
        self.tcp_address = address.into();
        self
    }

    /// Where the HTTP API is: `host:port`, port 0 for a free one. Default: a free port of 127.0.0.1.
    pub fn http_address(mut self, address: impl Into<String>) -> Self {
        self.http_address = address.into();
        self
    }

    /// The host at which nsqds find the HTTP API, to ask for the channels of a new topic. Default: 127.0.0.1.
    pub fn broadcast_address(mut self, host: impl Into<String>) -> Self {
        self.broadcast_address = host.into();
        self
    }

    /// The host's name as nsqds are told. Default: the system's.
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.hostname = name.into();
        self
    }

    /// How long after its last ping an nsqd is left out of answers. Default: 5 minutes.
    pub fn inactive_producer_timeout(mut self, timeout: Duration) -> Self {
        self.inactive_producer_timeout = timeout;
        self
    }

    /// How long a tombstone hides an nsqd from lookups of a topic. Default: 45 seconds.
    pub fn tombstone_lifetime(mut self, lifetime: Duration) -> Self {
        self.tombstone_lifetime = lifetime;
        self
    }

    /// The clock that all timers follow. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How many connections of nsqds there can be at a time; further ones are closed. Default: 10,000.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = count;
        self
    }

    /// How many registrations there can be: each name of a topic or channel is one, and each nsqd under a name. Beyond
    /// it registering is refused. Default: 1,000,000.
    pub fn max_registrations(mut self, count: usize) -> Self {
        self.max_registrations = count;
        self
    }

    /// The largest body of an IDENTIFY or an HTTP request, in bytes. Default: 64 KiB.
    pub fn max_body_size(mut self, bytes: usize) -> Self {
        self.max_body_size = bytes;
        self
    }

    /// Starts it on the current tokio runtime. When this returns, both addresses answer.
    ///
    /// # Errors
    ///
    /// [`StartError::Listen`] if it can't listen on one of them.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start(self) -> Result<Nsqlookupd, StartError> {
        let (tcp, tcp_address) = listen("TCP", self.tcp_address).await?;
        let (http, http_address) = listen("HTTP", self.http_address).await?;
        let myself = PeerInfo {
            broadcast_address: self.broadcast_address,
            hostname: self.hostname,
            tcp_port: tcp_address.port(),
            http_port: http_address.port(),
            version: NSQ_VERSION.to_owned(),
        };
        let shared = Arc::new(Shared {
            registry: Mutex::new(Registry::new(
                self.max_registrations,
                self.inactive_producer_timeout,
                self.tombstone_lifetime,
            )),
            changes: watch::Sender::new(()),
            clock: self.clock,
            myself,
            max_body_size: self.max_body_size,
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(http::serve(http, None, api::router(shared.clone()), stop.clone()));
        let serve = {
            let shared = shared.clone();
            move |socket, remote| connection::serve(shared.clone(), socket, remote)
        };
        tasks.spawn(accept_each(tcp, self.max_connections, stop.clone(), serve, drop));
        tasks.close();
        tracing::debug!(%tcp_address, %http_address, "nsqlookupd listens");
        Ok(Nsqlookupd { tcp_address, http_address, shared, stop: stop.drop_guard(), tasks })
    }
}

impl Default for NsqlookupdBuilder {
    fn default() -> Self {
        Self {
            tcp_address: FREE_PORT.to_owned(),
            http_address: FREE_PORT.to_owned(),
            broadcast_address: "127.0.0.1".to_owned(),
            hostname: gethostname::gethostname().to_string_lossy().into_owned(),
            inactive_producer_timeout: Duration::from_secs(300),
            tombstone_lifetime: Duration::from_secs(45),
            clock: Clock::system(),
            max_connections: 10_000,
            max_registrations: 1_000_000,
            max_body_size: 64 * 1024,
        }
    }
}

/// Unlike nsqd's, these are never paths of unix sockets.
async fn listen(what: &'static str, address: String) -> Result<(Listener, SocketAddr), StartError> {
    let address = ListenAddress::Tcp(address);
    let (listener, bound) = Listener::listen(what, &address).await?;
    match bound.tcp() {
        Some(bound) => Ok((listener, bound)),
        None => Err(StartError::Listen { what, address, source: io::ErrorKind::Unsupported.into() }),
    }
}

const FREE_PORT: &str = "127.0.0.1:0";
