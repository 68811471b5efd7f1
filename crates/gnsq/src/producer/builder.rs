//! The options of a producer.

use std::sync::Arc;
use std::time::Duration;

use gnsq_proto::PublishLimits;
use tokio_util::sync::CancellationToken;

use super::Producer;
use super::options::LONGEST;
use super::pool::Pool;
use super::routing::Routing;
use crate::address::{Address, AddressList};
use crate::config::{Batching, ConnectionConfig, security_options};
use crate::error::{Error, Result};
use crate::events::Signals;
use crate::fleet::Fleet;
#[cfg(feature = "http")]
use crate::fleet::{Board, Discovery, LookupdOptions, Nodes, lookupd_options};
use crate::runtime::Io;

/// What happens to a publish while no nsqd is connected. Whatever is chosen, it ends within its time limit, and what waits
/// counts as [outstanding](ProducerBuilder::max_outstanding).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenDisconnected {
    /// It waits for a connection.
    #[default]
    Wait,
    /// It fails at once, with [`Error::NoConnections`]. Also before the first connection: await
    /// [`ready`](Producer::ready) after the start.
    FailFast,
    /// It waits as one of so many; what comes beyond fails at once, with [`Error::BufferFull`].
    Buffer {
        /// How many messages may wait, at most [`max_outstanding`](ProducerBuilder::max_outstanding).
        messages: usize,
        /// How many bytes they may have, at most
        /// [`max_outstanding_bytes`](ProducerBuilder::max_outstanding_bytes).
        bytes: usize,
    },
}

/// Makes a [`Producer`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until built"]
pub struct ProducerBuilder {
    addresses: AddressList,
    #[cfg(feature = "http")]
    lookupds: LookupdOptions,
    io: Io,
    connection: ConnectionConfig,
    /// A builder may be cloned: one of its own for each producer that it makes, unless they were given.
    signals: Option<Signals>,
    max_reconnect_delay: Duration,
    batching: bool,
    batch_messages: usize,
    batch_bytes: usize,
    settings: Settings,
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) limits: PublishLimits,
    pub(super) routing: Routing,
    pub(super) when_disconnected: WhenDisconnected,
    pub(super) publish_timeout: Duration,
    pub(super) retry_unknown: bool,
    pub(super) stall_timeout: Option<Duration>,
    pub(super) breaker_failures: u32,
    pub(super) max_outstanding: u32,
    pub(super) max_outstanding_bytes: u32,
}

impl ProducerBuilder {
    pub(super) fn new() -> Self {
        Self {
            addresses: AddressList::default(),
            #[cfg(feature = "http")]
            lookupds: LookupdOptions::default(),
            io: Io::Current,
            connection: ConnectionConfig::new(),
            signals: None,
            max_reconnect_delay: Duration::from_secs(15),
            batching: true,
            batch_messages: 1000,
            batch_bytes: 1024 * 1024,
            settings: Settings {
                limits: PublishLimits::default(),
                routing: Routing::default(),
                when_disconnected: WhenDisconnected::default(),
                publish_timeout: Duration::from_secs(30),
                retry_unknown: false,
                stall_timeout: Some(Duration::from_secs(5)),
                breaker_failures: 3,
                max_outstanding: 10_000,
                max_outstanding_bytes: 64 * 1024 * 1024,
            },
        }
    }

    /// Adds an nsqd. An address that can't be one makes [`build`](Self::build) fail.
    pub fn nsqd<A>(mut self, address: A) -> Self
    where
        A: TryInto<Address, Error: Into<Error>>,
    {
        self.addresses.add(address);
        self
    }

    /// Adds several nsqds.
    pub fn nsqds<A>(self, addresses: impl IntoIterator<Item = A>) -> Self
    where
        A: TryInto<Address, Error: Into<Error>>,
    {
        addresses.into_iter().fold(self, Self::nsqd)
    }

    #[cfg(feature = "http")]
    lookupd_options!(lookupds);

    /// The options of each connection.
    pub fn connection(mut self, config: ConnectionConfig) -> Self {
        self.connection = config;
        self
    }

    security_options!(connection);

