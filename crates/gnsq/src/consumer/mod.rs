//! Consuming a channel from any number of nsqds.

mod batch;
mod builder;
mod core;
mod deliver_at;
mod handler;
mod inlet;
mod keyed;
mod manager;
mod report;
mod topics;
mod touching;

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
#[cfg(feature = "blocking")]
use std::time::Duration;
use std::time::Instant;

use futures_util::Stream;
use tokio_util::sync::DropGuard;

pub use self::batch::BatchOutcome;
pub use self::builder::ConsumerBuilder;
use self::core::Core;
pub(crate) use self::deliver_at::whole_millis;
pub use self::handler::Requeue;
pub(crate) use self::inlet::Inlet;
pub use self::report::{ConsumerStats, ShutdownReport};
use self::topics::Topics;
use crate::address::Address;
use crate::connection::{ConnectionStats, Handle};
use crate::error::{Error, Result};
use crate::events::Signals;
use crate::message::Message;
use gnsq_proto::{ChannelName, TopicName};

/// Takes the messages of a channel from one or several nsqds, named or found through nsqlookupd.
///
/// Use it as a [`Stream`] of messages that you answer yourself, or give it a handler with [`run`](Self::run).
///
/// Delivery is at least once, as NSQ's own. A message is finished only by a handler's success or your call; one that
/// is dropped is requeued. Heartbeats, RDY and discovery wait for no handler.
///
/// **Shutdown** ([`ConsumerHandle::shutdown`], or a drop, in the background) takes no new messages, gives back at once
/// what nobody has begun, waits for what is in hand up to the
/// [time limit](ConsumerBuilder::shutdown_timeout), requeues the rest, and closes the connections when nsqd has
/// read all of it. It tells in a [`ShutdownReport`].
///
/// ```no_run
/// # async fn example() -> gnsq::Result<()> {
/// use gnsq::{Consumer, Message};
///
/// let consumer = Consumer::builder("orders", "billing").nsqd("127.0.0.1:4150").max_in_flight(200).build()?;
/// let handle = consumer.handle().clone();
/// tokio::spawn(async move {
///     tokio::signal::ctrl_c().await.ok();
///     handle.shutdown().await;
/// });
/// let report = consumer
///     .run(|message: Message| async move {
///         println!("{:?}", message.body());
///         Ok::<_, std::io::Error>(())
///     })
///     .await;
/// println!("{report:?}");
/// # Ok(())
/// # }
/// ```
pub struct Consumer {
    inlet: Inlet,
    handle: ConsumerHandle,
    /// Asks for a shutdown when dropped.
    stop: DropGuard,
}

/// Steers a [`Consumer`] from anywhere. Clones are the same consumer's.
#[derive(Debug, Clone)]
pub struct ConsumerHandle {
    core: Arc<Core>,
}

impl Consumer {
    /// Begins with the topic and channel, and the defaults. A name that can't be one makes
    /// [`build`](ConsumerBuilder::build) fail.
    pub fn builder<T, C>(topic: T, channel: C) -> ConsumerBuilder
    where
        T: TryInto<TopicName, Error: Into<Error>>,
        C: TryInto<ChannelName, Error: Into<Error>>,
    {
        let mut topics = Topics::Named(BTreeSet::new());
        ConsumerBuilder::new(topics.add(topic).map(|()| topics), channel)
    }

