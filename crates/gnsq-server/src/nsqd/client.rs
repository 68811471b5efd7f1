//! What is known of a connection, by its task, the channels and the statistics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gnsq_proto::TopicName;
use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

pub(super) use super::stats::ClientState;

/// A connection of the TCP protocol.
#[derive(Debug)]
pub(super) struct Client {
    id: u64,
    remote: Option<SocketAddr>,
    connected_unix: i64,
    bell: Notify,
    closed: AtomicBool,
    state: Mutex<ClientState>,
    identity: Mutex<ClientIdentity>,
    published: Mutex<FxHashMap<TopicName, Arc<AtomicU64>>>,
}

/// What a client told of itself, and what it was granted.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientIdentity {
    pub(super) client_id: String,
    pub(super) hostname: String,
    pub(super) user_agent: String,
    pub(super) sample_rate: u8,
    pub(super) deflate: bool,
    pub(super) snappy: bool,
    pub(super) tls: Option<TlsIdentity>,
    pub(super) auth: Option<AuthIdentity>,
}

/// What a TLS handshake agreed on, as nsqd writes it.
#[derive(Debug, Clone, Default)]
pub(super) struct TlsIdentity {
    pub(super) version: String,
    pub(super) cipher_suite: String,
    pub(super) negotiated_protocol: String,
    pub(super) negotiated_protocol_is_mutual: bool,
}

/// Who an auth server says the client is.
#[derive(Debug, Clone, Default)]
pub(super) struct AuthIdentity {
    pub(super) identity: String,
    pub(super) identity_url: String,
}

impl Client {
    pub(super) fn new(id: u64, remote: Option<SocketAddr>, connected_unix: i64) -> Arc<Self> {
        Arc::new(Self {
            id,
            remote,
            connected_unix,
            bell: Notify::new(),
            closed: AtomicBool::new(false),
            state: Mutex::default(),
            identity: Mutex::default(),
            published: Mutex::default(),
        })
    }

    /// Unique in its nsqd.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Nothing for one on a unix socket.
    pub(super) fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// What logs call it.
    pub(super) fn name(&self) -> String {
        self.remote.map_or_else(|| "unix".to_owned(), |remote| remote.to_string())
    }

    /// Seconds since the Unix epoch.
    pub(super) fn connected_unix(&self) -> i64 {
        self.connected_unix
    }

    /// Tells the connection's task that there may be messages to take.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits until [`ring`](Self::ring) or [`close`](Self::close) was called since the last time.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Ends the connection, without a word to the client.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.ring();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn set_state(&self, state: ClientState) {
        *self.state.lock() = state;
    }

    pub(super) fn state(&self) -> ClientState {
        *self.state.lock()
    }

    pub(super) fn identity(&self) -> MutexGuard<'_, ClientIdentity> {
        self.identity.lock()
    }

    /// Where its connection counts the messages that it publishes to a topic.
    pub(super) fn published_to(&self, topic: &TopicName) -> Arc<AtomicU64> {
        let mut published = self.published.lock();
        if let Some(count) = published.get(topic) {
            return count.clone();
        }
        let count = Arc::default();
        // Beyond the bound the counts of further topics are not kept: they are statistics.
        if published.len() < MAX_PUBLISHED {
            published.insert(topic.clone(), Arc::clone(&count));
        }
        count
    }

    pub(super) fn has_published(&self) -> bool {
        self.published.lock().values().any(|count| count.load(Ordering::Relaxed) > 0)
    }

    /// How many messages it has published, by topic.
    pub(super) fn published(&self) -> Vec<(TopicName, u64)> {
        let published = self.published.lock();
        let counts = published.iter().map(|(topic, count)| (topic.clone(), count.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// How many topics are counted a client.
const MAX_PUBLISHED: usize = 1000;
