//! Runs a handler on each message.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gnsq_proto::MessageId;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::core::Core;
use super::inlet::Inlet;
use super::report::ShutdownReport;
use super::{Consumer, ConsumerHandle};
use crate::connection::Handle;
use crate::events::{ExceptionEvent, HandlerError, MessageEvent};
use crate::message::{Lender, Message, Verdict};
use crate::moment::Moment;
use crate::trace::{message_event, message_span};

/// An error by which a handler asks for another delay than the consumer's, or for no backoff.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use gnsq::{HandlerError, Message, Requeue};
///
/// async fn handler(message: Message) -> Result<(), HandlerError> {
///     if message.body().starts_with(b"later") {
///         return Err(Requeue::after(Duration::from_secs(60)).without_backoff().into());
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requeue {
    delay: Option<Duration>,
    neutral: bool,
}

impl Requeue {
    /// Requeues with the consumer's delay.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requeues with this delay (whole milliseconds; nsqd lowers it to its `--max-req-timeout`).
    pub fn after(delay: Duration) -> Self {
        Self { delay: Some(delay), neutral: false }
    }

    /// It isn't a failure: the consumer doesn't slow down.
    pub fn without_backoff(mut self) -> Self {
        self.neutral = true;
        self
    }
}

impl fmt::Display for Requeue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handler asks for a requeue")
    }
}

impl std::error::Error for Requeue {}

impl Consumer {
    /// Calls `handler` with each message, in as many tasks at once as the
    /// [concurrency](super::ConsumerBuilder::concurrency) says, until the consumer is shut down.
    ///
    /// When the handler returns `Ok` the message is finished; at `Err`, or a panic, it is requeued with a delay,
    /// and the consumer backs off. [`Requeue`] as the error changes either. A message that the handler has answered,
    /// or [detached](Message::detach), is left alone.
    ///
    /// Handlers run on the current runtime. With the default [`Io::Dedicated`](crate::Io::Dedicated) even one that
    /// blocks its thread delays no heartbeat.
    ///
    /// Returns what the shutdown did; ask for one with [`ConsumerHandle::shutdown`](super::ConsumerHandle::shutdown).
    /// Dropping the future stops the handlers where they are, and shuts down in the background.
    pub async fn run<H, F, E>(mut self, handler: H) -> ShutdownReport
    where
        H: Fn(Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        let mut workers = JoinSet::new();
        // An earlier `recv` that was given up may still stand in line, or have a message half given up.
        if let Some(giving_up) = self.inlet.rest() {
            workers.spawn(giving_up);
        }
        for work in self.handle().work(handler) {
            workers.spawn(work);
        }
        // Workers that are still busy at the time limit are dropped with the set; their messages are requeued.
        self.handle().finished().await
    }
}

impl ConsumerHandle {
    /// All that is to run at once to call `handler` with each message, until the consumer has shut down.
    pub(crate) fn work<H, F, E>(&self, handler: H) -> Vec<BoxFuture<'static, ()>>
    where
        H: Fn(Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        let handler = Arc::new(handler);
        let work = |_| work(self.core.clone(), handler.clone()).boxed();
        (0..self.core.settings.concurrency).map(work).collect()
    }
}

/// Calls `handler` with one message after the other, until the consumer is shut down.
async fn work<H, F, E>(core: Arc<Core>, handler: Arc<H>)
where
    H: Fn(Message) -> F,
    F: Future<Output = Result<(), E>>,
    E: Into<HandlerError>,
{
    let mut inlet = Inlet::new(core.clone());
    let mut lender = Lender::default();
    while let Some(mut message) = inlet.next().await {
        let (id, attempts) = (message.id(), core.attempts(&message));
        let seen = Seen { id, attempts, event: core.event(&message) };
        let loan = lender.lend(&mut message);
        let delay = |event: Option<&MessageEvent>| core.requeue_delay(attempts, event);
        let connection = loan.connection();
        // Pinned here, where it is made: a message is large enough for its moves to count.
        let call = pin!(async { handler(message).await });
        let verdict = attempt(&core, connection, seen, call, delay).await;
        let now = Moment::now();
        connection.meter().handler.record_time(inlet.handed_out(), now);
        inlet.set_now(now);
        if let Err(error) = loan.settle(verdict, now) {
            message_event!(WARN, connection, id, attempts, %error, "a handled message could not be answered");
        }
    }
}

/// What is known of a message that is in its handler's hands.
pub(super) struct Seen {
    pub(super) id: MessageId,
    pub(super) attempts: u16,
    /// If anyone wants to see it.
    pub(super) event: Option<MessageEvent>,
}

/// Waits for a handler's call, and tells who listens when it fails. Unless the handler asks for a delay, it is the given
/// one.
pub(super) async fn attempt<F, E>(
    core: &Core,
    connection: &Handle,
    seen: Seen,
    call: Pin<&mut F>,
    delay: impl FnOnce(Option<&MessageEvent>) -> Duration,
) -> Verdict
where
    F: Future<Output = Result<(), E>>,
    E: Into<HandlerError>,
{
    let span = message_span!(connection, seen.id, seen.attempts);
    let error = match AssertUnwindSafe(call).catch_unwind().instrument(span).await {
        Ok(Ok(())) => {
            message_event!(TRACE, connection, seen.id, attempts = seen.attempts, "message handled");
            return Verdict::Finish;
        }
        Ok(Err(error)) => error.into(),
        Err(panic) => panic_text(&*panic).into(),
    };
    failed(core, connection, seen, &Arc::new(error), "the handler failed, the message will be tried again", delay)
}

/// Tells who listens that the handling of a message has failed, as `text` says. Returns what becomes of the message: unless
/// the error asks for a delay, it is the given one.
pub(super) fn failed(
    core: &Core,
    connection: &Handle,
    Seen { id, attempts, event }: Seen,
    error: &Arc<HandlerError>,
    text: &'static str,
    delay: impl FnOnce(Option<&MessageEvent>) -> Duration,
) -> Verdict {
    let asked = error.downcast_ref::<Requeue>();
    let verdict = Verdict::Requeue {
        delay: asked.and_then(|asked| asked.delay).unwrap_or_else(|| delay(event.as_ref())),
        backoff: !asked.is_some_and(|asked| asked.neutral),
    };
    if asked.is_none() {
        connection.meter().handler_failures.add(1);
        message_event!(WARN, connection, id, attempts, %error, "{text}");
        if let Some(message) = event {
            core.signals.on_exception.emit(|| ExceptionEvent { message, error: error.clone() });
        }
    }
    verdict
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", text.unwrap_or("no text"))
}
