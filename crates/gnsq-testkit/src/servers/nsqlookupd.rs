//! An nsqlookupd, its options and addresses.

use std::net::SocketAddr;

use serde_json::Value;

use super::process::{Listener, Process};
use crate::http;

/// A running nsqlookupd of the test's own.
///
/// It listens on free ports of 127.0.0.1 and has no data but what the nsqds register. Dropping it kills it; if the test
/// is failing then, its log goes to stderr.
pub struct Nsqlookupd {
    process: Process,
}

/// How to start an [`Nsqlookupd`].
#[derive(Debug, Clone, Default)]
pub struct NsqlookupdBuilder {
    arguments: Vec<String>,
}

impl Nsqlookupd {
    /// An nsqlookupd with its own defaults, until the builder is told otherwise.
    pub fn builder() -> NsqlookupdBuilder {
        NsqlookupdBuilder::default()
    }

    /// Starts an nsqlookupd with its own defaults.
    ///
    /// # Panics
    ///
    /// As [`NsqlookupdBuilder::start`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Where nsqds register.
    ///
    /// # Panics
    ///
    /// If an argument has moved that to a unix socket.
    pub fn tcp_address(&self) -> SocketAddr {
        self.process.address("TCP").expect("nsqlookupd listens on a port")
    }

    /// Where it takes HTTP, which is where clients ask.
    ///
    /// # Panics
    ///
    /// If an argument has moved that to a unix socket.
    pub fn http_address(&self) -> SocketAddr {
        self.process.address("HTTP").expect("nsqlookupd listens for HTTP on a port")
    }

    /// The registered nsqds: the `producers` of `/nodes`.
    ///
    /// # Panics
    ///
    /// If it doesn't answer.
    pub async fn nodes(&self) -> Vec<Value> {
        let (status, body) = http::get(self.http_address(), "/nodes").await;
        assert_eq!(status, 200, "/nodes: {body}");
        producers(&body)
    }

    /// The nsqds that have `topic`: the `producers` of `/lookup`; `None` if it doesn't know the topic.
    ///
    /// # Panics
    ///
    /// If it doesn't answer, or refuses the name.
    pub async fn lookup(&self, topic: &str) -> Option<Vec<Value>> {
        let (status, body) = http::get(self.http_address(), &format!("/lookup?topic={}", http::escape(topic))).await;
        match status {
            200 => Some(producers(&body)),
            404 => None,
            _ => panic!("/lookup of {topic}: {status} {body}"),
        }
    }
}

lifecycle!(Nsqlookupd);

impl NsqlookupdBuilder {
    /// Adds one argument, such as `--inactive-producer-timeout=1s`. It wins over those that the testkit sets.
    ///
    /// Don't hide the log's level INFO: it tells where nsqlookupd listens.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts it and returns as soon as it listens.
    ///
    /// # Panics
    ///
    /// If the program is missing, ends, or doesn't listen in time.
    pub async fn start(self) -> Nsqlookupd {
        let listeners = vec![Listener::tcp("--tcp-address", "TCP"), Listener::tcp("--http-address", "HTTP")];
        // nsqd asks for a topic's channels at the address that nsqlookupd broadcasts.
        let mut arguments = vec!["--broadcast-address=127.0.0.1".to_owned()];
        arguments.extend(self.arguments);
        Nsqlookupd { process: Process::start("nsqlookupd", listeners, arguments).await }
    }
}

fn producers(body: &str) -> Vec<Value> {
    let mut answer: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {body}"));
    match answer["producers"].take() {
        Value::Array(producers) => producers,
        _ => panic!("no producers in {body}"),
    }
}