    /// Which nsqd a publish goes to. Default: round robin.
    pub fn routing(mut self, routing: Routing) -> Self {
        self.settings.routing = routing;
        self
    }

    /// How long a publish may take in all: waiting for room, a connection and the answer. Default: 30 s.
    pub fn publish_timeout(mut self, timeout: Duration) -> Self {
        self.settings.publish_timeout = timeout;
        self
    }

    /// Whether to publish again what was sent to an nsqd that then vanished without an answer. It may be published
    /// twice then; otherwise the caller gets an error whose [outcome is unknown](Error::outcome_unknown). Default: no.
    pub fn retry_unknown(mut self, retry: bool) -> Self {
        self.settings.retry_unknown = retry;
        self
    }

    /// What happens to a publish while no nsqd is connected. Default: it waits for one.
    pub fn when_disconnected(mut self, policy: WhenDisconnected) -> Self {
        self.settings.when_disconnected = policy;
        self
    }

    /// An nsqd that owes answers and has given none for so long is left out while others can be used, until it gives one
    /// or is connected anew. `None`: none is. Default: 5 s.
    pub fn stall_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.stall_timeout = timeout.into();
        self
    }

    /// An nsqd is left out while others can be used when so many of its connections in a row were lost with publishes
    /// on them, or ended by an error that is its own, such as `E_PUB_FAILED`. It is left out for 1 s, then longer, up
    /// to 30 s; after that one publish tries it. 0: none is. Default: 3.
    pub fn breaker_failures(mut self, failures: u32) -> Self {
        self.settings.breaker_failures = failures;
        self
    }

    /// The longest delay before another attempt to connect; the delays grow exponentially from 0.05 to 0.15 s, with full
    /// jitter. Default: 15 s.
    pub fn max_reconnect_delay(mut self, delay: Duration) -> Self {
        self.max_reconnect_delay = delay;
        self
    }

    /// How many publishes may be without an answer at once; more wait. Default: 10,000.
    pub fn max_outstanding(mut self, count: u32) -> Self {
        self.settings.max_outstanding = count;
        self
    }

    /// How many bytes of messages may be without an answer at once; more wait. Default: 64 MiB.
    pub fn max_outstanding_bytes(mut self, bytes: u32) -> Self {
        self.settings.max_outstanding_bytes = bytes;
        self
    }

    /// Whether messages that are published to one topic at the same time, or while nsqd owes the topic several answers,
    /// share a command (MPUB). Nothing waits for others to come: a lone message goes out at once, by itself. Default: yes.
    ///
    /// Each keeps its own outcome. nsqd takes the messages of a command one by one: should its disk fail in between,
    /// the [outcome](Error::outcome_unknown) of all of them is unknown.
    pub fn batching(mut self, batching: bool) -> Self {
        self.batching = batching;
        self
    }

    /// How many messages may share a command; so many go out without waiting for an answer. Default: 1000.
    pub fn batch_messages(mut self, count: usize) -> Self {
        self.batch_messages = count;
        self
    }

    /// How many bytes the messages that share a command may have, each counting 4 more; so many go out without waiting for
    /// an answer. Never more than [`max_body_size`](ConnectionConfig::max_body_size). Default: 1 MiB.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// Where the I/O runs. Default: [`Io::Current`], the runtime that builds the producer.
    pub fn io(mut self, io: Io) -> Self {
        self.io = io;
        self
    }

    /// What the producer's [signals](Producer::signals) are to be: so connected beforehand, receivers are told of the very
    /// first answers, too. Clients that are given the same signals share them. Default: its own.
    pub fn signals(mut self, signals: Signals) -> Self {
        self.signals = Some(signals);
        self
    }

    /// How many publishes and bytes may be without an answer, and how long a publish may take.
    #[cfg(feature = "blocking")]
    pub(crate) fn bounds(&self) -> (u32, u32, Duration) {
        (self.settings.max_outstanding, self.settings.max_outstanding_bytes, self.settings.publish_timeout)
    }

    /// Makes the producer, which begins to connect in the background.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] or [`Error::Option`] for what can't be used; no address is one such thing.
    pub fn build(mut self) -> Result<Producer> {
        self.connection.prepare()?;
        self.check()?;
        let bytes = self.batch_bytes.min(self.connection.limits.max_body_size);
        self.connection.batching = self.batching.then_some(Batching { messages: self.batch_messages, bytes });
        self.settings.limits = self.connection.limits;

        let runtime = self.io.handle()?;
        let stop = CancellationToken::new();
        let addresses = self.addresses.into_vec();
        let pool = Arc::new(Pool::new(self.settings, self.signals.unwrap_or_default(), &addresses, stop.clone()));
        let mut fleet =
            Fleet::new(pool.clone(), self.connection, self.max_reconnect_delay, runtime.clone(), stop.clone());
        for address in addresses {
            fleet.add((), address);
        }
        #[cfg(feature = "http")]
        if !self.lookupds.is_empty() {
            let (token, told) = (stop.clone(), pool.clone());
            let board = Arc::new(Board::default());
            let known = board.subscribe();
            let discovery = Discovery::new(Nodes, self.lookupds, board);
            let posted = move || told.found(&known.borrow().found);
            pool.tasks.spawn_on(discovery.run(token, posted), &runtime);
        }
        pool.tasks.spawn_on(keep(fleet, pool.clone()), &runtime);
        pool.tasks.close();
        Ok(Producer { pool, _stop: Arc::new(stop.drop_guard()) })
    }

    fn check(&self) -> Result<()> {
        let addresses = self.addresses.check()?;
        let refuse = |option, reason: &str| Err(Error::Option { option, reason: reason.to_owned() });
        let settings = &self.settings;
        #[cfg(feature = "http")]
        self.lookupds.check()?;
        #[cfg(feature = "http")]
        let found = !self.lookupds.is_empty();
        #[cfg(not(feature = "http"))]
        let found = false;
        if addresses.is_empty() && !found {
            return refuse("nsqd", "name at least one nsqd or nsqlookupd");
        }
        if settings.publish_timeout.is_zero() || settings.publish_timeout > LONGEST {
            return refuse("publish_timeout", "give more than 0 and at most 1 day");
        }
        if settings.max_outstanding == 0 || settings.max_outstanding > MAX_PERMITS {
            return refuse("max_outstanding", "give 1 to 268,435,455");
        }
        if settings.max_outstanding_bytes == 0 || settings.max_outstanding_bytes > MAX_PERMITS {
            return refuse("max_outstanding_bytes", "give 1 to 268,435,455");
        }
        if self.batch_messages < 2 {
            return refuse("batch_messages", "give 2 or more, or turn batching off");
        }
        if self.batch_bytes == 0 {
            return refuse("batch_bytes", "give more than 0, or turn batching off");
        }
        if settings.stall_timeout.is_some_and(|timeout| timeout.is_zero() || timeout > LONGEST) {
            return refuse("stall_timeout", "give more than 0 and at most 1 day, or None");
        }
        if let WhenDisconnected::Buffer { messages, bytes } = settings.when_disconnected {
            if messages == 0 || messages > settings.max_outstanding as usize {
                return refuse("when_disconnected", "buffer 1 message to max_outstanding");
            }
            if bytes == 0 || bytes > settings.max_outstanding_bytes as usize {
                return refuse("when_disconnected", "buffer 1 byte to max_outstanding_bytes");
            }
        }
        Ok(())
    }
}

/// The producer's own task: connects to the nsqds that are found, and gives those up that have vanished.
async fn keep(mut fleet: Fleet<Pool>, pool: Arc<Pool>) {
    while pool.stop.run_until_cancelled(pool.attention.notified()).await.is_some() {
        for address in pool.take_added() {
            fleet.add((), address);
        }
        #[cfg(feature = "http")]
        if let Some(found) = pool.take_found() {
            fleet.follow(&found.into_iter().map(|address| ((), address)).collect());
        }
        fleet.leave_vanished();
    }
    fleet.stop().await;
}

/// A 32-bit system's semaphore has no more.
const MAX_PERMITS: u32 = u32::MAX >> 4;
