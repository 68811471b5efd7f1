//! The options of a consumer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use gnsq_proto::{Backoff, BackoffStrategy, ChannelName, ExponentialBackoff, RdySettings, TopicName};

use super::core::{Core, GiveUp, RequeuePolicy, Settings};
#[cfg(feature = "http")]
use super::discovery::Discovery;
use super::inlet::Inlet;
use super::manager::Manager;
use super::touching::Touching;
use super::{Consumer, ConsumerHandle};
use crate::address::{Address, AddressList};
use crate::config::{ConnectionConfig, security_options};
use crate::error::{Error, Result};
use crate::events::{HandlerError, MessageEvent};
#[cfg(feature = "http")]
use crate::http::LookupdClient;
use crate::runtime::Io;

/// Makes a [`Consumer`].
#[must_use = "a builder does nothing until built"]
pub struct ConsumerBuilder {
    names: Result<(TopicName, ChannelName)>,
    addresses: AddressList,
    #[cfg(feature = "http")]
    lookupds: Result<Vec<LookupdClient>>,
    #[cfg(feature = "http")]
    poll_interval: Duration,
    #[cfg(feature = "http")]
    poll_jitter: f64,
    io: Io,
    connection: ConnectionConfig,
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
}

impl ConsumerBuilder {
    pub(super) fn new<T, C>(topic: T, channel: C) -> Self
    where
        T: TryInto<TopicName, Error: Into<Error>>,
        C: TryInto<ChannelName, Error: Into<Error>>,
    {
        let names = topic
            .try_into()
            .map_err(Into::into)
            .and_then(|topic| Ok((topic, channel.try_into().map_err(Into::<Error>::into)?)));
        Self {
            names,
            addresses: AddressList::default(),
            #[cfg(feature = "http")]
            lookupds: Ok(Vec::new()),
            #[cfg(feature = "http")]
            poll_interval: Duration::from_secs(60),
            #[cfg(feature = "http")]
            poll_jitter: 0.3,
            io: Io::Dedicated,
            connection: ConnectionConfig::new(),
            max_in_flight: 200,
            max_in_flight_bytes: None,
            auto_touch: false,
            concurrency: 1,
            max_attempts: 5,
            give_up: None,
            requeue_delay: Duration::from_secs(90),
            max_requeue_delay: Duration::from_secs(15 * 60),
            requeue_policy: None,
            backoff: Box::new(ExponentialBackoff::default()),
            backoff_on_late_finish: false,
            rdy: RdySettings::default(),
            max_reconnect_delay: Duration::from_secs(15),
            shutdown_timeout: Duration::from_secs(30),
        }
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

    /// Adds an nsqlookupd to find nsqds through, by its HTTP address, such as `http://127.0.0.1:4161`. All are asked
    /// at every address of their names, and all that any of them knows is used.
    #[cfg(feature = "http")]
    pub fn lookupd(mut self, address: impl Into<String>) -> Self {
        match (&mut self.lookupds, LookupdClient::new(address)) {
            (Ok(clients), Ok(client)) => clients.push(client),
            (Ok(_), Err(error)) => {
                self.lookupds = Err(Error::Option { option: "lookupd", reason: error.to_string() });
            }
            (Err(_), _) => {}
        }
        self
    }

    /// Adds several nsqlookupds.
    #[cfg(feature = "http")]
    pub fn lookupds<A: Into<String>>(self, addresses: impl IntoIterator<Item = A>) -> Self {
        addresses.into_iter().fold(self, Self::lookupd)
    }

    /// Adds an nsqlookupd by a client with options of its own: an `Authorization` header, timeouts.
    #[cfg(feature = "http")]
    pub fn lookupd_client(mut self, client: LookupdClient) -> Self {
        if let Ok(clients) = &mut self.lookupds {
            clients.push(client);
        }
        self
    }

    /// How often the nsqlookupds are asked. Until there is an nsqd, and after failures, they are asked sooner, at
    /// delays that grow from 0.25 s up to this. Default: 60 s.
    #[cfg(feature = "http")]
    pub fn lookupd_poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// By which part each interval is shortened or lengthened at random, from 0 to 1, so that many consumers don't
    /// ask at once. Default: 0.3.
    #[cfg(feature = "http")]
    pub fn lookupd_poll_jitter(mut self, part: f64) -> Self {
        self.poll_jitter = part;
        self
    }

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

    /// After how many attempts a message is given up; 0 for never. Default: 5.
    pub fn max_attempts(mut self, attempts: u16) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// What to do with a message before it is given up: store it, publish it elsewhere. When the handler returns
    /// `Ok` the message is finished; otherwise it is requeued, and will come here again. Without one, a message that
    /// is given up is logged and lost.
    ///
    /// ```
    /// # fn example(producer: gnsq::Producer) -> gnsq::ConsumerBuilder {
    /// gnsq::Consumer::builder("orders", "billing").give_up_handler(move |message| {
    ///     let producer = producer.clone();
    ///     async move { producer.publish("orders.dead", message.body).await }
    /// })
    /// # }
    /// ```
    pub fn give_up_handler<H, F, E>(mut self, handler: H) -> Self
    where
        H: Fn(MessageEvent) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError>,
    {
        self.give_up = Some(Arc::new(move |message| handler(message).map(|result| result.map_err(Into::into)).boxed()));
        self
    }

    /// How long a message waits after a failed attempt, times the number of attempts it has had. Default: 90 s.
    pub fn requeue_delay(mut self, delay: Duration) -> Self {
        self.requeue_delay = delay;
        self
    }

    /// The most that [`requeue_delay`](Self::requeue_delay) grows to; nsqd allows its `--max-req-timeout` (1 h).
    /// Default: 15 min.
    pub fn max_requeue_delay(mut self, delay: Duration) -> Self {
        self.max_requeue_delay = delay;
        self
    }

    /// Replaces [`requeue_delay`](Self::requeue_delay) and [`max_requeue_delay`](Self::max_requeue_delay): how long a
    /// message waits after a failure. A handler that asks for a [delay of its own](crate::Requeue::after) has it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = gnsq::Consumer::builder("orders", "billing")
    ///     .requeue_policy(|message| Duration::from_secs(1 << message.attempts.min(10)));
    /// # let _ = builder;
    /// ```
    pub fn requeue_policy<P>(mut self, policy: P) -> Self
    where
        P: Fn(&MessageEvent) -> Duration + Send + Sync + 'static,
    {
        self.requeue_policy = Some(Arc::new(policy));
        self
    }

    /// The longest wait of backoff: after a failure the consumer takes no messages for a random time, up to 1 s after
    /// the first and twice as long after each further one. Zero turns backoff off. Default: 2 min.
    pub fn max_backoff(self, longest: Duration) -> Self {
        self.backoff_strategy(ExponentialBackoff { max: longest, ..ExponentialBackoff::default() })
    }

    /// Replaces how long backoff waits.
    pub fn backoff_strategy(mut self, strategy: impl BackoffStrategy + 'static) -> Self {
        self.backoff = Box::new(strategy);
        self
    }

    /// Whether a finish that came too late counts as a failure: handlers are slower than the message timeout, and
    /// fewer messages at once may help. Default: no.
    pub fn backoff_on_late_finish(mut self, backoff: bool) -> Self {
        self.backoff_on_late_finish = backoff;
        self
    }

    /// Whether a quiet connection keeps its RDY at what is in flight and one more, and raises it when messages come
    /// one after the other. nsqd then sends a lone message at once, which it would otherwise hold back for its output
    /// buffer timeout, 250 ms. Default: yes.
    pub fn low_latency(mut self, follow: bool) -> Self {
        self.connection.low_latency = follow;
        self
    }

    /// For how long a connection may be without messages before others may use its share of `max_in_flight`.
    /// Default: 10 s.
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

    /// Where the I/O runs. Default: [`Io::Dedicated`], a thread that no handler can block.
    pub fn io(mut self, io: Io) -> Self {
        self.io = io;
        self
    }

    /// Makes the consumer, which begins to connect in the background.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Address`] or [`Error::Option`] for what can't be used; to name neither an nsqd nor an
    /// nsqlookupd is one such thing.
    pub fn build(mut self) -> Result<Consumer> {
        self.check()?;
        self.connection.prepare()?;
        let (topic, channel) = self.names?;
        let runtime = self.io.handle()?;
        let settings = Settings {
            topic,
            channel,
            concurrency: self.concurrency,
            max_attempts: self.max_attempts,
            give_up: self.give_up,
            requeue_delay: self.requeue_delay,
            max_requeue_delay: self.max_requeue_delay,
            requeue_policy: self.requeue_policy,
            auto_touch: self.auto_touch,
            backoff_on_late_finish: self.backoff_on_late_finish,
            shutdown_timeout: self.shutdown_timeout,
        };
        let core = Arc::new(Core::new(settings, self.max_in_flight, self.max_in_flight_bytes));
        if self.auto_touch {
            Touching::start(&core, &runtime);
        }
        #[cfg(feature = "http")]
        {
            let lookupds = self.lookupds?;
            if !lookupds.is_empty() {
                let discovery = Discovery::new(core.clone(), lookupds, self.poll_interval, self.poll_jitter);
                runtime.spawn(discovery.run());
            }
        }
        let backoff = Backoff::from_boxed(self.backoff);
        let manager =
            Manager::new(core.clone(), self.rdy, backoff, self.connection, self.max_reconnect_delay, runtime.clone());
        runtime.spawn(manager.run(self.addresses.into_vec()));
        Ok(Consumer { inlet: Inlet::new(core.clone()), handle: ConsumerHandle { core } })
    }

    fn check(&self) -> Result<()> {
        if let Err(error) = &self.names {
            return Err(error.clone());
        }
        let addresses = self.addresses.check()?;
        let refuse = |option, reason: &str| Err(Error::Option { option, reason: reason.to_owned() });
        if self.connection.heartbeat_interval.is_none() {
            return refuse("heartbeat_interval", "nsqd lets nobody subscribe without heartbeats");
        }
        #[cfg(feature = "http")]
        let found = !self.lookupds.as_ref().map_err(Clone::clone)?.is_empty();
        #[cfg(not(feature = "http"))]
        let found = false;
        if addresses.is_empty() && !found {
            return refuse("nsqd", "name at least one nsqd or nsqlookupd");
        }
        if self.max_in_flight_bytes == Some(0) {
            return refuse("max_in_flight_bytes", "give 1 or more");
        }
        if !(1..=MAX_CONCURRENCY).contains(&self.concurrency) {
            return refuse("concurrency", "give 1 to 100,000");
        }
        #[cfg(feature = "http")]
        if !(0.0..=1.0).contains(&self.poll_jitter) {
            return refuse("lookupd_poll_jitter", "give 0 to 1");
        }
        #[cfg(feature = "http")]
        if self.poll_interval < SHORTEST || self.poll_interval > LONGEST {
            return refuse("lookupd_poll_interval", "give from 1 ms to 1 day");
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
        if self.shutdown_timeout > LONGEST {
            return refuse("shutdown_timeout", "give at most 1 day");
        }
        Ok(())
    }
}

impl fmt::Debug for ConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder")
            .field("names", &self.names)
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
