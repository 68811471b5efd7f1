//! An nsqd, its options and addresses.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Nsqlookupd;
use super::process::{Listener, Process};

/// A running nsqd of the test's own.
///
/// It listens on free ports of 127.0.0.1 and keeps its data in a temporary directory. Dropping it kills it and removes
/// the data; if the test is failing then, its log goes to stderr.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let nsqd = gnsq_testkit::Nsqd::builder().arg("--mem-queue-size=0").start().await;
/// nsqd.publish("events", "hello").await;
/// nsqd.create_channel("events", "archive").await;
/// nsqd.wait_for_channel("events", "archive", |channel| channel.depth == 1).await;
/// # }
/// ```
pub struct Nsqd {
    // Before the data, so that the process is gone when the data goes.
    process: Process,
    data: TempDir,
}

/// How to start an [`Nsqd`].
#[derive(Debug, Clone, Default)]
pub struct NsqdBuilder {
    arguments: Vec<String>,
    unix_socket: bool,
}

impl Nsqd {
    /// An nsqd with its own defaults, until the builder is told otherwise.
    pub fn builder() -> NsqdBuilder {
        NsqdBuilder::default()
    }

    /// Starts an nsqd with its own defaults.
    ///
    /// # Panics
    ///
    /// As [`NsqdBuilder::start`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Where it takes the TCP protocol.
    ///
    /// # Panics
    ///
    /// If that is a [`unix_path`](Self::unix_path).
    pub fn tcp_address(&self) -> SocketAddr {
        self.process.address("TCP").expect("this nsqd listens on a unix socket: use unix_path()")
    }

    /// Where it takes the TCP protocol if that is a unix socket.
    ///
    /// # Panics
    ///
    /// If that is a [`tcp_address`](Self::tcp_address).
    pub fn unix_path(&self) -> PathBuf {
        self.process
            .path("TCP")
            .expect("this nsqd listens on a port: use tcp_address(), or the builder's unix_socket()")
    }

    /// Where it takes HTTP.
    ///
    /// # Panics
    ///
    /// If an argument has moved that to a unix socket.
    pub fn http_address(&self) -> SocketAddr {
        self.process.address("HTTP").expect("nsqd listens for HTTP on a port")
    }

    /// Where it takes HTTPS.
    ///
    /// # Panics
    ///
    /// If it was started without `--tls-cert`.
    pub fn https_address(&self) -> SocketAddr {
        self.process.address("HTTPS").expect("nsqd listens for HTTPS only with --tls-cert")
    }

    /// Where it keeps its data.
    pub fn data_path(&self) -> &Path {
        self.data.path()
    }
}

lifecycle!(Nsqd);

impl NsqdBuilder {
    /// Adds one argument, such as `--msg-timeout=1s`. It wins over those that the testkit sets.
    ///
    /// Don't hide the log's level INFO: it tells where nsqd listens.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Registers with this nsqlookupd, besides those already given.
    pub fn lookupd(self, lookupd: &Nsqlookupd) -> Self {
        self.arg(format!("--lookupd-tcp-address={}", lookupd.tcp_address()))
    }

    /// Takes the TCP protocol on a unix socket, at [`Nsqd::unix_path`], instead of a port.
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
        self
    }

    /// Starts it and returns as soon as it listens.
    ///
    /// It may not be registered with nsqlookupd yet: see [`Nsqd::wait_until_registered`].
    ///
    /// # Panics
    ///
    /// If the program is missing, ends, or doesn't listen in time.
    pub async fn start(self) -> Nsqd {
        let data = tempfile::Builder::new()
            .prefix("gnsq-nsqd-")
            .tempdir()
            .expect("the system's temporary directory can be written");
        let tcp = if self.unix_socket {
            Listener::unix("--tcp-address", "TCP", &data.path().join("nsqd.sock"))
        } else {
            Listener::tcp("--tcp-address", "TCP")
        };
        let mut listeners = vec![tcp, Listener::tcp("--http-address", "HTTP")];
        // With a certificate nsqd listens on port 4152 of all interfaces unless it is told otherwise.
        if self.arguments.iter().any(|argument| argument.trim_start_matches('-').starts_with("tls-cert")) {
            listeners.push(Listener::tcp("--https-address", "HTTPS"));
        }
        let mut arguments =
            vec!["--broadcast-address=127.0.0.1".to_owned(), format!("--data-path={}", data.path().display())];
        arguments.extend(self.arguments);
        Nsqd { process: Process::start("nsqd", listeners, arguments).await, data }
    }
}
