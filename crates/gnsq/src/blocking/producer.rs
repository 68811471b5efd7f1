//! Publishing from programs without async.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use gnsq_proto::TopicName;
use tokio::runtime::Handle;

use super::pending::Pending;
use super::wait::wait;
use crate::budget::{Budget, Permit};
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::events::Signals;
use crate::producer::{CloseReport, ProducerBuilder, ProducerStats, PublishOptions};
use crate::runtime::{Io, is_shared_thread};

/// Publishes messages to one or several nsqds, from any number of threads at once: [`gnsq::Producer`](crate::Producer)
/// for programs without async.
///
/// One thread that publishes one message after the other waits for nsqd each time. To publish many, use
/// [`multipublish`](Self::multipublish), several threads, or [`publish_background`](Self::publish_background).
///
/// Clones are the same producer. Connections close when the last one is dropped and the publishes in the background
/// are done; [`flush`](Self::flush) and [`close`](Self::close) wait for that. A process that ends takes what is
/// outstanding with it.
///
/// ```no_run
/// use gnsq::blocking::Producer;
///
/// # fn example() -> gnsq::Result<()> {
/// let producer = Producer::builder().nsqd("127.0.0.1:4150").build_blocking()?;
/// producer.publish("orders", "first")?;
/// let pending: Vec<_> = (0..1000).map(|number| producer.publish_background("orders", number.to_string())).collect();
/// for outcome in pending {
///     outcome.wait()?;
/// }
/// producer.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Producer {
    inner: crate::Producer,
    runtime: Handle,
    background: Arc<Background>,
}

/// What bounds the publishes in the background, so that they can't fill the memory.
struct Background {
    room: Arc<Budget>,
    timeout: Duration,
}

impl ProducerBuilder {
    /// Makes a producer for programs without async. Its I/O runs on [`Io::Dedicated`], whatever
    /// [`io`](Self::io) says.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_blocking(self) -> Result<Producer> {
        let (count, bytes, timeout) = self.bounds();
        let inner = self.io(Io::Dedicated).build()?;
        let background = Arc::new(Background { room: Budget::new(count, bytes), timeout });
        Ok(Producer { inner, runtime: Io::Dedicated.handle()?, background })
    }
}

impl Producer {
    /// Begins with the defaults; [`build_blocking`](ProducerBuilder::build_blocking) makes the producer.
    pub fn builder() -> ProducerBuilder {
        crate::Producer::builder()
    }

