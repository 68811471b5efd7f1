//! A consumer as a queue from which several tasks take messages.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::Stream;
use thiserror::Error;
use tokio_util::sync::DropGuard;

use crate::consumer::{Consumer, ConsumerHandle, Inlet, ShutdownReport};
use crate::message::Message;

/// Takes a consumer's messages, from as many tasks at once as there are clones. Each message goes to one of them, which
/// answers it.
///
/// What waits here is bounded by the consumer's `max_in_flight`, and goes back when the queue is closed: by
/// [`close`](Self::close), or when the last clone is dropped. A [`Consumer`] alone does for one task.
///
/// ```no_run
/// # async fn work(message: &gnsq::Message) {}
/// # async fn example() -> gnsq::Result<()> {
/// use gnsq::Consumer;
/// use gnsq::contrib::MessageQueue;
///
/// let consumer = Consumer::builder("orders", "billing").nsqd("127.0.0.1:4150").build()?;
/// let mut queue = MessageQueue::new(consumer);
/// for _ in 0..4 {
///     let mut queue = queue.clone();
///     tokio::spawn(async move {
///         while let Some(message) = queue.get().await {
///             work(&message).await;
///             message.finish()?;
///         }
///         Ok::<_, gnsq::Error>(())
///     });
/// }
/// tokio::signal::ctrl_c().await.ok();
/// let report = queue.close().await;
/// # let _ = report;
/// # Ok(())
/// # }
/// ```
pub struct MessageQueue {
    inlet: Inlet,
    handle: ConsumerHandle,
    /// Shuts the consumer down when the last clone is gone.
    stop: Arc<DropGuard>,
}

/// Why there is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TakeError {
    /// None is there now, or none came in time.
    #[error("no message is there")]
    Empty,
    /// The queue was closed.
    #[error("the queue is closed")]
    Closed,
}

impl MessageQueue {
    /// Takes the consumer's messages.
    pub fn new(consumer: Consumer) -> Self {
        let (inlet, handle, stop) = consumer.into_parts();
        Self { inlet, handle, stop: Arc::new(stop) }
    }

    /// Waits for the next message; `None` when the queue was closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    pub async fn get(&mut self) -> Option<Message> {
        Waiting(&mut self.inlet).await
    }

    /// Waits for the next message, at most so long.
    ///
    /// # Errors
    ///
    /// [`TakeError::Empty`] when none has come, [`TakeError::Closed`] when the queue was closed.
    pub async fn get_timeout(&mut self, timeout: Duration) -> Result<Message, TakeError> {
        match tokio::time::timeout(timeout, self.get()).await {
            Ok(message) => message.ok_or(TakeError::Closed),
            Err(_) => Err(TakeError::Empty),
        }
    }

    /// The next message, if one is there.
    ///
    /// # Errors
    ///
    /// [`TakeError::Empty`] when none is, [`TakeError::Closed`] when the queue was closed.
    pub fn try_get(&mut self) -> Result<Message, TakeError> {
        let waiting = Waiting(&mut self.inlet);
        match waiting.0.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(message) => message.ok_or(TakeError::Closed),
            Poll::Pending => Err(TakeError::Empty),
        }
    }

    /// How many messages wait to be taken.
    pub fn len(&self) -> usize {
        self.handle().stats().queued
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Steers the consumer.
    pub fn handle(&self) -> &ConsumerHandle {
        &self.handle
    }

    /// Shuts the consumer down: messages that wait here are requeued at once, those that were taken have until the
    /// consumer's time limit to be answered.
    pub async fn close(&mut self) -> ShutdownReport {
        self.handle().shutdown().await
    }
}

impl Clone for MessageQueue {
    /// The same queue, for another task.
    fn clone(&self) -> Self {
        Self { inlet: self.handle.inlet(), handle: self.handle.clone(), stop: self.stop.clone() }
    }
}

impl Stream for MessageQueue {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.inlet.poll_next(cx)
    }
}

impl fmt::Debug for MessageQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageQueue").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// Stands in line, and leaves it when dropped: another would be told of no message otherwise.
struct Waiting<'a>(&'a mut Inlet);

impl Future for Waiting<'_> {
    type Output = Option<Message>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.0.poll_next(cx)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