    /// Begins with a pattern: takes the messages of this channel of all topics whose names match, as nsqlookupd knows
    /// them. The pattern is an expression of the [`regex`](https://docs.rs/regex) crate and may match anywhere in a
    /// name: use `^` and `$` for a whole one. One that is none makes [`build`](ConsumerBuilder::build) fail.
    ///
    /// Each topic has a connection to each of its nsqds, all under one
    /// [`max_in_flight`](ConsumerBuilder::max_in_flight); where there are more connections than that, they
    /// [take turns](ConsumerBuilder::turns). A topic that is new is found when the nsqlookupds are asked
    /// [next](ConsumerBuilder::lookupd_poll_interval). A connection that ends is renewed when they have confirmed, half a
    /// second later or more, that its nsqd still has the topic: a topic that is deleted stays so.
    ///
    /// It needs an nsqlookupd, and takes no nsqd by its address.
    ///
    /// ```no_run
    /// # async fn example() -> gnsq::Result<()> {
    /// use gnsq::Consumer;
    ///
    /// let mut consumer =
    ///     Consumer::matching(r"^orders\.", "archive").lookupd("http://127.0.0.1:4161").max_in_flight(500).build()?;
    /// while let Some(message) = consumer.recv().await {
    ///     println!("{}: {:?}", message.topic(), message.body());
    ///     message.finish()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "http")]
    pub fn matching<C>(pattern: &str, channel: C) -> ConsumerBuilder
    where
        C: TryInto<ChannelName, Error: Into<Error>>,
    {
        ConsumerBuilder::new(Topics::matching(pattern), channel)
    }

    /// The next message; `None` when the consumer has been shut down. Messages whose time has run out are left out,
    /// and those with too many attempts go to the give-up handler.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    pub async fn recv(&mut self) -> Option<Message> {
        self.inlet.next().await
    }

    /// Adds to `into` the messages that are there, `limit` at most, and waits if there are none. Returns how many there
    /// were: 0 when the consumer has been shut down, or for a `limit` of 0.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    pub async fn recv_many(&mut self, into: &mut Vec<Message>, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        let before = into.len();
        let Some(first) = self.recv().await else { return 0 };
        into.push(first);
        self.inlet.take(into, limit - 1);
        into.len() - before
    }

    pub(crate) fn new(handle: ConsumerHandle) -> Self {
        let stop = handle.core.shutdown.requested.clone().drop_guard();
        Self { inlet: handle.inlet(), handle, stop }
    }

    /// Steers this consumer from elsewhere.
    pub fn handle(&self) -> &ConsumerHandle {
        &self.handle
    }

    /// The way in which its messages are taken, with what that has begun; the handle, and what shuts it down when dropped.
    pub(crate) fn into_parts(self) -> (Inlet, ConsumerHandle, DropGuard) {
        (self.inlet, self.handle, self.stop)
    }

    fn core(&self) -> &Arc<Core> {
        &self.handle.core
    }
}

impl Stream for Consumer {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.inlet.poll_next(cx)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.core().settings;
        f.debug_struct("Consumer")
            .field("topics", &settings.topics)
            .field("channel", &settings.channel)
            .field("stats", &self.handle.stats())
            .finish_non_exhaustive()
    }
}

impl ConsumerHandle {
    /// Shuts the consumer down and tells how it went. Later calls give the same report. Should the runtime of the
    /// consumer's [`Io`](crate::Io) have ended before, there was nothing to do, and the report is empty.
    pub async fn shutdown(&self) -> ShutdownReport {
        self.request_shutdown();
        self.finished().await
    }

    /// Waits until the consumer is shut down by someone else.
    pub async fn finished(&self) -> ShutdownReport {
        let mut report = self.core.shutdown.report.subscribe();
        // The sender lives in the same place as this handle, so it can't be gone.
        let report = report.wait_for(Option::is_some).await.map(|report| report.clone());
        report.ok().flatten().unwrap_or_default()
    }

    /// Takes no more messages for now. Those that were sent before still arrive.
    pub fn pause(&self) {
        self.set_paused(true);
    }

    /// Takes messages again.
    pub fn resume(&self) {
        self.set_paused(false);
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.core.paused.load(Ordering::Relaxed)
    }

    /// Changes how many messages may be unanswered at once, on all connections together; 0 takes none.
    pub fn set_max_in_flight(&self, max_in_flight: u32) {
        self.core.max_in_flight.store(max_in_flight, Ordering::Relaxed);
        self.core.changed.notify_one();
    }

    /// How many messages may be unanswered at once.
    pub fn max_in_flight(&self) -> u32 {
        self.core.max_in_flight.load(Ordering::Relaxed)
    }

