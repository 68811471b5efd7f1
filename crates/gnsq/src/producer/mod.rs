//! Publishing to any number of nsqds.

mod breaker;
mod builder;
mod member;
mod members;
mod options;
mod parking;
mod pool;
mod publish_at;
mod report;
mod routing;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gnsq_proto::command::Batch;
use gnsq_proto::{ErrorCode, TopicName};
use tracing::Level;

pub use self::breaker::BreakerState;
pub use self::builder::{ProducerBuilder, WhenDisconnected};
pub use self::options::PublishOptions;
use self::parking::Pending;
use self::pool::Pool;
pub use self::report::{CloseReport, NsqdStats, ProducerStats, Undelivered};
pub use self::routing::Routing;
use crate::address::Address;
#[cfg(doc)]
use crate::config::ConnectionConfig;
use crate::connection::publish::{messages, topic};
use crate::connection::{Failure, Handle, Op, Publish, Undone};
use crate::error::{Error, Result};
use crate::events::Signals;
use crate::outbound::Outbound;
use crate::time_limit::TimeLimit;

/// Publishes messages to one or several nsqds, from any number of tasks at once.
///
/// A publish ends exactly once: with nsqd's confirmation or an [`Error`], within its time limit (30 s by default).
/// Publishes share connections and don't wait for each other's answers; messages that are published to one topic at the
/// same time [share a command](ProducerBuilder::batching), and keep their own outcomes. What surely was not carried
/// out, since an nsqd was gone before it left or refused to store it, goes to another nsqd within the time limit. What
/// was sent to an nsqd that then vanished is [unknown](Error::outcome_unknown), and isn't sent again unless
/// [chosen](ProducerBuilder::retry_unknown).
///
/// nsqds are named, or found through nsqlookupd. Which of them a publish goes to,
/// [`Routing`] says; one that [fails](ProducerBuilder::breaker_failures) or
/// [keeps silent](ProducerBuilder::stall_timeout) is left out while others can be used. What happens while none is
/// connected, [`WhenDisconnected`] says.
///
/// Clones are the same producer. Connections close when the last one is dropped; [`close`](Self::close) also waits
/// for what is outstanding, and tells what was not delivered.
///
/// ```no_run
/// # async fn example() -> gnsq::Result<()> {
/// let producer = gnsq::Producer::builder().nsqd("127.0.0.1:4150").build()?;
/// producer.publish("orders", "first").await?;
/// producer.multipublish("orders", ["second", "third"]).await?;
/// let report = producer.close().await;
/// assert!(report.undelivered.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Producer {
    pool: Arc<Pool>,
    /// Stops the connections when the last clone is gone.
    _stop: Arc<tokio_util::sync::DropGuard>,
}

impl Producer {
    /// Begins with the defaults.
    pub fn builder() -> ProducerBuilder {
        ProducerBuilder::new()
    }

