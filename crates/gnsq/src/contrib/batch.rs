//! Works on many messages at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::consumer::{BatchOutcome, Consumer, ConsumerHandle, ShutdownReport};
use crate::error::{Error, Result};
use crate::events::HandlerError;
use crate::message::Message;

/// Gathers a consumer's messages into batches, and calls a function with each batch.
///
/// A batch is handed over when
/// - it is full,
/// - its first message has waited for [`max_wait`](Self::max_wait),
/// - few more messages can come, since those that `max_in_flight` allows are in hand or the consumer backs off
///   ([`ConsumerHandle::is_starved`]),
/// - or half of the time that was left for one of its messages has passed. What is too old already is left out.
///
/// So give the consumer a `max_in_flight` of at least the size times one more than the concurrency: batches are full then.
/// The consumer's own [`concurrency`](crate::ConsumerBuilder::concurrency) means nothing here.
///
/// The function's [`BatchOutcome`] says what becomes of each message. When it returns `Err`, or panics, all messages that it
/// hasn't answered itself are requeued, with the consumer's delay and backoff, as in [`Consumer::run`]; a
/// [`Requeue`](crate::Requeue) as the error changes either. For a function that takes long, the consumer can
/// [touch](crate::ConsumerBuilder::auto_touch) its messages.
///
/// **Shutdown**: what is gathered and not handed over goes back at once, as what waits in the consumer does; batches that
/// are being worked on have until the consumer's time limit.
///
/// ```no_run
/// # async fn insert(rows: Vec<bytes::Bytes>) -> std::io::Result<()> { Ok(()) }
/// # async fn example() -> gnsq::Result<()> {
/// use std::time::Duration;
///
/// use gnsq::contrib::{BatchHandler, BatchOutcome};
/// use gnsq::{Consumer, Message};
///
/// let consumer = Consumer::builder("orders", "archive").nsqd("127.0.0.1:4150").max_in_flight(300).build()?;
/// let report = BatchHandler::new(100)
///     .max_wait(Duration::from_secs(5))
///     .concurrency(2)
///     .run(consumer, |messages: Vec<Message>| async move {
///         insert(messages.iter().map(|message| message.body().clone()).collect()).await?;
///         Ok::<_, std::io::Error>(BatchOutcome::Finish)
///     })
///     .await?;
/// println!("{report:?}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a batch handler does nothing until it runs"]
pub struct BatchHandler {
    size: usize,
    max_wait: Duration,
    concurrency: usize,
}

impl BatchHandler {
    /// Batches of at most this many messages, 1 to 100,000.
    pub fn new(size: usize) -> Self {
        Self { size, max_wait: Duration::from_secs(1), concurrency: 1 }
    }

    /// How long a message waits for others, up to 1 day. Default: 1 s.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// How many batches are worked on at once, 1 to 10,000. One more is gathered meanwhile. Default: 1.
    pub fn concurrency(mut self, batches: usize) -> Self {
        self.concurrency = batches;
        self
    }

    /// Calls `function` with each batch, on the current runtime, until the consumer is shut down. A batch's messages are in the
    /// order in which they were received.
    ///
    /// Returns what the shutdown did; ask for one with [`ConsumerHandle::shutdown`]. Dropping the future stops
    /// the functions where they are, and shuts down in the background.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for a size, time or concurrency that can't be used; nothing was received then.
    pub async fn run<H, F, E>(self, mut consumer: Consumer, function: H) -> Result<ShutdownReport>
    where
        H: Fn(Vec<Message>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<BatchOutcome, E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        self.check()?;
        let function = Arc::new(function);
        let handle = consumer.handle().clone();
        let mut gathered = Gathered::default();
        let mut working = JoinSet::new();
        loop {
            let free = working.len() < self.concurrency;
            tokio::select! {
                biased;
                () = handle.shutdown_requested() => break,
                Some(_) = working.join_next() => {}
                message = consumer.recv(), if gathered.messages.len() < self.size => match message {
                    Some(message) => gathered.push(message, self.max_wait),
                    None => break,
                },
                () = gathered.due(&handle, self.size), if free && !gathered.messages.is_empty() => {
                    let messages = gathered.take();
                    if !messages.is_empty() {
                        let (handle, function) = (handle.clone(), function.clone());
                        working.spawn(async move { handle.work_on_batch(messages, &*function).await });
                    }
                }
            }
        }
        // Only what the consumer doesn't keep any more can go back without being sent again at once.
        while let Some(message) = consumer.recv().await {
            gathered.messages.push(message);
        }
        handle.give_back(gathered.messages);
        // Functions that are still busy at the time limit are dropped with the set; their messages are requeued.
        Ok(handle.finished().await)
    }

    fn check(&self) -> Result<()> {
        let refuse = |option, reason: &str| Err(Error::Option { option, reason: reason.to_owned() });
        if !(1..=MAX_SIZE).contains(&self.size) {
            return refuse("size", "give batches of 1 to 100,000 messages");
        }
        if !(1..=MAX_CONCURRENCY).contains(&self.concurrency) {
            return refuse("concurrency", "give 1 to 10,000 batches at once");
        }
        if self.max_wait > LONGEST {
            return refuse("max_wait", "give at most 1 day");
        }
        Ok(())
    }
}

/// The batch to come.
#[derive(Debug, Default)]
struct Gathered {
    messages: Vec<Message>,
    /// When it is handed over, however small it is.
    by: Option<Instant>,
}

impl Gathered {
    fn push(&mut self, message: Message, max_wait: Duration) {
        let now = Instant::now();
        let half = message.deadline().saturating_duration_since(now) / 2;
        let by = now + if self.messages.is_empty() { half.min(max_wait) } else { half };
        self.by = Some(self.by.map_or(by, |earlier| earlier.min(by)));
        self.messages.push(message);
    }

    /// Waits until it is time to hand it over. No message is at hand now: it would have been taken before.
    async fn due(&self, handle: &ConsumerHandle, size: usize) {
        if self.messages.len() < size
            && !handle.is_starved()
            && let Some(by) = self.by
        {
            tokio::time::sleep_until(by.into()).await;
        }
    }

    /// The messages that are worth an attempt.
    fn take(&mut self) -> Vec<Message> {
        self.by = None;
        let now = Instant::now();
        let mut messages = std::mem::take(&mut self.messages);
        // nsqd has given the others to someone else by now.
        messages.retain(|message| !message.expired_at(now));
        messages
    }
}

const MAX_SIZE: usize = 100_000;
const MAX_CONCURRENCY: usize = 10_000;
/// Keeps sums of times from overflowing.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