    /// Whether some connection's messages in flight are at 85 % or more of what it may have by `max_in_flight`: a batch
    /// that waits for more messages should be worked on now, since few may come.
    pub fn is_starved(&self) -> bool {
        self.core.connections().iter().any(|connection| {
            let in_flight = u64::from(connection.in_flight());
            in_flight > 0 && in_flight * 100 >= u64::from(connection.share()) * 85
        })
    }

    /// How many messages were received and not answered yet.
    pub fn total_in_flight(&self) -> u32 {
        self.core.connections().iter().map(Handle::in_flight).sum()
    }

    /// All connections' RDY together. It follows the load: a quiet connection has 1.
    pub fn total_ready(&self) -> u32 {
        self.core.connections().iter().map(Handle::ready_count).sum()
    }

    /// The counters, at this moment.
    pub fn stats(&self) -> ConsumerStats {
        let counters = &self.core.counters;
        let connections = self.core.connections().clone();
        ConsumerStats {
            connections: connections.len(),
            in_flight: connections.iter().map(Handle::in_flight).sum(),
            queued: self.core.queue.len(),
            bytes: self.core.load.as_ref().map_or(0, |load| load.held()),
            ready: connections.iter().map(Handle::ready_count).sum(),
            backing_off: self.core.backing_off.load(Ordering::Relaxed),
            received: counters.received.load(Ordering::Relaxed),
            finished: counters.finished.load(Ordering::Relaxed),
            requeued: counters.requeued.load(Ordering::Relaxed),
            retried: counters.retried.load(Ordering::Relaxed),
            deferred: counters.deferred.load(Ordering::Relaxed),
            expired: counters.expired.load(Ordering::Relaxed),
            too_late: counters.too_late.load(Ordering::Relaxed),
            given_up: counters.given_up.load(Ordering::Relaxed),
        }
    }

    /// Each connection, at this moment.
    pub fn connections(&self) -> Vec<ConnectionStats> {
        let connections = self.core.connections().clone();
        connections.iter().map(Handle::stats).collect()
    }

    /// What happens, as it happens.
    pub fn signals(&self) -> &Signals {
        &self.core.signals
    }

    /// The channel that messages are taken from.
    pub fn channel(&self) -> &ChannelName {
        &self.core.settings.channel
    }

    /// A way to take messages out, beside others.
    pub(crate) fn inlet(&self) -> Inlet {
        Inlet::new(self.core.clone())
    }

    /// Waits until a shutdown is asked for.
    pub(crate) async fn shutdown_requested(&self) {
        self.core.shutdown.requested.cancelled().await;
    }

    /// How long a shutdown waits for handlers.
    #[cfg(feature = "blocking")]
    pub(crate) fn shutdown_timeout(&self) -> Duration {
        self.core.settings.shutdown_timeout
    }

    /// Asks for a [`shutdown`](Self::shutdown), and doesn't wait for it.
    pub fn request_shutdown(&self) {
        self.core.shutdown.requested.cancel();
    }

    /// A [`shutdown`](Self::shutdown) that was asked for, or will be, waits no longer for messages in hand: they are
    /// requeued.
    pub fn hurry_shutdown(&self) {
        self.core.shutdown.hurried.cancel();
    }

    /// Consumes from an nsqd beside the others, as if the [builder](ConsumerBuilder::nsqd) had named it: it stays until
    /// the consumer is shut down. One that is known already is not connected to twice. Of a consumer of a
    /// pattern the topics are found, and this does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] for what can't be one.
    pub fn add_nsqd<A>(&self, address: A) -> Result<()>
    where
        A: TryInto<Address, Error: Into<Error>>,
    {
        let address = address.try_into().map_err(Into::into)?;
        self.core.tell(|inbox| {
            if !inbox.named.contains(&address) {
                inbox.named.push(address);
            }
        });
        Ok(())
    }

    /// Asks the nsqlookupds now where the topics are, not only at the next interval.
    #[cfg(feature = "http")]
    pub fn query_lookupd(&self) {
        self.core.board.ask();
    }

    fn set_paused(&self, paused: bool) {
        self.core.paused.store(paused, Ordering::Relaxed);
        self.core.changed.notify_one();
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
