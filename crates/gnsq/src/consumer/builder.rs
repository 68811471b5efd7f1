//! The options of a consumer.

mod failure;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gnsq_proto::{Backoff, BackoffStrategy, ChannelName, ExponentialBackoff, RdySettings, TopicName};
use tokio_util::sync::CancellationToken;

use super::core::{Core, GiveUp, RequeuePolicy, Settings};
use super::deliver_at::DeliverAt;
use super::keyed::KeyedOptions;
use super::manager::Manager;
use super::topics::Topics;
use super::touching::Touching;
use super::{Consumer, ConsumerHandle};
use crate::address::{Address, AddressList};
use crate::config::{ConnectionConfig, security_options};
use crate::error::{Error, Result};
use crate::events::Signals;
use crate::fleet::Fleet;
#[cfg(feature = "http")]
use crate::fleet::{Discovery, LookupdOptions, lookupd_options};
use crate::runtime::Io;

/// Makes a [`Consumer`].
///
/// # Where messages come from
///
/// ```no_run
/// # use std::time::Duration;
/// # use gnsq::{Consumer, LookupdClient};
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // nsqds by name, and those that nsqlookupds know.
/// let consumer = Consumer::builder("orders", "billing")
///     .nsqds(["10.0.0.1", "10.0.0.2:4150"])
///     .lookupd("http://nsqlookupd.internal:4161")
///     .lookupd_client(LookupdClient::builder("https://far.example").authorization("Bearer …").build()?)
///     .lookupd_poll_interval(Duration::from_secs(30))
///     .lookupd_poll_jitter(0.2)
///     .build()?;
/// # let _ = consumer;
/// # Ok(())
/// # }
/// ```
///
/// # The flow of messages
///
/// ```no_run
/// # use std::time::Duration;
/// # use gnsq::Consumer;
/// # fn example() -> gnsq::Result<()> {
/// let consumer = Consumer::builder("orders", "billing")
///     .nsqd("127.0.0.1:4150")
///     .max_in_flight(500)
///     .concurrency(50)
///     .low_ready_idle_timeout(Duration::from_secs(5))
///     .turns(Duration::from_millis(50), Duration::from_secs(1))
///     .shutdown_timeout(Duration::from_secs(60))
///     .build()?;
/// # let _ = consumer;
/// # Ok(())
/// # }
/// ```
///
/// # When handlers fail
///
/// ```no_run
/// # use std::time::Duration;
/// # use gnsq::{Consumer, MessageEvent};
/// # fn example() -> gnsq::Result<()> {
/// let consumer = Consumer::builder("orders", "billing")
///     .nsqd("127.0.0.1:4150")
///     .max_attempts(8)
///     .requeue_delay(Duration::from_secs(5))
///     .max_requeue_delay(Duration::from_secs(300))
///     .max_backoff(Duration::from_secs(30))
///     .backoff_on_late_finish(true)
///     .give_up_handler(|message: MessageEvent| async move {
///         eprintln!("gave up on {} of {} after {} attempts", message.id, message.topic, message.attempts);
///         Ok::<_, std::io::Error>(())
///     })
///     .build()?;
/// # let _ = consumer;
/// # Ok(())
/// # }
/// ```
///
/// # Connections
///
/// TLS, compression and AUTH have methods here; all else is in [`ConnectionConfig`].
///
/// ```no_run
/// # use std::time::Duration;
/// # use gnsq::{ConnectionConfig, Consumer};
/// # fn example() -> gnsq::Result<()> {
/// let consumer = Consumer::builder("orders", "billing")
///     .nsqd("127.0.0.1:4150")
///     .connection(ConnectionConfig::new().msg_timeout(Duration::from_secs(300)))
///     .auth_secret("of this service")
///     .max_reconnect_delay(Duration::from_secs(5))
///     .build()?;
/// # let _ = consumer;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until built"]
pub struct ConsumerBuilder {
    topics: Result<Topics>,
    channel: Result<ChannelName>,
    addresses: AddressList,
    #[cfg(feature = "http")]
    lookupds: LookupdOptions,
    io: Io,
    connection: ConnectionConfig,
    signals: Signals,
    max_in_flight: u32,
    max_in_flight_bytes: Option<u64>,
    auto_touch: bool,
    concurrency: usize,
    max_attempts: u16,
    give_up: Option<GiveUp>,
    requeue_delay: Duration,
    max_requeue_delay: Duration,
    requeue_policy: Option<RequeuePolicy>,
    backoff: Box<dyn BackoffStrategy>,
    backoff_on_late_finish: bool,
    rdy: RdySettings,
    max_reconnect_delay: Duration,
    shutdown_timeout: Duration,
    deliver_at: bool,
    pub(super) keyed: KeyedOptions,
}

