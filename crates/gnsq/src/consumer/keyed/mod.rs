//! Handling the messages of a key in order, and those of different keys at once.

mod line;
mod lines;
#[cfg(test)]
mod lines_tests;
mod options;

use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gnsq_proto::MessageId;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use self::line::{Rules, Waiting};
use self::lines::{Job, Lines};
pub(super) use self::options::KeyedOptions;
use super::core::Core;
use super::handler::{Seen, attempt};
use super::inlet::{Inlet, consent};
use super::report::ShutdownReport;
use super::touching::Touching;
use super::{Consumer, ConsumerHandle, sleep_until};
use crate::events::{HandlerError, MessageEvent};
use crate::message::{Held, Message, Verdict};
use crate::moment::Moment;
use crate::trace::message_event;

impl Consumer {
    /// As [`run`](Self::run), but the messages of a key are handled one after the other, in the order in which they
    /// came; those of different keys at once, as many as the [concurrency](super::ConsumerBuilder::concurrency) says.
    ///
    /// ```no_run
    /// # async fn example() -> gnsq::Result<()> {
    /// use gnsq::{Consumer, HandlerError, Message};
    ///
    /// let consumer = Consumer::builder("orders", "billing").nsqd("127.0.0.1:4150").concurrency(8).build()?;
    /// // The customer stands before the first comma.
    /// let customer = |message: &Message| message.body().split(|byte| *byte == b',').next().map(<[u8]>::to_vec);
    /// consumer
    ///     .run_keyed(customer, |message: Message| async move {
    ///         println!("{:?}", message.body());
    ///         Ok::<_, HandlerError>(())
    ///     })
    ///     .await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Failures
    ///
    /// A message whose handler fails or panics isn't requeued: it is tried again here, before any other of its key, after
    /// a [delay](super::ConsumerBuilder::keyed_retry_delay) that grows, or the one that the [handler](crate::Requeue::after)
    /// or a [policy](super::ConsumerBuilder::requeue_policy) asks for. Each try is an attempt, and counts for backoff as usual.
    /// After [`max_attempts`](super::ConsumerBuilder::max_attempts) the give-up handler has it, and is tried again in the same
    /// way should it fail. Then comes the next of the key. A message that the handler answers itself, or
    /// [detaches](Message::detach), is done for its key when the handler ends.
    ///
    /// # What waits
    ///
    /// What waits here for its key is touched, and so is what is being handled, until nsqd's `--max-msg-timeout` (15 min):
    /// [`auto_touch`](super::ConsumerBuilder::auto_touch) is on. It counts as in flight. Behind a message that has failed, or
    /// that has been at its handler for longer than the message timeout, no more than
    /// [`max_waiting_per_key`](super::ConsumerBuilder::max_waiting_per_key) wait. The others of its key, and those that can't be held
    /// any longer, are requeued for the [longest retry delay](super::ConsumerBuilder::max_keyed_retry_delay), and have their
    /// place in the order when they come back; those deliveries don't count as attempts.
    ///
    /// A shutdown requeues at once what waits.
    ///
    /// # What order is kept
    ///
    /// NSQ promises none. One nsqd delivers in the order of publishing what fits in its memory and is delivered for
    /// the first time, and that order of each key is kept here, with failures, and for up to 20,000 messages at a time
    /// that had to be requeued. So let a key be published to one nsqd (a producer can choose it by key), and let one process
    /// consume the channel. What changes the order nevertheless: a queue that overflows to nsqd's disk, a restart
    /// of nsqd or of the consumer, a connection that ends (what it brought is waited for, what was still under way isn't
    /// known), a message that its handler requeues, and a delay that is longer than nsqd's `--max-req-timeout`.
    pub async fn run_keyed<K, Q, H, F, E>(mut self, key: Q, handler: H) -> ShutdownReport
    where
        K: Hash + Eq + Clone + Send + 'static,
        Q: Fn(&Message) -> K + Send + 'static,
        H: Fn(Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        let mut workers = JoinSet::new();
        if let Some(giving_up) = self.inlet.rest() {
            workers.spawn(giving_up);
        }
        for work in self.handle().work_in_order(key, handler) {
            workers.spawn(work);
        }
        self.handle().finished().await
    }
}

