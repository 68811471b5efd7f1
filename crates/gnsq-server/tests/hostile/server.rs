//! An nsqd with a client that keeps to the rules, to whom nothing may happen.

use std::net::SocketAddr;

use gnsq_server::{Nsqd, NsqdBuilder};
use gnsq_testkit::http;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::client::{Client, command};

/// An nsqd, and a good client of it.
pub(crate) struct Server {
    pub(crate) nsqd: Nsqd,
    good: Client,
    _place: Place,
}

/// Who measures memory or uses up descriptors is alone in the process meanwhile.
pub(crate) enum Place {
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

static PROCESS: RwLock<()> = RwLock::const_new(());

impl Place {
    pub(crate) async fn shared() -> Self {
        Self::Shared { _guard: PROCESS.read().await }
    }

    pub(crate) async fn alone() -> Self {
        Self::Alone { _guard: PROCESS.write().await }
    }
}

impl Server {
    pub(crate) async fn start(change: impl FnOnce(NsqdBuilder) -> NsqdBuilder) -> Self {
        Self::new(change, Place::shared().await).await
    }

    /// While it is there, no other test runs in this process.
    pub(crate) async fn start_alone(change: impl FnOnce(NsqdBuilder) -> NsqdBuilder) -> Self {
        Self::new(change, Place::alone().await).await
    }

    async fn new(change: impl FnOnce(NsqdBuilder) -> NsqdBuilder, place: Place) -> Self {
        let nsqd = change(Nsqd::builder()).start().await.unwrap();
        let mut good = Client::connect(nsqd.tcp_address().parse().unwrap()).await;
        good.ok("SUB good c\n").await;
        good.send("RDY 1\n").await;
        Self { nsqd, good, _place: place }
    }

    pub(crate) fn tcp(&self) -> SocketAddr {
        self.nsqd.tcp_address().parse().unwrap()
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.nsqd.http_address().parse().unwrap()
    }

    /// A stranger, who has said hello.
    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.tcp()).await
    }

    /// The good client publishes and gets its message, a new one is taken in, and HTTP is answered.
    pub(crate) async fn serves_others(&mut self) {
        let mut new = self.connect().await;
        new.ok(command("PUB good", "from a new one")).await;
        let (id, body) = self.good.message().await;
        assert_eq!(body, b"from a new one");
        self.good.ok([format!("FIN {id}\n").into_bytes(), command("PUB good", "from itself")].concat()).await;
        let (id, body) = self.good.message().await;
        assert_eq!(body, b"from itself");
        self.good.send(format!("FIN {id}\n")).await;
        assert_eq!(http::get(self.http(), "/ping").await, (200, "OK".to_owned()));
    }
}
