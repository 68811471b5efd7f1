//! Publishing to any number of nsqds.

mod builder;
mod pool;
mod publish_at;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gnsq_proto::TopicName;

pub use self::builder::{ProducerBuilder, Routing};
use self::pool::Pool;
use crate::connection::{Failure, Op, Publish, Undone};
use crate::error::{Error, Result};
use crate::events::Signals;
use crate::outbound::Outbound;
use crate::time_limit::TimeLimit;

/// Publishes messages to one or several nsqds, from any number of tasks at once.
///
/// A publish ends exactly once: with nsqd's confirmation or an [`Error`], within its time limit (30 s by default).
/// Publishes share connections and don't wait for each other's answers. What surely was not carried out, since an
/// nsqd was gone before it left or refused to store it, goes to another nsqd within the time limit. What was sent to
/// an nsqd that then vanished is [unknown](Error::outcome_unknown), and isn't sent again unless
/// [chosen](ProducerBuilder::retry_unknown).
///
/// Clones are the same producer. Connections close when the last one is dropped; [`close`](Self::close) also waits
/// for what is outstanding.
///
/// ```no_run
/// # async fn example() -> gnsq::Result<()> {
/// let producer = gnsq::Producer::builder().nsqd("127.0.0.1:4150").build()?;
/// producer.publish("orders", "first").await?;
/// producer.multipublish("orders", ["second", "third"]).await?;
/// producer.close().await;
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
    /// [`Error::Timeout`]: the time limit has passed. [`Error::Refused`]: nsqd's own error. [`Error::Lost`]: the
    /// connection ended before the answer. [`Error::Closed`]: this producer was closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the answer up, not the message: it may have been sent, or still be.
    pub async fn publish<T>(&self, topic: T, body: impl Into<Bytes>) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        self.send(Outbound::message(&self.pool.settings.connection.limits, topic, body)?).await
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
        self.send(Outbound::deferred(&self.pool.settings.connection.limits, topic, body, delay)?).await
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
        self.send(Outbound::batch(&self.pool.settings.connection.limits, topic, bodies)?).await
    }

    /// Waits until an nsqd is connected.
    ///
    /// # Errors
    ///
    /// [`Error::NoConnections`] when none is within the time limit of a publish, with the last failure.
    pub async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + self.pool.settings.publish_timeout;
        self.pool.pick(deadline).await.map(drop)
    }

    /// Waits until nothing is outstanding, at most for the time limit of a publish, then closes the connections.
    /// A publish after it ends with [`Error::Closed`].
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// How many publishes wait for their outcome.
    pub fn outstanding(&self) -> usize {
        self.pool.budget.outstanding()
    }

    /// How many nsqds are connected.
    pub fn connections(&self) -> usize {
        self.pool.len()
    }

    /// What happens on the connections: `on_response`, `on_error`, `on_close`.
    pub fn signals(&self) -> &Signals {
        &self.pool.signals
    }

    async fn send(&self, outbound: Outbound) -> Result<()> {
        let began = Instant::now();
        let mut unknown = None;
        let mut outcome = self.attempt(outbound, began, &mut unknown).await;
        if let Some(earlier) = unknown {
            // The last attempt surely published nothing, but one before it may have.
            outcome = outcome.map_err(|last| if last.outcome_unknown() { last } else { earlier });
        }
        self.pool.meter.published(&outcome, began);
        outcome
    }

    /// Tries until an nsqd has confirmed it, or nothing can be tried any more. An attempt before the last whose outcome is
    /// unknown leaves its error in `unknown`.
    async fn attempt(
        &self,
        Outbound { mut command, size }: Outbound,
        began: Instant,
        unknown: &mut Option<Error>,
    ) -> Result<()> {
        let settings = &self.pool.settings;
        let limit = TimeLimit::new(began, settings.publish_timeout);
        let mut shares = true;
        let mut permit = Some(self.pool.admit(size, limit.ends).await?);
        loop {
            let connection = self.pool.pick(limit.ends).await?;
            let (publish, outcome) = Publish::new(command, shares, limit, permit.take());
            if let Err(op) = connection.push(Op::Publish(publish)) {
                self.pool.remove(&connection);
                // It ended just now, and will leave the pool. The permit goes on to the next.
                let Op::Publish(publish) = *op else { return Err(connection.end()) };
                (command, permit) = publish.into_parts();
                continue;
            }
            let undone = match outcome.await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(undone)) => undone,
                // The connection's task answers or fails everything it holds; this is its own end.
                Err(_) => Undone { failure: Failure::Unknown(connection.ended().await), command: None, permit: None },
            };
            let again = match &undone.failure {
                Failure::NotSent(_) => true,
                Failure::RefusedTogether(_) => {
                    shares = false;
                    true
                }
                Failure::Refused(error) => {
                    error.code().is_retryable()
                        && (settings.retry_unknown || *error.code() != gnsq_proto::ErrorCode::MpubFailed)
                }
                Failure::Unknown(_) => settings.retry_unknown,
                Failure::TimedOut { .. } | Failure::State(_) => false,
            };
            let error = connection.error(undone.failure, limit.after);
            let (Some(again), true) =
                (undone.command, again && !limit.is_over(Instant::now()) && !self.pool.is_closed())
            else {
                return Err(error);
            };
            (command, permit) = (again, undone.permit);
            tracing::debug!(nsqd = %connection.address(), %error, "publishing elsewhere");
            if error.outcome_unknown() {
                *unknown = Some(error);
            }
            // The connection is about to leave the pool, but may not have yet.
            self.pool.remove(&connection);
        }
    }
}