impl ConsumerHandle {
    /// All that is to run at once, until the consumer has shut down: one that puts messages in line, and those that handle
    /// them.
    pub(crate) fn work_in_order<K, Q, H, F, E>(&self, key: Q, handler: H) -> Vec<BoxFuture<'static, ()>>
    where
        K: Hash + Eq + Clone + Send + 'static,
        Q: Fn(&Message) -> K + Send + 'static,
        H: Fn(Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        Touching::start(&self.core);
        let keyed = Arc::new(Keyed::new(self.core.clone()));
        let handler = Arc::new(handler);
        let handlers = (0..self.core.settings.concurrency).map(|_| work(keyed.clone(), handler.clone()).boxed());
        let mut all: Vec<_> = handlers.collect();
        all.push(distribute(keyed, key).boxed());
        all
    }
}

/// What the one who puts messages in line and those who handle them share.
struct Keyed<K> {
    core: Arc<Core>,
    lines: Mutex<Lines<K, Held>>,
    /// A message may be handled.
    ready: Notify,
    /// There is something to send back, or to do earlier than expected.
    distributor: Notify,
}

impl<K: Hash + Eq + Clone> Keyed<K> {
    fn new(core: Arc<Core>) -> Self {
        let options = &core.settings.keyed;
        let half = core.max_in_flight.load(Ordering::Relaxed) / 2;
        let most_waiting = options.max_waiting.unwrap_or(half).max(1) as usize;
        let rules = Rules { most_waiting, away: options.max_retry_delay.max(SHORTEST_AWAY) };
        Self { core, lines: Mutex::new(Lines::new(rules)), ready: Notify::new(), distributor: Notify::new() }
    }

    /// Does something with the lines, and what follows from it.
    fn with<T>(&self, change: impl FnOnce(&mut Lines<K, Held>) -> T) -> T {
        let mut lines = self.lines();
        let before = lines.next_timeout();
        let result = change(&mut lines);
        let (ready, after) = (lines.is_ready(), lines.next_timeout());
        let sooner = after.is_some_and(|after| before.is_none_or(|before| after < before));
        let busy = sooner || lines.has_outgoing();
        drop(lines);
        if ready {
            self.ready.notify_one();
        }
        if busy {
            self.distributor.notify_one();
        }
        result
    }

    /// Requeues what can't wait here. Only the distributor does, so that it happens in order.
    fn send_back(&self) {
        let outgoing = self.lines().outgoing();
        let now = Instant::now();
        for (message, delay) in outgoing {
            let id = message.id();
            if let Err(error) = message.settle(Verdict::Requeue { delay, backoff: false }, now) {
                tracing::debug!(%id, %error, "a message that can't wait for its key could not be requeued");
            }
        }
    }

