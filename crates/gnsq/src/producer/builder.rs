//! The options of a producer.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Producer;
use super::pool::Pool;
use crate::address::{Address, AddressList};
use crate::config::{Batching, ConnectionConfig, security_options};
use crate::error::{Error, Result};
use crate::runtime::Io;

/// Which nsqd a publish goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Routing {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The first that is connected, in the order given: the others are spares.
    FirstHealthy,
}

/// Makes a [`Producer`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until built"]
pub struct ProducerBuilder {
    addresses: AddressList,
    io: Io,
    settings: Settings,
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) connection: ConnectionConfig,
    pub(super) routing: Routing,
    pub(super) publish_timeout: Duration,
    pub(super) retry_unknown: bool,
    pub(super) max_reconnect_delay: Duration,
    pub(super) max_outstanding: u32,
    pub(super) max_outstanding_bytes: u32,
    batching: bool,
    batch_messages: usize,
    batch_bytes: usize,
}

impl ProducerBuilder {
    pub(super) fn new() -> Self {
        Self {
            addresses: AddressList::default(),
            io: Io::Current,
            settings: Settings {
                connection: ConnectionConfig::new(),
                routing: Routing::default(),
                publish_timeout: Duration::from_secs(30),
                retry_unknown: false,
                max_reconnect_delay: Duration::from_secs(15),
                max_outstanding: 10_000,
                max_outstanding_bytes: 64 * 1024 * 1024,
                batching: true,
                batch_messages: 1000,
                batch_bytes: 1024 * 1024,
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

    /// The options of each connection.
    pub fn connection(mut self, config: ConnectionConfig) -> Self {
        self.settings.connection = config;
        self
    }

    security_options!(settings.connection);

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

    /// The longest delay before another attempt to connect; the delays grow exponentially from 0.05 to 0.15 s, with full
    /// jitter. Default: 15 s.
    pub fn max_reconnect_delay(mut self, delay: Duration) -> Self {
        self.settings.max_reconnect_delay = delay;
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

    /// Whether messages that are published to one topic at the same time, or while nsqd still owes the topic an answer,
    /// share a command (MPUB). Nothing waits for others to come: a lone message goes out at once, by itself. Default: yes.
    ///
    /// Each keeps its own outcome. nsqd takes the messages of a command one by one: should its disk fail in between,
    /// the [outcome](Error::outcome_unknown) of all of them is unknown.
    pub fn batching(mut self, batching: bool) -> Self {
        self.settings.batching = batching;
        self
    }

    /// How many messages may share a command; so many go out without waiting for an answer. Default: 1000.
    pub fn batch_messages(mut self, count: usize) -> Self {
        self.settings.batch_messages = count;
        self
    }

    /// How many bytes the messages that share a command may have, each counting 4 more; so many go out without waiting for
    /// an answer. Never more than [`max_body_size`](ConnectionConfig::max_body_size). Default: 1 MiB.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.settings.batch_bytes = bytes;
        self
    }

    /// Where the I/O runs. Default: [`Io::Current`], the runtime that builds the producer.
    pub fn io(mut self, io: Io) -> Self {
        self.io = io;
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
        self.settings.connection.prepare()?;
        let addresses = self.addresses.check()?;
        let refuse = |option, reason: &str| Err(Error::Option { option, reason: reason.to_owned() });
        let settings = &self.settings;
        if addresses.is_empty() {
            return refuse("nsqd", "name at least one nsqd");
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
        if settings.batch_messages < 2 {
            return refuse("batch_messages", "give 2 or more, or turn batching off");
        }
        if settings.batch_bytes == 0 {
            return refuse("batch_bytes", "give more than 0, or turn batching off");
        }
        let bytes = settings.batch_bytes.min(settings.connection.limits.max_body_size);
        self.settings.connection.batching =
            settings.batching.then_some(Batching { messages: settings.batch_messages, bytes });
        let runtime = self.io.handle()?;
        let stop = CancellationToken::new();
        let pool = Pool::start(self.addresses.into_vec(), self.settings, &runtime, stop.clone());
        Ok(Producer { pool, _stop: Arc::new(stop.drop_guard()) })
    }
}

/// Keeps sums of times from overflowing.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A 32-bit system's semaphore has no more.
const MAX_PERMITS: u32 = u32::MAX >> 4;