    /// Publishes one message; returns when nsqd has confirmed it.
    ///
    /// # Errors
    ///
    /// As [`gnsq::Producer::publish`](crate::Producer::publish), and [`Error::WouldBlock`].
    pub fn publish<T>(&self, topic: T, body: impl Into<Bytes>) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        wait(&self.runtime, self.inner.publish(topic, body))?
    }

    /// Begins to publish one message, and returns without waiting for nsqd. The publish goes on until its outcome, also
    /// if that is not [waited for](Pending::wait). What one thread publishes to one topic goes to an nsqd in order.
    ///
    /// As many publishes, and bytes, may be in the background as may be
    /// [outstanding](ProducerBuilder::max_outstanding); the next waits for room, up to the
    /// [time limit](ProducerBuilder::publish_timeout) of a publish.
    ///
    /// In a signal's receiver there is no waiting for room: without any, the outcome is [`Error::WouldBlock`].
    pub fn publish_background<T>(&self, topic: T, body: impl Into<Bytes>) -> Pending
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        let body = body.into();
        let begun = topic.try_into().map_err(Into::into).and_then(|topic| Ok((topic, self.admit(body.len())?)));
        match begun {
            Ok((topic, permit)) => {
                let producer = self.inner.clone();
                Pending::begin(&self.runtime, async move {
                    let outcome = producer.publish(topic, body).await;
                    drop(permit);
                    outcome
                })
            }
            Err(error) => Pending::failed(&self.runtime, error),
        }
    }

    /// Publishes one message, with options of its own.
    ///
    /// # Errors
    ///
    /// As [`gnsq::Producer::publish_with`](crate::Producer::publish_with), and [`Error::WouldBlock`].
    pub fn publish_with<T>(&self, topic: T, body: impl Into<Bytes>, options: PublishOptions) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        wait(&self.runtime, self.inner.publish_with(topic, body, options))?
    }

    /// Publishes one message that nsqd delivers after `delay`.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_deferred<T>(&self, topic: T, body: impl Into<Bytes>, delay: Duration) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        wait(&self.runtime, self.inner.publish_deferred(topic, body, delay))?
    }

    /// Publishes one message that is due at `time`, however far away that is.
    ///
    /// # Errors
    ///
    /// As [`gnsq::Producer::publish_at`](crate::Producer::publish_at), and [`Error::WouldBlock`].
    pub fn publish_at<T>(&self, topic: T, body: impl Into<Envelope>, time: SystemTime) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        wait(&self.runtime, self.inner.publish_at(topic, body, time))?
    }

    /// Publishes several messages to one topic with one command; returns when nsqd has confirmed them.
    ///
    /// # Errors
    ///
    /// As [`gnsq::Producer::multipublish`](crate::Producer::multipublish), and [`Error::WouldBlock`].
    pub fn multipublish<T, B>(&self, topic: T, bodies: impl IntoIterator<Item = B>) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
        B: Into<Bytes>,
    {
        wait(&self.runtime, self.inner.multipublish(topic, bodies))?
    }

    /// As [`multipublish`](Self::multipublish), with options of its own.
    ///
    /// # Errors
    ///
    /// As [`gnsq::Producer::multipublish_with`](crate::Producer::multipublish_with), and [`Error::WouldBlock`].
    pub fn multipublish_with<T, B>(
        &self,
        topic: T,
        bodies: impl IntoIterator<Item = B>,
        options: PublishOptions,
    ) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
        B: Into<Bytes>,
    {
        wait(&self.runtime, self.inner.multipublish_with(topic, bodies, options))?
    }

    /// Waits until an nsqd is connected.
    ///
    /// # Errors
    ///
    /// [`Error::NoConnections`] when none is within the time limit of a publish; [`Error::WouldBlock`].
    pub fn ready(&self) -> Result<()> {
        wait(&self.runtime, self.inner.ready())?
    }

    /// Waits until every publish that was begun before the call has its outcome, those in the background included.
    ///
    /// # Errors
    ///
    /// [`Error::FlushTimeout`] when it takes longer than a publish may; [`Error::WouldBlock`].
    pub fn flush(&self) -> Result<()> {
        wait(&self.runtime, self.inner.flush())?
    }

    /// Closes the connections, once nothing is outstanding, or the time limit of a publish has passed, and tells what was
    /// not delivered. Publishes that wait for a connection or for room end at once, and those after it, all with
    /// [`Error::Closed`].
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`]; nothing is closed then.
    pub fn close(&self) -> Result<CloseReport> {
        wait(&self.runtime, self.inner.close())
    }

    /// What it has done and is doing.
    pub fn stats(&self) -> ProducerStats {
        self.inner.stats()
    }

    /// How many publishes wait for their outcome.
    pub fn outstanding(&self) -> usize {
        self.inner.outstanding()
    }

    /// How many nsqds are connected.
    pub fn connections(&self) -> usize {
        self.inner.connections()
    }

    /// What happens on the connections: `on_response`, `on_error`, `on_close`. Receivers run on the thread that does the
    /// I/O.
    pub fn signals(&self) -> &Signals {
        self.inner.signals()
    }

    /// Room for a publish in the background.
    fn admit(&self, bytes: usize) -> Result<Permit> {
        let Background { room, timeout } = &*self.background;
        let room = room.acquire(bytes);
        if is_shared_thread() {
            return tokio::task::unconstrained(room).now_or_never().ok_or(Error::WouldBlock);
        }
        let admitted = wait(&self.runtime, async { tokio::time::timeout(*timeout, room).await })?;
        admitted.map_err(|_| Error::Timeout { after: *timeout, sent: false })
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("connections", &self.connections())
            .field("outstanding", &self.outstanding())
            .finish_non_exhaustive()
    }
}
