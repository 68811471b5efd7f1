//! A message in the hands of the user.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use gnsq_proto::{MessageFrame, MessageId, TopicName};

use crate::address::Address;
use crate::connection::{Handle, Op};
use crate::error::{Error, Result};
use crate::telemetry::ConnectionMeter;

/// A message received, to be answered once: with [`finish`](Self::finish) or [`requeue`](Self::requeue).
///
/// One that is dropped unanswered is requeued at once, unless its time is over. In a handler given to [`Consumer::run`](crate::Consumer::run)
/// the handler's result answers it, unless it was answered before or [detached](Self::detach).
pub struct Message {
    frame: MessageFrame,
    connection: Handle,
    life: Life,
}

/// What is known of a message beside its content.
#[derive(Debug, Default)]
pub(crate) struct Lifetime {
    answered: AtomicBool,
    /// Whether its fate is in the user's hands, not in those of the handler's caller.
    detached: AtomicBool,
    /// When nsqd gives it to someone else, in the connection's nanoseconds.
    deadline: AtomicU64,
    /// Touches move the deadline no further.
    cap: u64,
}

/// The times of messages that were received together, in their connection's nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    deadline: u64,
    cap: u64,
}

impl Times {
    pub(crate) fn new(connection: &Handle, received: Instant, deadline: Instant) -> Self {
        let (_, longest) = connection.msg_timeouts();
        Self { deadline: connection.nanos(deadline), cap: connection.nanos(received + longest) }
    }
}

#[derive(Debug)]
enum Life {
    Own(Lifetime),
    /// Shared with the one who called the handler.
    Lent(Arc<Lifetime>),
}

impl Message {
    pub(crate) fn new(frame: MessageFrame, connection: Handle, times: Times) -> Self {
        let life = Lifetime {
            answered: AtomicBool::new(false),
            detached: AtomicBool::new(true),
            deadline: AtomicU64::new(times.deadline),
            cap: times.cap,
        };
        Self { frame, connection, life: Life::Own(life) }
    }

    /// The message's content. Cloning it copies no bytes.
    pub fn body(&self) -> &Bytes {
        &self.frame.body
    }

    /// Names the message; unique within a topic of one nsqd.
    pub fn id(&self) -> MessageId {
        self.frame.id
    }

    /// How often nsqd has delivered this message, this time included: 1 at first.
    pub fn attempts(&self) -> u16 {
        self.frame.attempts
    }

    /// When nsqd received the message, in nanoseconds since the Unix epoch.
    pub fn timestamp(&self) -> i64 {
        self.frame.timestamp
    }

    /// When nsqd received the message.
    pub fn published_at(&self) -> SystemTime {
        self.frame.published_at()
    }

    /// The topic that the message was published to.
    #[allow(clippy::missing_panics_doc, reason = "it is never without one")]
    pub fn topic(&self) -> &TopicName {
        self.connection.topic().expect("a message that comes before a subscription ends the connection")
    }

    /// The nsqd that delivered the message.
    pub fn nsqd(&self) -> &Address {
        self.connection.address()
    }

    /// When nsqd will give the message to someone else, by this side's clock; [`touch`](Self::touch) moves it.
    pub fn deadline(&self) -> Instant {
        self.connection.instant(self.life().deadline.load(Ordering::Relaxed))
    }

    /// Whether [`deadline`](Self::deadline) has passed: what is done with the message now may be done twice.
    pub fn is_expired(&self) -> bool {
        self.expired_at(Instant::now())
    }

    /// The message is done: nsqd forgets it.
    ///
    /// Returns when the command is on its way; nsqd gives no receipt. Should it come too late nevertheless,
    /// `on_error` tells.
    ///
    /// # Errors
    ///
    /// [`Error::Expired`] when its time is over: nsqd gives it to someone else, and nothing is sent.
    /// [`Error::Io`] and the like when its connection has ended: nsqd gives it to someone else after its timeout.
    pub fn finish(self) -> Result<()> {
        self.answer(|| Op::Finish(self.id()))?;
        self.connection.tell_finished(self.id());
        Ok(())
    }

