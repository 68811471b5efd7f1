//! An nsqlookupd in memory.

mod api;
mod builder;
mod connection;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod producer;
mod registry;
mod session;

use std::net::SocketAddr;
use std::sync::Arc;

use gnsq_proto::lookupd::PeerInfo;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::error::StartError;
use registry::Registry;

pub use builder::NsqlookupdBuilder;
pub use producer::Producer;

/// A running nsqlookupd, on the tokio runtime that started it. Dropping it stops it.
///
/// It speaks both of nsqlookupd's protocols, so that real and embedded nsqds can register, and clients and nsqadmin can
/// ask.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gnsq_server::StartError> {
/// use gnsq_server::Nsqlookupd;
///
/// let lookupd = Nsqlookupd::start().await?;
/// println!("nsqds: --lookupd-tcp-address={}", lookupd.tcp_address());
/// println!("clients: {}", lookupd.http_url());
/// lookupd.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Nsqlookupd {
    tcp_address: SocketAddr,
    http_address: SocketAddr,
    shared: Arc<Shared>,
    stop: DropGuard,
    tasks: TaskTracker,
}

/// A topic as an nsqlookupd knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicRegistration {
    /// Its name.
    pub topic: String,
    /// Its channels' names, sorted.
    pub channels: Vec<String>,
    /// The nsqds that have it, alive and not tombstoned: what a client is told.
    pub producers: Vec<Producer>,
}

/// What the two protocols share.
#[derive(Debug)]
struct Shared {
    registry: Mutex<Registry>,
    changes: watch::Sender<()>,
    clock: Clock,
    myself: PeerInfo,
    max_body_size: usize,
}

impl Nsqlookupd {
    /// How to start one with other settings than the defaults.
    pub fn builder() -> NsqlookupdBuilder {
        NsqlookupdBuilder::default()
    }

    /// Starts one on free ports of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// As [`NsqlookupdBuilder::start`].
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Where nsqds register: `127.0.0.1:4160`.
    pub fn tcp_address(&self) -> String {
        self.tcp_address.to_string()
    }

    /// Where its HTTP API is, which is where clients ask: `127.0.0.1:4161`.
    pub fn http_address(&self) -> String {
        self.http_address.to_string()
    }

    /// Its HTTP API as `http://127.0.0.1:4161`.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http_address)
    }

    /// All topics, sorted by name, as clients would be told now.
    pub fn registrations(&self) -> Vec<TopicRegistration> {
        let registry = self.shared.registry.lock();
        let now = self.shared.clock.now();
        let topics = registry.topics().map(|topic| TopicRegistration {
            topic: topic.to_string(),
            channels: registry.channels(topic.as_str()).map(ToString::to_string).collect(),
            producers: registry.lookup(topic.as_str(), now).into_iter().flatten().cloned().collect(),
        });
        topics.collect()
    }

    /// Waits until the [registrations](Self::registrations) are as wanted, and returns them.
    ///
    /// Looks again whenever an nsqd registers or leaves something, at once; not when only time passes. It waits for
    /// ever for what never comes: a test gives it a timeout.
    pub async fn wait_until(&self, mut wanted: impl FnMut(&[TopicRegistration]) -> bool) -> Vec<TopicRegistration> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            let registrations = self.registrations();
            if wanted(&registrations) {
                return registrations;
            }
            // Fails never: the sender is ours.
            let _ = changes.changed().await;
        }
    }

    /// Stops it, and returns when nobody listens on its addresses any more and all its connections are closed.
    pub async fn shutdown(self) {
        drop(self.stop);
        self.tasks.wait().await;
    }
}

impl Shared {
    /// Changes the registry, and wakes those who wait for a change.
    fn change<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let result = change(&mut self.registry.lock());
        self.changes.send_replace(());
        result
    }
}
