//! What the parts of a consumer share.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
#[cfg(feature = "http")]
use std::time::Instant;

use futures_util::future::BoxFuture;
use gnsq_proto::{ChannelName, ErrorCode, ServerError, TopicName};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::deliver_at::DeliverAt;
use super::keyed::KeyedOptions;
use super::report::ShutdownReport;
use super::topics::Topics;
use super::touching::Touching;
use crate::address::Address;
use crate::connection::{Handle, Observer, Session};
use crate::error::{Error, Result};
use crate::events::{HandlerError, MessageEvent, Signals};
#[cfg(feature = "http")]
use crate::fleet::Board;
use crate::message::{Load, Message};
use crate::queue::Queue;
use crate::telemetry::{ConnectionMeter, ConsumerMeter};

pub(super) type RequeuePolicy = Arc<dyn Fn(&MessageEvent) -> Duration + Send + Sync>;

pub(super) type GiveUp = Arc<dyn Fn(MessageEvent) -> BoxFuture<'static, Result<(), HandlerError>> + Send + Sync>;

/// What a consumer was built with and doesn't change.
pub(super) struct Settings {
    pub(super) topics: Topics,
    pub(super) channel: ChannelName,
    pub(super) concurrency: usize,
    /// 0 for no limit.
    pub(super) max_attempts: u16,
    pub(super) give_up: Option<GiveUp>,
    pub(super) requeue_delay: Duration,
    pub(super) max_requeue_delay: Duration,
    pub(super) requeue_policy: Option<RequeuePolicy>,
    pub(super) keyed: KeyedOptions,
    /// Touch what is in hand.
    pub(super) auto_touch: bool,
    pub(super) backoff_on_late_finish: bool,
    pub(super) shutdown_timeout: Duration,
    pub(super) deliver_at: Option<DeliverAt>,
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) settings: Settings,
    pub(super) queue: Queue,
    pub(super) signals: Signals,
    pub(super) counters: Counters,
    pub(super) meter: ConsumerMeter,
    pub(super) max_in_flight: AtomicU32,
    /// What the messages in hand weigh, where that is limited.
    pub(super) load: Option<Arc<Load>>,
    pub(super) touching: Touching,
    pub(super) paused: AtomicBool,
    /// Whether backoff waits for one message's outcome.
    pub(super) probing: AtomicBool,
    pub(super) backing_off: AtomicBool,
    pub(super) inbox: Mutex<Inbox>,
    /// The inbox, `max_in_flight` or `paused` has changed.
    pub(super) changed: Arc<Notify>,
    pub(super) connections: Mutex<Vec<Handle>>,
    /// Where nsqds are, as nsqlookupds say.
    #[cfg(feature = "http")]
    pub(super) board: Arc<Board<(TopicName, Address)>>,
    pub(super) shutdown: Shutdown,
}

/// What has happened since the manager looked last. Counts rather than a list, so that it can't grow.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) failures: u32,
    pub(super) successes: u32,
    pub(super) up: Vec<Handle>,
    pub(super) down: Vec<Handle>,
    /// nsqds to connect to beside those that are known. As many as the program names.
    pub(super) named: Vec<Address>,
    /// Nobody looks any more.
    pub(super) closed: bool,
}

/// How often things have happened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: AtomicU64,
    pub(super) finished: AtomicU64,
    pub(super) requeued: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) deferred: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) too_late: AtomicU64,
    pub(super) given_up: AtomicU64,
    /// Came while the shutdown had begun, and went back.
    pub(super) dropped: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Shutdown {
    pub(super) requested: CancellationToken,
    /// Messages in hand are not waited for.
    pub(super) hurried: CancellationToken,
    pub(super) report: watch::Sender<Option<ShutdownReport>>,
}