    /// The message goes back to its channel, to be delivered again after `delay` (whole milliseconds; nsqd lowers
    /// it to its `--max-req-timeout`). It counts as a failure: a consumer backs off.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn requeue(self, delay: Duration) -> Result<()> {
        self.requeue_with(delay, true)
    }

    /// As [`requeue`](Self::requeue), but no reason to slow down.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn requeue_without_backoff(self, delay: Duration) -> Result<()> {
        self.requeue_with(delay, false)
    }

    /// Asks for more time: the message timeout again from now. nsqd allows no more than its `--max-msg-timeout`
    /// (15 min) from the delivery; touches beyond have no effect.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn touch(&self) -> Result<()> {
        let now = Instant::now();
        if self.expired_at(now) {
            return Err(Error::Expired { id: self.id() });
        }
        self.connection.send(Op::Touch(self.id()))?;
        let life = self.life();
        let (timeout, _) = self.connection.msg_timeouts();
        let deadline = self.connection.nanos(now + timeout);
        life.deadline.store(deadline.min(life.cap), Ordering::Relaxed);
        Ok(())
    }

    /// Takes the message out of the hands of the handler's caller: its result no longer answers the message.
    /// Use it to answer later, from elsewhere. Dropping the message still requeues it.
    pub fn detach(&self) {
        self.life().detached.store(true, Ordering::Relaxed);
    }

    pub(crate) fn expired_at(&self, now: Instant) -> bool {
        self.life().is_over(&self.connection, now)
    }

    pub(crate) fn connection(&self) -> &Handle {
        &self.connection
    }

    pub(crate) fn frame(&self) -> &MessageFrame {
        &self.frame
    }

    fn requeue_with(self, delay: Duration, backoff: bool) -> Result<()> {
        self.answer(|| Op::Requeue(self.id(), delay))?;
        self.connection.tell_requeued(self.id(), delay, backoff);
        Ok(())
    }

    fn answer(&self, op: impl FnOnce() -> Op) -> Result<()> {
        let life = self.life();
        let late = self.expired_at(Instant::now());
        if life.answered.swap(true, Ordering::AcqRel) || late {
            return Err(Error::Expired { id: self.id() });
        }
        self.connection.send(op())
    }

    fn life(&self) -> &Lifetime {
        match &self.life {
            Life::Own(life) => life,
            Life::Lent(life) => life,
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let life = self.life();
        if life.detached.load(Ordering::Relaxed) {
            requeue_dropped(&self.connection, self.id(), life);
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id())
            .field("attempts", &self.attempts())
            .field("body_len", &self.body().len())
            .field("topic", self.topic())
            .field("nsqd", self.nsqd())
            .finish_non_exhaustive()
    }
}

impl Lifetime {
    fn is_over(&self, connection: &Handle, now: Instant) -> bool {
        connection.nanos(now) >= self.deadline.load(Ordering::Relaxed)
    }
}

/// Lends messages to a handler, one after the other, and answers them as it decides. It is what makes a message
/// handled cost no allocation.
#[derive(Debug, Default)]
pub(crate) struct Lender {
    /// The last message's. Most come from where the one before came from.
    connection: Option<Handle>,
    /// Where what happens to the message that is lent shows.
    life: Arc<Lifetime>,
}

impl Lender {
    /// Lends `message`, which is then to be handed to the handler. The one before must be settled.
    pub(crate) fn lend(&mut self, message: &mut Message) -> Loan<'_> {
        let fresh = Lifetime {
            answered: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            deadline: AtomicU64::new(message.life().deadline.load(Ordering::Relaxed)),
            cap: message.life().cap,
        };
        // Usually the handler has dropped the last message, and the memory can be used again.
        match Arc::get_mut(&mut self.life) {
            Some(old) => *old = fresh,
            None => self.life = Arc::new(fresh),
        }
        message.life = Life::Lent(self.life.clone());
        if self.connection.as_ref() != Some(&message.connection) {
            self.connection = Some(message.connection.clone());
        }
        let connection = self.connection.get_or_insert_with(|| message.connection.clone());
        Loan { connection, id: message.id(), life: &self.life, settled: false }
    }
}

/// A message in a handler's hands, seen by the one who called it, who answers it unless that is done.
/// Dropped without [`settle`](Self::settle), the message is requeued.
#[derive(Debug)]
pub(crate) struct Loan<'a> {
    connection: &'a Handle,
    id: MessageId,
    life: &'a Lifetime,
    settled: bool,
}

/// How a handler ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    Finish,
    Requeue { delay: Duration, backoff: bool },
}

impl Loan<'_> {
    pub(crate) fn meter(&self) -> &ConnectionMeter {
        self.connection.meter()
    }

    /// Answers the message as its handler decided, unless it answered or detached it itself.
    pub(crate) fn settle(mut self, verdict: Verdict, now: Instant) -> Result<()> {
        self.settled = true;
        let life = self.life;
        if life.detached.load(Ordering::Relaxed) || life.answered.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        if life.is_over(self.connection, now) {
            return Err(Error::Expired { id: self.id });
        }
        match verdict {
            Verdict::Finish => {
                self.connection.send(Op::Finish(self.id))?;
                self.connection.tell_finished(self.id);
            }
            Verdict::Requeue { delay, backoff } => {
                self.connection.send(Op::Requeue(self.id, delay))?;
                self.connection.tell_requeued(self.id, delay, backoff);
            }
        }
        Ok(())
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if !self.settled && !self.life.detached.load(Ordering::Relaxed) {
            requeue_dropped(self.connection, self.id, self.life);
        }
    }
}

/// At once, and no failure: nobody has looked at it. When the connection has ended there is nobody to tell.
fn requeue_dropped(connection: &Handle, id: MessageId, life: &Lifetime) {
    let answered = life.answered.swap(true, Ordering::AcqRel);
    // One whose time is over isn't this one's to requeue: nsqd may have sent it again, on this very connection.
    if answered || life.is_over(connection, Instant::now()) {
        return;
    }
    if connection.send(Op::GiveBack(id)).is_ok() {
        connection.tell_requeued(id, Duration::ZERO, false);
    }
}
