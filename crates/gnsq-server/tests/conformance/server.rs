//! What a test asks of a server, whichever side it is of.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::differences::Differences;
use crate::http::Http;
use crate::wire::Client;

/// One make of both servers.
pub(crate) trait Side: 'static {
    type Nsqd: Nsqd;
    type Nsqlookupd: Nsqlookupd;

    /// What is expected of this side where the two differ.
    const DIFFERENCES: Differences;

    /// Starts an nsqd with these flags.
    async fn nsqd(flags: &[&str]) -> Self::Nsqd {
        Self::Nsqd::start(flags, &[]).await
    }

    /// Starts an nsqd that has this topic and channel from the start.
    ///
    /// The real one looks after the timers of such a channel at once, of others up to five seconds later.
    async fn nsqd_with(topic: &str, channel: &str, flags: &[&str]) -> Self::Nsqd {
        Self::Nsqd::start(flags, &[(topic, channel)]).await
    }

    /// Starts an nsqlookupd with these flags.
    async fn nsqlookupd(flags: &[&str]) -> Self::Nsqlookupd {
        Self::Nsqlookupd::start(flags).await
    }
}

/// A running nsqd on free ports of 127.0.0.1, which is its broadcast address too. Dropping it ends it.
pub(crate) trait Nsqd: Sized {
    /// Starts it with `flags`, such as `--msg-timeout=1s`, and with these topics and channels.
    async fn start(flags: &[&str], channels: &[(&str, &str)]) -> Self;

    /// Ends it in good order.
    async fn stop(self);

    fn tcp_address(&self) -> Address;

    fn http_address(&self) -> Address;

    /// Where it takes HTTPS, if it was given a certificate.
    fn https_address(&self) -> SocketAddr;

    /// A new connection that has said hello.
    async fn connect(&self) -> Client {
        let mut client = self.open().await;
        client.send("  V2").await;
        client
    }

    /// A new connection that has said nothing.
    async fn open(&self) -> Client {
        Client::open(&self.tcp_address()).await
    }

    /// A new connection that has subscribed.
    async fn subscriber(&self, topic: &str, channel: &str) -> Client {
        let mut client = self.connect().await;
        client.send(format!("SUB {topic} {channel}\n")).await;
        client.ok().await;
        client
    }

    fn http(&self) -> Http {
        Http::at(self.http_address())
    }

    /// Publishes over HTTP; `query` is the topic and perhaps more.
    async fn publish(&self, query: &str, body: &str) {
        let answer = self.http().post(&format!("/pub?topic={query}"), body).await;
        assert_eq!((answer.status, answer.text()), (200, "OK"), "/pub?topic={query}");
    }

    /// Asks for an action without a body, such as `/topic/create?topic=t`, which must succeed.
    async fn act(&self, target: &str) {
        let answer = self.http().post(target, "").await;
        assert_eq!((answer.status, answer.text()), (200, ""), "{target}");
    }
}

/// A running nsqlookupd on free ports of 127.0.0.1, which is its broadcast address too. Dropping it ends it.
pub(crate) trait Nsqlookupd: Sized {
    async fn start(flags: &[&str]) -> Self;

    /// Ends it, and starts it on the same ports without what it knew.
    async fn restart(&mut self);

    fn tcp_address(&self) -> SocketAddr;

    fn http_address(&self) -> SocketAddr;

    /// A new connection that has said hello.
    async fn connect(&self) -> Client {
        let mut client = self.open().await;
        client.send("  V1").await;
        client
    }

    /// A new connection that has said nothing.
    async fn open(&self) -> Client {
        Client::open(&Address::Tcp(self.tcp_address())).await
    }

    fn http(&self) -> Http {
        Http::at(Address::Tcp(self.http_address()))
    }

    /// The flag that makes an nsqd register here.
    fn flag(&self) -> String {
        format!("--lookupd-tcp-address={}", self.tcp_address())
    }
}

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// The port, unless it is a unix socket.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Tcp(address) => address.port(),
            Self::Unix(path) => panic!("{} has no port", path.display()),
        }
    }
}