impl Core {
    pub(super) fn new(
        settings: Settings,
        signals: Signals,
        max_in_flight: u32,
        max_in_flight_bytes: Option<u64>,
        touching: Touching,
    ) -> Self {
        let changed = Arc::new(Notify::new());
        Self {
            meter: ConsumerMeter::new(&settings.topics, &settings.channel),
            settings,
            queue: Queue::default(),
            signals,
            counters: Counters::default(),
            max_in_flight: AtomicU32::new(max_in_flight),
            load: max_in_flight_bytes.map(|bytes| Load::new(bytes, changed.clone())),
            touching,
            paused: AtomicBool::new(false),
            probing: AtomicBool::new(false),
            backing_off: AtomicBool::new(false),
            inbox: Mutex::default(),
            changed,
            connections: Mutex::default(),
            #[cfg(feature = "http")]
            board: Arc::default(),
            shutdown: Shutdown {
                requested: CancellationToken::new(),
                hurried: CancellationToken::new(),
                report: watch::Sender::new(None),
            },
        }
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connections(&self) -> MutexGuard<'_, Vec<Handle>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages may be in flight now.
    pub(super) fn allowed(&self) -> u32 {
        let most = self.max_in_flight.load(Ordering::Relaxed);
        self.load.as_ref().map_or(most, |load| load.allowed(most))
    }

    /// How long a message waits after its failed attempt number `attempts`. A requeue policy wants to see the message.
    pub(super) fn requeue_delay(&self, attempts: u16, message: Option<&MessageEvent>) -> Duration {
        if let (Some(policy), Some(message)) = (&self.settings.requeue_policy, message) {
            // A panic would end a task that has other messages to handle.
            if let Ok(delay) = catch_unwind(AssertUnwindSafe(|| policy(message))) {
                return delay;
            }
            tracing::error!(id = %message.id, "the requeue policy panicked: the usual delay is used");
        }
        let delay = self.settings.requeue_delay.saturating_mul(attempts.max(1).into());
        delay.min(self.settings.max_requeue_delay)
    }

    /// How long a message that keeps its place waits after its failed attempt number `attempts`.
    pub(super) fn retry_delay(&self, attempts: u16, message: Option<&MessageEvent>) -> Duration {
        if self.settings.requeue_policy.is_some() && message.is_some() {
            return self.requeue_delay(attempts, message);
        }
        let KeyedOptions { retry_delay, max_retry_delay, .. } = self.settings.keyed;
        let doubled = u32::from(attempts.saturating_sub(1)).min(MAX_DOUBLINGS);
        retry_delay.saturating_mul(1 << doubled).min(max_retry_delay)
    }

    /// A handler has failed, and is called again without a requeue.
    pub(super) fn failed_here(&self, backoff: bool) {
        self.counters.retried.fetch_add(1, Ordering::Relaxed);
        if backoff {
            self.tell(|inbox| inbox.failures += 1);
        }
    }

    /// Whether so many attempts are more than a message has.
    pub(super) fn exceeds_attempts(&self, attempts: u16) -> bool {
        self.settings.max_attempts > 0 && attempts > self.settings.max_attempts
    }

    /// Whether a message has had all its attempts.
    pub(super) fn is_exhausted(&self, message: &Message) -> bool {
        let most = self.settings.max_attempts;
        most > 0 && message.attempts() > most && self.attempts(message) > most
    }

    /// The message, to look at, if anyone will want to when its handler fails.
    pub(super) fn event(&self, message: &Message) -> Option<MessageEvent> {
        let listening = self.signals.on_exception.is_connected() || self.settings.requeue_policy.is_some();
        listening.then(|| MessageEvent::new(message))
    }

    /// How often a message was attempted, this time included.
    pub(super) fn attempts(&self, message: &Message) -> u16 {
        self.settings.deliver_at.as_ref().map_or_else(|| message.attempts(), |rule| rule.attempts(message))
    }

    pub(super) fn tell(&self, note: impl FnOnce(&mut Inbox)) {
        let mut inbox = self.inbox();
        if !inbox.closed {
            note(&mut inbox);
        }
        drop(inbox);
        self.changed.notify_one();
    }
}

impl Session for Core {
    type Purpose = TopicName;

