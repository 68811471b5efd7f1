//! Consuming in programs without async.

use std::fmt;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gnsq_proto::{ChannelName, TopicName};
use tokio::runtime::Handle;

use super::wait::wait;
use crate::consumer::{ConsumerBuilder, Inlet, ShutdownReport};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::runtime::Io;

/// Takes the messages of a channel from one or several nsqds: [`gnsq::Consumer`](crate::Consumer) for programs without
/// async.
///
/// Take messages with [`recv`](Self::recv) or an iterator, on as many threads at once as you like, and answer them
/// yourself; or give it a handler with [`run`](Self::run). Dropping it shuts it down in the background.
///
/// ```no_run
/// use std::thread;
///
/// use gnsq::Message;
/// use gnsq::blocking::Consumer;
///
/// # fn example() -> gnsq::Result<()> {
/// let consumer =
///     Consumer::builder("orders", "billing").lookupd("http://127.0.0.1:4161").concurrency(4).build_blocking()?;
/// let handle = consumer.handle().clone();
/// thread::spawn(move || {
///     std::io::stdin().read_line(&mut String::new()).ok();
///     handle.shutdown()
/// });
/// let report = consumer.run(|message: Message| {
///     println!("{:?}", message.body());
///     Ok::<_, std::io::Error>(())
/// })?;
/// println!("{report:?}");
/// # Ok(())
/// # }
/// ```
pub struct Consumer {
    pub(super) handle: ConsumerHandle,
    /// Ways to messages that nobody uses now. Each thread that waits needs one of its own.
    idle: Mutex<Vec<Inlet>>,
}

/// Steers a [`Consumer`] from anywhere, with all that [`gnsq::ConsumerHandle`](crate::ConsumerHandle) has. Clones are the
/// same consumer's.
#[derive(Debug, Clone)]
pub struct ConsumerHandle {
    pub(super) inner: crate::ConsumerHandle,
    pub(super) runtime: Handle,
}

/// Why [`Consumer::recv_timeout`] has no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecvTimeoutError {
    /// None came in time.
    #[error("no message came in time")]
    Timeout,
    /// The consumer has been shut down: none will come.
    #[error("the consumer has been shut down")]
    Shutdown,
}

impl ConsumerBuilder {
    /// Makes a consumer for programs without async. Its I/O runs on [`Io::Dedicated`], whatever [`io`](Self::io) says.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_blocking(self) -> Result<Consumer> {
        let inner = self.io(Io::Dedicated).start()?;
        Ok(Consumer { handle: ConsumerHandle { inner, runtime: Io::Dedicated.handle()? }, idle: Mutex::default() })
    }
}

impl Consumer {
    /// Begins with the topic and channel, and the defaults; [`build_blocking`](ConsumerBuilder::build_blocking) makes
    /// the consumer.
    pub fn builder<T, C>(topic: T, channel: C) -> ConsumerBuilder
    where
        T: TryInto<TopicName, Error: Into<Error>>,
        C: TryInto<ChannelName, Error: Into<Error>>,
    {
        crate::Consumer::builder(topic, channel)
    }

    /// Begins with a pattern of topics' names: [`gnsq::Consumer::matching`](crate::Consumer::matching).
    #[cfg(feature = "http")]
    pub fn matching<C>(pattern: &str, channel: C) -> ConsumerBuilder
    where
        C: TryInto<ChannelName, Error: Into<Error>>,
    {
        crate::Consumer::matching(pattern, channel)
    }

    /// Waits for the next message; `None` when the consumer has been shut down, and at once in a signal's receiver, where
    /// nothing can be waited for.
    ///
    /// Messages whose time has run out are left out, and those with too many attempts go to the give-up handler,
    /// which runs in here.
    pub fn recv(&self) -> Option<Message> {
        let mut inlet = self.take_inlet();
        let message = wait(&self.handle.runtime, inlet.next()).ok().flatten();
        self.idle().push(inlet);
        message
    }

    /// Waits for the next message for at most this long.
    ///
    /// A give-up handler that isn't done by then goes on in the next call.
    ///
    /// # Errors
    ///
    /// Why there is none. In a signal's receiver the time is over at once.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Message, RecvTimeoutError> {
        let mut inlet = self.take_inlet();
        // A time that can't be told comes never.
        let deadline = Instant::now().checked_add(timeout);
        let received = wait(&self.handle.runtime, async {
            match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline.into(), inlet.next()).await,
                None => Ok(inlet.next().await),
            }
        });
        inlet.leave();
        self.idle().push(inlet);
        match received {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err(RecvTimeoutError::Shutdown),
            Ok(Err(_)) | Err(_) => Err(RecvTimeoutError::Timeout),
        }
    }

    /// The messages, one after the other, until the consumer is shut down.
    pub fn iter(&self) -> Iter<'_> {
        Iter { consumer: self }
    }

    /// Steers this consumer from elsewhere.
    pub fn handle(&self) -> &ConsumerHandle {
        &self.handle
    }

    pub(super) fn idle(&self) -> MutexGuard<'_, Vec<Inlet>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one used last, which may have something left to do.
    fn take_inlet(&self) -> Inlet {
        let last = self.idle().pop();
        last.unwrap_or_else(|| self.handle.inner.inlet())
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("stats", &self.handle.stats()).finish_non_exhaustive()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.handle.request_shutdown();
    }
}

impl<'a> IntoIterator for &'a Consumer {
    type Item = Message;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The messages of a [`Consumer`], waited for one by one.
#[derive(Debug)]
pub struct Iter<'a> {
    consumer: &'a Consumer,
}

impl Iterator for Iter<'_> {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        self.consumer.recv()
    }
}

impl ConsumerHandle {
    /// Shuts the consumer down, waits for that, and tells how it went. Later calls give the same report.
    ///
    /// A handler that calls it waits for itself, until the time limit of the shutdown: there,
    /// [`request_shutdown`](Self::request_shutdown) is what you want.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] in a signal's receiver; the shutdown has begun nevertheless.
    pub fn shutdown(&self) -> Result<ShutdownReport> {
        self.request_shutdown();
        self.finished()
    }

    /// Asks for a shutdown, and doesn't wait for it. It can be called anywhere.
    pub fn request_shutdown(&self) {
        self.inner.request_shutdown();
    }

    /// Waits until the consumer is shut down by someone else.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] in a signal's receiver.
    pub fn finished(&self) -> Result<ShutdownReport> {
        wait(&self.runtime, self.inner.finished())
    }
}

/// What needs no waiting is the same.
impl Deref for ConsumerHandle {
    type Target = crate::ConsumerHandle;

    fn deref(&self) -> &crate::ConsumerHandle {
        &self.inner
    }
}