    /// Publishes one message; returns when nsqd has confirmed it.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] and [`Error::Limit`]: refused, nothing was sent. [`Error::NoConnections`] and
    /// [`Error::Timeout`]: the time limit has passed. [`Error::BufferFull`]: no nsqd is connected, and too many publishes
    /// [wait](WhenDisconnected) for one. [`Error::Refused`]: nsqd's own error. [`Error::Lost`]: the connection ended
    /// before the answer. [`Error::Closed`]: this producer was closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the answer up, not the message: it may have been sent, or still be. Nothing else is
    /// touched by it.
    pub async fn publish<T>(&self, topic: T, body: impl Into<Bytes>) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        self.publish_with(topic, body, PublishOptions::new()).await
    }

    /// Publishes one message with options of its own: a key, a delay, a time limit.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`Error::Option`].
    pub async fn publish_with<T>(&self, topic: T, body: impl Into<Bytes>, options: PublishOptions) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        let limits = &self.pool.settings.limits;
        let outbound = match options.delay {
            None => Outbound::message(limits, topic, body)?,
            Some(delay) => Outbound::deferred(limits, topic, body, delay)?,
        };
        self.send(outbound, &options).await
    }

    /// Publishes one message that nsqd delivers after `delay` (whole milliseconds, at most nsqd's
    /// `--max-req-timeout`, 1 h). nsqd forgets the delay, and delivers at once, when it is restarted.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_deferred<T>(&self, topic: T, body: impl Into<Bytes>, delay: Duration) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        self.publish_with(topic, body, PublishOptions::new().delay(delay)).await
    }

    /// Publishes several messages to one topic with one command; returns when nsqd has confirmed them.
    ///
    /// nsqd takes them one by one: should its disk fail in between, `E_MPUB_FAILED` comes though some are stored.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn multipublish<T, B>(&self, topic: T, bodies: impl IntoIterator<Item = B>) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
        B: Into<Bytes>,
    {
        self.multipublish_with(topic, bodies, PublishOptions::new()).await
    }

    /// Publishes several messages with options of their own: a key, a time limit.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`Error::Option`]: a delay is one that can't be had.
    pub async fn multipublish_with<T, B>(
        &self,
        topic: T,
        bodies: impl IntoIterator<Item = B>,
        options: PublishOptions,
    ) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
        B: Into<Bytes>,
    {
        self.send_batch(Outbound::batch(&self.pool.settings.limits, topic, bodies)?, &options).await
    }

    /// As [`multipublish_with`](Self::multipublish_with), of messages that are [packed](crate::Packer): where they are not
    /// in [`Bytes`] but in memory of somebody else's, so each is copied only once.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn multipublish_packed<T>(&self, topic: T, batch: Batch, options: PublishOptions) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        self.send_batch(Outbound::packed(&self.pool.settings.limits, topic, batch)?, &options).await
    }

    /// Waits until an nsqd is connected.
    ///
    /// # Errors
    ///
    /// [`Error::NoConnections`] when none is within the time limit of a publish, with the last failure.
    pub async fn ready(&self) -> Result<()> {
        self.pool.ready(TimeLimit::new(Instant::now(), self.pool.settings.publish_timeout)).await
    }

    /// Waits until each nsqd that was named has been connected to, or an attempt to do so has failed. For how long, the
    /// [options](ConnectionConfig::connect_timeout) of the connections say.
    pub async fn attempted(&self) {
        self.pool.attempted().await;
    }

    /// Connects to one more nsqd, as if the [builder](ProducerBuilder::nsqd) had named it. One that is known already is not
    /// connected to twice.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] for what is no address; [`Error::Closed`].
    pub fn add_nsqd<A>(&self, address: A) -> Result<()>
    where
        A: TryInto<Address, Error: Into<Error>>,
    {
        self.pool.add(address.try_into().map_err(Into::into)?)
    }

    /// Waits until every publish that was begun before the call has its outcome, also those whose futures were dropped.
    /// It says nothing of what the outcomes are.
    ///
    /// # Errors
    ///
    /// [`Error::FlushTimeout`] when it takes longer than a publish may.
    pub async fn flush(&self) -> Result<()> {
        let after = self.pool.settings.publish_timeout;
        let settled = tokio::time::timeout(after, self.pool.budget.settled()).await;
        settled.map_err(|_| Error::FlushTimeout { after, outstanding: self.pool.budget.begun() })
    }

    /// Closes the connections, once nothing is outstanding, or the time limit of a publish has passed. Publishes that wait
    /// for a connection or for room end at once, and those after it, all with [`Error::Closed`].
    ///
    /// Returns what was not delivered; the futures of those publishes get the same errors. A second call returns nothing
    /// of what the first has.
    pub async fn close(&self) -> CloseReport {
        self.pool.close().await
    }

    /// What has been done, and what is under way.
    pub fn stats(&self) -> ProducerStats {
        self.pool.stats()
    }

    /// How many publishes have been given room and have no outcome yet.
    pub fn outstanding(&self) -> usize {
        self.pool.budget.outstanding()
    }

    /// Whether any nsqd is connected. Costs less than to count [them](Self::connections).
    pub fn is_connected(&self) -> bool {
        self.pool.is_connected.load(Ordering::Acquire)
    }

    /// Why the last attempt to connect failed, or the last connection ended, unless another has been made since.
    pub fn last_failure(&self) -> Option<Error> {
        self.pool.last_failure()
    }

    /// How many nsqds are connected.
    pub fn connections(&self) -> usize {
        self.pool.len()
    }

    /// What happens on the connections: `on_response`, `on_error`, `on_close`.
    pub fn signals(&self) -> &Signals {
        &self.pool.signals
    }

    async fn send_batch(&self, outbound: Outbound, options: &PublishOptions) -> Result<()> {
        if options.delay.is_some() {
            let reason = "nsqd defers no several messages at once: publish each by itself".to_owned();
            return Err(Error::Option { option: "delay", reason });
        }
        self.send(outbound, options).await
    }

    async fn send(&self, outbound: Outbound, options: &PublishOptions) -> Result<()> {
        options.check()?;
        let began = Instant::now();
        let messages = messages(&outbound.command) as u64;
        let topic = tracing::enabled!(Level::DEBUG).then(|| topic(&outbound.command).cloned()).flatten();
        let size = outbound.size;
        let mut unknown = None;
        let outcome = self.attempt(outbound, options, began, &mut unknown).await;
        let outcome = match unknown {
            // The last attempt surely published nothing, but one before it may have.
            Some(earlier) => outcome.map_err(|last| if last.outcome_unknown() { last } else { earlier }),
            None => outcome,
        };
        if let Err(error) = &outcome {
            let counters = &self.pool.counters;
            let counter = if error.outcome_unknown() { &counters.unknown } else { &counters.failed };
            counter.fetch_add(messages, Ordering::Relaxed);
        }
        match &outcome {
            Ok(connection) => tracing::trace!(
                topic = topic.map(display),
                nsqd = %connection.address(),
                messages,
                size,
                outcome = "ok",
                "published"
            ),
            Err(error) => tracing::debug!(
                topic = topic.map(display),
                messages,
                size,
                outcome = if error.outcome_unknown() { "unknown" } else { "failed" },
                %error,
                "not published"
            ),
        }
        let outcome = outcome.map(drop);
        self.pool.meter.published(&outcome, began);
        outcome
    }

    /// Tries until an nsqd has confirmed it, and returns which, or nothing can be tried any more. An attempt before the
    /// last whose outcome is unknown leaves its error in `unknown`.
    async fn attempt(
        &self,
        Outbound { command, size }: Outbound,
        options: &PublishOptions,
        mut now: Instant,
        unknown: &mut Option<Error>,
    ) -> Result<Handle> {
        let pool = &*self.pool;
        if pool.is_closed() {
            return Err(Error::Closed);
        }
        let timeout = options.timeout.unwrap_or(pool.settings.publish_timeout);
        let mut limit = TimeLimit::new(now, options.connection_timeout.unwrap_or(timeout));
        let mut when_disconnected = match options.connection_timeout {
            None => pool.settings.when_disconnected,
            Some(Duration::ZERO) => WhenDisconnected::FailFast,
            Some(_) => WhenDisconnected::Wait,
        };
        let (permit, key) = (pool.budget.begin(), options.key);
        let mut shares = true;
        let mut pending = pool.admit(Pending { command, permit, size, limit, when_disconnected, key }).await?;
        let mut is_first = options.connection_timeout.is_some();
        loop {
            let (connection, Pending { command, permit, .. }) = pool.connection(pending, now).await?;
            if std::mem::take(&mut is_first) {
                limit = TimeLimit::new(Instant::now(), timeout);
                when_disconnected = WhenDisconnected::FailFast;
            }
            let (publish, outcome) = Publish::new(command, shares, limit, Some(permit));
            let undone = match connection.push(Op::Publish(publish)) {
                Ok(()) => match outcome.await {
                    Ok(Ok(())) => return Ok(connection),
                    Ok(Err(undone)) => *undone,
                    // The connection's task answers or fails everything it holds; this is its own end.
                    Err(_) => Undone::without(Failure::Unknown(connection.ended().await)),
                },
                // It ended just now.
                Err(op) => op.undone(connection.end()),
            };
            let again = self.is_to_be_tried_again(&undone.failure);
            shares &= !matches!(undone.failure, Failure::RefusedTogether(_));
            let error = connection.error(undone.failure, limit.after);
            let (Some(command), Some(permit)) = (undone.command, undone.permit) else { return Err(error) };
            now = Instant::now();
            if pool.is_closed() {
                pool.keep(command, error.clone());
                return Err(error);
            }
            if !again || limit.is_over(now) {
                return Err(error);
            }
            tracing::debug!(nsqd = %connection.address(), %error, "publishing elsewhere");
            if error.outcome_unknown() {
                *unknown = Some(error);
            }
            pending = Pending { command, permit, size, limit, when_disconnected, key };
        }
    }

    fn is_to_be_tried_again(&self, failure: &Failure) -> bool {
        let retry_unknown = self.pool.settings.retry_unknown;
        match failure {
            Failure::NotSent(_) | Failure::RefusedTogether(_) => true,
            Failure::Refused(error) => {
                error.code().is_retryable() && (retry_unknown || *error.code() != ErrorCode::MpubFailed)
            }
            Failure::Unknown(_) => retry_unknown,
            Failure::TimedOut { .. } | Failure::State(_) => false,
        }
    }
}