    const WAITS: bool = true;

    fn subject<'a>(&'a self, topic: &'a TopicName) -> Option<(&'a TopicName, &'a ChannelName)> {
        Some((topic, &self.settings.channel))
    }

    fn meter(&self, topic: &TopicName, nsqd: &Address) -> ConnectionMeter {
        ConnectionMeter::of_consumer(topic, &self.settings.channel, nsqd)
    }

    fn observer(self: &Arc<Self>) -> Arc<dyn Observer> {
        self.clone()
    }

    async fn prepare(&self, connection: &Handle, topic: &TopicName) -> Result<()> {
        connection.subscribe(topic.clone(), self.settings.channel.clone()).await
    }

    fn up(&self, connection: &Handle) {
        self.connections().push(connection.clone());
        self.tell(|inbox| inbox.up.push(connection.clone()));
    }

    fn down(&self, connection: &Handle, _cause: &Error) {
        self.connections().retain(|other| other != connection);
        self.tell(|inbox| inbox.down.push(connection.clone()));
    }

    /// What nsqd refused, the connection has told.
    fn failed(&self, _address: &Address, _cause: &Error) {}

    /// Who subscribes to a topic that was just deleted makes it anew. So one that was found by a pattern has to be
    /// found once more.
    #[cfg(feature = "http")]
    async fn may_renew(&self, topic: &TopicName, nsqd: &Address) {
        if matches!(self.settings.topics, Topics::Matching(_)) {
            let forgotten = Instant::now() + TIME_TO_FORGET;
            self.board.hurry();
            self.board.found_since(&(topic.clone(), nsqd.clone()), forgotten).await;
        }
    }
}

impl Observer for Core {
    fn signals(&self) -> &Signals {
        &self.signals
    }

    fn messages(&self, batch: &mut Vec<Message>) {
        self.counters.received.fetch_add(batch.len() as u64, Ordering::Relaxed);
        if let Some(rule) = &self.settings.deliver_at {
            let deferred = rule.defer_early(batch) as u64;
            self.counters.deferred.fetch_add(deferred, Ordering::Relaxed);
        }
        if let Some(load) = &self.load {
            for message in &mut *batch {
                load.carry(message);
            }
        }
        let dropped = self.queue.push(batch) as u64;
        self.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    fn attention(&self) {
        self.changed.notify_one();
    }

    fn finished(&self) {
        self.counters.finished.fetch_add(1, Ordering::Relaxed);
        if self.probing.load(Ordering::Relaxed) {
            self.tell(|inbox| inbox.successes += 1);
        }
    }

    fn requeued(&self, backoff: bool) {
        self.counters.requeued.fetch_add(1, Ordering::Relaxed);
        if backoff {
            self.tell(|inbox| inbox.failures += 1);
        }
    }

    fn late_finish(&self) {
        if self.settings.backoff_on_late_finish {
            self.tell(|inbox| inbox.failures += 1);
        }
    }

    fn error(&self, error: &ServerError) {
        if !error.is_fatal() {
            self.counters.too_late.fetch_add(1, Ordering::Relaxed);
        }
        if *error.code() == ErrorCode::FinFailed {
            self.late_finish();
        }
    }

    fn expired(&self) {
        self.counters.expired.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("topics", &self.topics)
            .field("channel", &self.channel)
            .field("concurrency", &self.concurrency)
            .field("max_attempts", &self.max_attempts)
            .finish_non_exhaustive()
    }
}

/// The delay is at its maximum long before.
const MAX_DOUBLINGS: u32 = 30;

/// How long it may take until nsqlookupd has forgotten a topic of which nsqd has closed the consumers' connections.
#[cfg(feature = "http")]
const TIME_TO_FORGET: Duration = Duration::from_millis(500);