impl ConsumerBuilder {
    pub(super) fn new<C>(topics: Result<Topics>, channel: C) -> Self
    where
        C: TryInto<ChannelName, Error: Into<Error>>,
    {
        Self {
            topics,
            channel: channel.try_into().map_err(Into::into),
            addresses: AddressList::default(),
            #[cfg(feature = "http")]
            lookupds: LookupdOptions::default(),
            io: Io::Dedicated,
            connection: ConnectionConfig::new(),
            signals: Signals::default(),
            max_in_flight: 200,
            max_in_flight_bytes: None,
            auto_touch: false,
            concurrency: 1,
            max_attempts: 5,
            give_up: None,
            requeue_delay: Duration::from_secs(90),
            max_requeue_delay: Duration::from_secs(15 * 60),
            requeue_policy: None,
            keyed: KeyedOptions::default(),
            backoff: Box::new(ExponentialBackoff::default()),
            backoff_on_late_finish: false,
            rdy: RdySettings::default(),
            max_reconnect_delay: Duration::from_secs(15),
            shutdown_timeout: Duration::from_secs(30),
            deliver_at: false,
        }
    }

    /// Adds topics, whose messages come from the same channel's name and count against the same
    /// [`max_in_flight`](Self::max_in_flight); [`Message::topic`](crate::Message::topic) tells them apart. Each topic has a
    /// connection to each nsqd. To consume all topics of a kind, see `Consumer::matching`.
    pub fn topics<T>(mut self, topics: impl IntoIterator<Item = T>) -> Self
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        for topic in topics {
            self.topics = self.topics.and_then(|mut topics| topics.add(topic).map(|()| topics));
        }
        self
    }

    /// Adds an nsqd to consume from. An address that can't be one makes [`build`](Self::build) fail.
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
        let low_latency = self.connection.low_latency;
        self.connection = config;
        self.connection.low_latency = low_latency;
        self
    }

    security_options!(connection);

    /// How many messages may be unanswered at once, on all connections together. It can be
    /// [changed](ConsumerHandle::set_max_in_flight) later. Default: 200.
    pub fn max_in_flight(mut self, count: u32) -> Self {
        self.max_in_flight = count;
        self
    }

    /// How many bytes the bodies of messages may have that were received and not dropped yet. Default: no limit.
    ///
    /// NSQ counts messages, not bytes. So `max_in_flight` is lowered to what the limit has room for by the size of the
    /// messages that came (1 MiB before any has), to 1 at least, and to 0 when the limit is reached, until a quarter of
    /// it is free. What nsqd was allowed to send before still comes: the limit can be exceeded by the sizes of as many
    /// messages as `max_in_flight` was at that moment, which matters where messages become much larger than those before.
    pub fn max_in_flight_bytes(mut self, bytes: u64) -> Self {
        self.max_in_flight_bytes = Some(bytes);
        self
    }

    /// Whether messages that somebody works on are touched before their time is over, so that nsqd doesn't give them to
    /// someone else: those in a handler's hands, also while it blocks its thread, those taken from the stream, and those
    /// that are [detached](crate::Message::detach). It ends at nsqd's `--max-msg-timeout` (15 min) after the delivery. Then
    /// the message expires as usual, and so does one that waits in the queue. Default: no.
    ///
    /// Mind that a message whose handler hangs is kept from others for so long.
    pub fn auto_touch(mut self, touch: bool) -> Self {
        self.auto_touch = touch;
        self
    }

    /// How many handlers run at once in [`Consumer::run`], 1 to 100,000. Default: 1.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers;
        self
    }

    /// Whether a quiet connection keeps its RDY at what is in flight and one more, and raises it when messages come
    /// one after the other. nsqd then sends a lone message at once, which it would otherwise hold back for its output
    /// buffer timeout, 250 ms. Default: yes.
    pub fn low_latency(mut self, follow: bool) -> Self {
        self.connection.low_latency = follow;
        self
    }

    /// For how long what a connection had in flight at most counts as what it needs of `max_in_flight`. While some
    /// connections could take more than their share, the others leave them all beyond that. Default: 10 s.
    pub fn low_ready_idle_timeout(mut self, timeout: Duration) -> Self {
        self.rdy.low_ready_idle_timeout = timeout;
        self
    }

    /// With more nsqds than `max_in_flight` they take turns: how long a turn without messages lasts, and how long one
    /// with messages does at most. It must be longer than a round trip. Defaults: 100 ms and 1 s.
    pub fn turns(mut self, without_messages: Duration, longest: Duration) -> Self {
        self.rdy.slice = without_messages;
        self.rdy.longest_turn = longest;
        self
    }

    /// The longest delay before another attempt to connect; the delays grow exponentially from 0.05 to 0.15 s, with full
    /// jitter. Default: 15 s.
    pub fn max_reconnect_delay(mut self, delay: Duration) -> Self {
        self.max_reconnect_delay = delay;
        self
    }

    /// How long a shutdown waits for messages that are in hand. Default: 30 s.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Whether messages that say when they are due, as [`Producer::publish_at`](crate::Producer::publish_at) makes them,
    /// are kept from the handlers until then. One that comes early is requeued, for up to
    /// [`max_defer`](ConnectionConfig::max_defer) at a time, which has to be no more than nsqd's `--max-req-timeout`. That is
    /// no failure: no backoff, and those deliveries don't count against [`max_attempts`](Self::max_attempts). nsqd counts
    /// them, though, in [`Message::attempts`](crate::Message::attempts). How many there were is known to the consumer that
    /// deferred the message last; another reckons it from the times, and gives the message an attempt too many rather than
    /// one too few. It reckons too low, and gives the message up too soon, where `max_defer` is more than nsqd's
    /// `--max-req-timeout`, or nsqd is restarted again and again.
    ///
    /// What is due is decided by this computer's clock. Messages without an [envelope](crate::envelope) are due at once.
    /// Default: no.
    pub fn deliver_at(mut self, heed: bool) -> Self {
        self.deliver_at = heed;
        self
    }

    /// Where the I/O runs. Default: [`Io::Dedicated`], a thread that no handler can block.
    pub fn io(mut self, io: Io) -> Self {
        self.io = io;
        self
    }

    /// What the consumer's [signals](ConsumerHandle::signals) are to be: so connected beforehand, receivers are told of the
    /// very first answers, too. Clients that are given the same signals share them. Default: its own.
    pub fn signals(mut self, signals: Signals) -> Self {
        self.signals = signals;
        self
    }

    /// Makes the consumer, which begins to connect in the background.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Address`] or [`Error::Option`] for what can't be used; to name neither an nsqd nor an
    /// nsqlookupd is one such thing.
    pub fn build(self) -> Result<Consumer> {
        self.start().map(Consumer::new)
    }

    /// Begins what runs in the background, for whoever takes the messages.
    pub(crate) fn start(mut self) -> Result<ConsumerHandle> {
        self.check()?;
        self.connection.prepare()?;
        let runtime = self.io.handle()?;
        let settings = Settings {
            topics: self.topics?,
            channel: self.channel?,
            concurrency: self.concurrency,
            max_attempts: self.max_attempts,
            give_up: self.give_up,
            requeue_delay: self.requeue_delay,
            max_requeue_delay: self.max_requeue_delay,
            requeue_policy: self.requeue_policy,
            keyed: self.keyed,
            auto_touch: self.auto_touch,
            backoff_on_late_finish: self.backoff_on_late_finish,
            shutdown_timeout: self.shutdown_timeout,
            deliver_at: self.deliver_at.then(|| DeliverAt::new(self.connection.limits.max_defer)),
        };
        let touching = Touching::new(runtime.clone());
        let core = Core::new(settings, self.signals, self.max_in_flight, self.max_in_flight_bytes, touching);
        let core = Arc::new(core);
        if self.auto_touch {
            Touching::start(&core);
        }
        #[cfg(feature = "http")]
        if !self.lookupds.is_empty() {
            let discovery = Discovery::new(core.settings.topics.clone(), self.lookupds, core.board.clone());
            let (stop, core) = (core.shutdown.requested.clone(), core.clone());
            runtime.spawn(discovery.run(stop, move || core.changed.notify_one()));
        }
        let stop = CancellationToken::new();
        let mut fleet = Fleet::new(core.clone(), self.connection, self.max_reconnect_delay, runtime.clone(), stop);
        for address in self.addresses.into_vec() {
            for topic in core.settings.topics.named() {
                fleet.add(topic.clone(), address.clone());
            }
        }
        let manager = Manager::new(core.clone(), self.rdy, Backoff::from_boxed(self.backoff), fleet);
        runtime.spawn(manager.run());
        Ok(ConsumerHandle { core })
    }

    fn check(&self) -> Result<()> {
        self.topics.as_ref().map_err(Clone::clone)?;
        self.channel.as_ref().map_err(Clone::clone)?;
        let addresses = self.addresses.check()?;
        let refuse = |option, reason: &str| Err(Error::Option { option, reason: reason.to_owned() });
        if self.connection.heartbeat_interval.is_none() {
            return refuse("heartbeat_interval", "nsqd lets nobody subscribe without heartbeats");
        }
        #[cfg(feature = "http")]
        self.lookupds.check()?;
        #[cfg(feature = "http")]
        let found = !self.lookupds.is_empty();
        #[cfg(not(feature = "http"))]
        let found = false;
        #[cfg(feature = "http")]
        if matches!(self.topics, Ok(Topics::Matching(_))) {
            if !addresses.is_empty() {
                return refuse("nsqd", "a pattern's topics are found through nsqlookupd: name no nsqd");
            }
            if !found {
                return refuse("lookupd", "a pattern's topics are found through nsqlookupd: name at least one");
            }
        }
        if addresses.is_empty() && !found {
            return refuse("nsqd", "name at least one nsqd or nsqlookupd");
        }
        if self.keyed.max_retry_delay > LONGEST {
            return refuse("max_keyed_retry_delay", "give at most 1 day");
        }
        if self.keyed.max_waiting == Some(0) {
            return refuse("max_waiting_per_key", "give 1 or more");
        }
        if self.max_in_flight_bytes == Some(0) {
            return refuse("max_in_flight_bytes", "give 1 or more");
        }
        if !(1..=MAX_CONCURRENCY).contains(&self.concurrency) {
            return refuse("concurrency", "give 1 to 100,000");
        }
        for (option, value) in [
            ("low_ready_idle_timeout", self.rdy.low_ready_idle_timeout),
            ("turns", self.rdy.slice),
            ("turns", self.rdy.longest_turn),
        ] {
            if value < SHORTEST || value > LONGEST {
                return refuse(option, "give from 1 ms to 1 day");
            }
        }
        if self.deliver_at && self.connection.limits.max_defer < SHORTEST {
            return refuse("max_defer", "give at least 1 ms, or no message could wait until it is due");
        }
        if self.shutdown_timeout > LONGEST {
            return refuse("shutdown_timeout", "give at most 1 day");
        }
        Ok(())
    }
}

impl fmt::Debug for ConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder")
            .field("topics", &self.topics)
            .field("channel", &self.channel)
            .field("addresses", &self.addresses)
            .field("max_in_flight", &self.max_in_flight)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// Each handler has a task of its own: more are a mistake.
const MAX_CONCURRENCY: usize = 100_000;

const SHORTEST: Duration = Duration::from_millis(1);
/// Keeps sums of times from overflowing.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