    /// The next message to handle; `None` when the consumer has shut down.
    async fn next(&self) -> Option<Job<K, Held>> {
        loop {
            let ready = self.ready.notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            let now = Instant::now();
            if let Some(job) = self.with(|lines| lines.take(now)) {
                return Some(job);
            }
            if self.lines().is_closed() {
                return None;
            }
            ready.await;
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines<K, Held>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts what comes in line, one after the other.
async fn distribute<K, Q>(keyed: Arc<Keyed<K>>, key: Q)
where
    K: Hash + Eq + Clone,
    Q: Fn(&Message) -> K,
{
    let core = &keyed.core;
    let mut inlet = Inlet::touching(core.clone());
    loop {
        keyed.send_back();
        let timeout = keyed.lines().next_timeout();
        let message = tokio::select! {
            biased;
            () = sleep_until(timeout) => {
                let now = Instant::now();
                keyed.with(|lines| lines.on_timeout(now));
                continue;
            }
            () = keyed.distributor.notified() => continue,
            message = inlet.next_fresh() => message,
        };
        let Some(message) = message else { break };
        let now = Instant::now();
        let Ok(key) = catch_unwind(AssertUnwindSafe(|| key(&message))) else {
            message_event!(ERROR, message.connection(), message.id(), "the key function panicked");
            let delay = core.requeue_delay(message.attempts(), None);
            // Should it fail, it is the connection's end, of which others tell.
            let _ = message.requeue(delay);
            continue;
        };
        let delivered = core.attempts(&message);
        let held = Held::new(message);
        keyed.with(|lines| lines.arrive(key, held, delivered, now));
    }
    let waiting = keyed.lines().close();
    keyed.ready.notify_waiters();
    keyed.send_back();
    let now = Instant::now();
    for entry in waiting.into_iter().filter(|entry| !entry.message.is_lost(now)) {
        core.counters.dropped.fetch_add(1, Ordering::Relaxed);
        let delay = entry.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        // Should it fail, it is the connection's end, of which others tell.
        let _ = entry.message.settle(Verdict::Requeue { delay, backoff: false }, now);
    }
}

async fn work<K, H, F, E>(keyed: Arc<Keyed<K>>, handler: Arc<H>)
where
    K: Hash + Eq + Clone,
    H: Fn(Message) -> F,
    F: Future<Output = Result<(), E>>,
    E: Into<HandlerError>,
{
    let core = &keyed.core;
    while let Some(job) = keyed.next().await {
        let attempts = job.entry.attempts();
        let message = job.entry.message.message(attempts);
        let verdict = if core.exceeds_attempts(attempts) {
            match consent(core, &message, attempts).await {
                Ok(()) => Verdict::Finish,
                Err(event) => Verdict::Requeue { delay: core.retry_delay(attempts, Some(&event)), backoff: true },
            }
        } else {
            let connection = job.entry.message.connection();
            let began = Moment::now();
            let delay = |event: Option<&MessageEvent>| core.retry_delay(attempts, event);
            let seen = Seen { id: message.id(), attempts, event: core.event(&message) };
            let call = pin!(async { handler(message).await });
            let verdict = attempt(core, connection, seen, call, delay).await;
            connection.meter().handler.record_time(began, Moment::now());
            verdict
        };
        settle(&keyed, job, verdict);
    }
}

/// A call of the handler has ended so: makes room for the next of its key, or puts it in line again.
fn settle<K: Hash + Eq + Clone>(keyed: &Keyed<K>, job: Job<K, Held>, verdict: Verdict) {
    let now = Instant::now();
    let message = &job.entry.message;
    let connection = message.connection().clone();
    let (id, extra, due) = (message.id(), job.entry.extra, message.deadline().max(now));
    if message.is_settled() {
        keyed.with(|lines| lines.done(job.key, now));
        return;
    }
    let (key, result) = match verdict {
        Verdict::Requeue { delay, backoff } if !message.is_lost(now) => {
            // A delay that reaches beyond all time is as good as none that ends.
            let at = now.checked_add(delay).unwrap_or(now + LONGEST_DELAY);
            let Some(job) = keyed.with(|lines| lines.retry(job, at, now)) else {
                keyed.core.failed_here(backoff);
                return;
            };
            // The consumer is shutting down.
            (job.key, job.entry.message.settle(verdict, now))
        }
        verdict => (job.key, job.entry.message.settle(verdict, now)),
    };
    if let Err(error) = result {
        message_event!(WARN, connection, id, %error, "a handled message could not be answered, and will be handled again");
        keyed.with(|lines| lines.lost(key, id, extra, due, now));
    } else {
        keyed.with(|lines| lines.done(key, now));
    }
}

impl Waiting for Held {
    fn id(&self) -> MessageId {
        Self::id(self)
    }

    fn is_lost(&self, now: Instant) -> bool {
        Self::is_lost(self, now)
    }

    fn deadline(&self) -> Instant {
        Self::deadline(self)
    }

    fn cap(&self) -> Instant {
        Self::cap(self)
    }

    fn msg_timeout(&self) -> Duration {
        Self::msg_timeout(self)
    }
}

/// Less would be a busy loop through nsqd.
const SHORTEST_AWAY: Duration = Duration::from_millis(100);

/// Keeps sums of times from overflowing.
const LONGEST_DELAY: Duration = Duration::from_secs(365 * 24 * 60 * 60);
