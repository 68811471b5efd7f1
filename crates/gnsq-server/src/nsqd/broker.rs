//! Everything that an nsqd holds: topics, clients, limits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gnsq_proto::TopicName;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::alarms::Alarms;
use super::auth::Authority;
use super::budget::{Budget, Meter, Refused};
use super::client::Client;
use super::lookup::LookupPeers;
use super::message::Now;
use super::options::NsqdOptions;
use super::settings::Settings;
use super::topic::Topic;
use crate::clock::Clock;
use crate::listen::BoundAddress;

/// An nsqd without its sockets.
#[derive(Debug)]
pub(super) struct Broker {
    shared: Arc<Shared>,
    surroundings: Surroundings,
    settings: Settings,
    started: Now,
    topics: RwLock<FxHashMap<TopicName, Arc<Topic>>>,
    clients: Mutex<FxHashMap<u64, Arc<Client>>>,
}

/// What an nsqd has around it.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) tcp_address: BoundAddress,
    pub(super) http_address: BoundAddress,
    pub(super) https_address: Option<BoundAddress>,
    /// For clients that ask for TLS.
    pub(super) tls: Option<Acceptor>,
    /// Who says what a client may do; without one, everything.
    pub(super) authority: Option<Authority>,
    /// Who knows which channels a new topic has elsewhere.
    pub(super) lookup: Arc<LookupPeers>,
}

/// A [`TlsAcceptor`], which has nothing to show.
#[derive(Clone)]
pub(super) struct Acceptor(pub(super) TlsAcceptor);

/// What topics and channels need of their nsqd.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: NsqdOptions,
    pub(super) budget: Arc<Budget>,
    pub(super) topics: Meter,
    pub(super) channels: Meter,
    pub(super) alarms: Alarms,
    changes: watch::Sender<u64>,
    keys: AtomicU64,
}

impl Broker {
    /// One that nobody can connect to: its addresses are made up.
    #[cfg(any(test, fuzzing))]
    pub(super) fn alone(options: NsqdOptions) -> Arc<Self> {
        let address = BoundAddress::Tcp(([127, 0, 0, 1], 4150).into());
        let surroundings = Surroundings {
            tcp_address: address.clone(),
            http_address: address,
            https_address: None,
            tls: None,
            authority: None,
            lookup: LookupPeers::new(&options).expect("without nsqlookupds there is nothing that could fail"),
        };
        Self::new(options, surroundings)
    }

    pub(super) fn new(mut options: NsqdOptions, surroundings: Surroundings) -> Arc<Self> {
        // nsqd tells the highest first.
        options.e2e_processing_latency_percentiles.sort_unstable_by(|a, b| b.total_cmp(a));
        let started = Now::read(&options.clock);
        let settings = Settings::new(&options);
        let shared = Shared {
            budget: Arc::new(Budget::new(options.max_messages, options.max_bytes)),
            topics: Meter::new(options.max_topics),
            channels: Meter::new(options.max_channels),
            alarms: Alarms::default(),
            changes: watch::Sender::new(0),
            keys: AtomicU64::new(1),
            options,
        };
        Arc::new(Self {
            surroundings,
            shared: Arc::new(shared),
            settings,
            started,
            topics: RwLock::default(),
            clients: Mutex::default(),
        })
    }

    pub(super) fn options(&self) -> &NsqdOptions {
        &self.shared.options
    }

    pub(super) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn clock(&self) -> &Clock {
        self.shared.clock()
    }

    pub(super) fn now(&self) -> Now {
        Now::read(self.clock())
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The HTTP port that others are told: 0 on a unix socket, unless one is said.
    pub(super) fn broadcast_http_port(&self) -> u16 {
        match self.options().broadcast_http_port {
            0 => self.surroundings.http_address.tcp().map_or(0, |address| address.port()),
            told => told,
        }
    }

    /// Seconds since the Unix epoch.
    pub(super) fn started_unix(&self) -> i64 {
        self.started.unix_nanos / NANOS
    }

    pub(super) fn uptime(&self) -> Duration {
        self.clock().now().since(self.started.tick)
    }

    pub(super) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().get(name).cloned()
    }

    /// The topic, created if there is none.
    pub(super) fn topic_or_create(self: &Arc<Self>, name: &TopicName) -> Result<Arc<Topic>, Refused> {
        if let Some(topic) = self.topic(name.as_str()) {
            return Ok(topic);
        }
        let mut topics = self.topics.write();
        if let Some(topic) = topics.get(name) {
            return Ok(topic.clone());
        }
        if !self.shared.topics.take(1) {
            return Err(Refused::Topics(self.shared.topics.limit()));
        }
        // The channels that it has elsewhere shall have all of its messages.
        let held = !self.surroundings.lookup.is_empty();
        let topic = Topic::new(name.clone(), self, held);
        topics.insert(name.clone(), topic.clone());
        drop(topics);
        if held {
            let (lookup, topic) = (self.surroundings.lookup.clone(), topic.clone());
            tokio::spawn(async move { lookup.prepare(&topic).await });
        }
        self.shared.changed();
        Ok(topic)
    }

    pub(super) fn delete_topic(&self, name: &str) -> bool {
        self.delete_topic_if(name, |_| true)
    }

    /// Deletes the topic if it is the one that is meant.
    pub(super) fn delete_topic_if(&self, name: &str, is_meant: impl FnOnce(&Topic) -> bool) -> bool {
        let mut topics = self.topics.write();
        if !topics.get(name).is_some_and(|topic| is_meant(topic)) {
            return false;
        }
        let topic = topics.remove(name);
        drop(topics);
        if let Some(topic) = topic {
            topic.delete();
        }
        self.shared.changed();
        true
    }

    /// All topics, by name.
    pub(super) fn topics(&self) -> Vec<Arc<Topic>> {
        let mut topics: Vec<_> = self.topics.read().values().cloned().collect();
        topics.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        topics
    }

    /// Changes whenever a topic or a channel comes or goes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    pub(super) fn next_client_id(&self) -> u64 {
        self.shared.next_key()
    }

    pub(super) fn add_client(&self, client: &Arc<Client>) {
        self.clients.lock().insert(client.id(), client.clone());
    }

    pub(super) fn remove_client(&self, id: u64) {
        self.clients.lock().remove(&id);
    }

    /// All connections, the oldest first.
    pub(super) fn clients(&self) -> Vec<Arc<Client>> {
        let mut clients: Vec<_> = self.clients.lock().values().cloned().collect();
        clients.sort_unstable_by_key(|client| client.id());
        clients
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

impl Shared {
    pub(super) fn clock(&self) -> &Clock {
        &self.options.clock
    }

    pub(super) fn next_key(&self) -> u64 {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|version| *version += 1);
    }
}

const NANOS: i64 = 1_000_000_000;
