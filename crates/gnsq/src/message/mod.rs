//! A message in the hands of the user.

mod confirm;
mod held;

mod lending;
mod lifetime;
mod together;
mod touching;
mod weight;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use gnsq_proto::{MessageFrame, MessageId, TopicName};

pub(crate) use self::held::Held;
pub(crate) use self::lending::{Lender, Loan};
use self::lifetime::Lifetime;
pub(crate) use self::lifetime::{Times, Verdict};
pub(crate) use self::touching::Pulse;
pub(crate) use self::weight::Load;
use self::weight::Weight;
use crate::address::Address;
use crate::connection::{Answer, Handle, Op};
use crate::error::{Error, Result};
use crate::moment::Moment;

/// A message received, to be answered once: with [`finish`](Self::finish) or [`requeue`](Self::requeue).
///
/// One that is dropped unanswered is requeued at once, unless its time is over. In a handler given to [`Consumer::run`](crate::Consumer::run)
/// the handler's result answers it, unless it was answered before or [detached](Self::detach).
pub struct Message {
    frame: MessageFrame,
    connection: Handle,
    life: Life,
    /// Of a consumer that counts bytes. Others' messages, which are moved often, stay small.
    weight: Option<Box<Weight>>,
}

#[derive(Debug)]
enum Life {
    Own(Lifetime),
    /// Shared with the one who called the handler, or touches the message.
    Shared(Arc<Lifetime>),
}

impl Message {
    pub(crate) fn new(frame: MessageFrame, connection: Handle, times: Times) -> Self {
        Self { frame, connection, life: Life::Own(Lifetime::new(times, true)), weight: None }
    }

    /// The message's content. Cloning it copies no bytes.
    pub fn body(&self) -> &Bytes {
        &self.frame.body
    }

    /// Takes the content out, and leaves an empty body: what is kept of the message keeps no buffer.
    pub fn take_body(&mut self) -> Bytes {
        std::mem::take(&mut self.frame.body)
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
        self.life().deadline().instant()
    }

    /// Whether [`deadline`](Self::deadline) has passed: what is done with the message now may be done twice.
    pub fn is_expired(&self) -> bool {
        self.expired_at(Moment::now())
    }

    /// Whether an answer could be sent now.
    ///
    /// # Errors
    ///
    /// [`Error::Expired`] when its time is over, or the reason for which its connection has ended.
    pub fn check_answerable(&self) -> Result<()> {
        if self.is_expired() {
            return Err(Error::Expired { id: self.id() });
        }
        if self.connection.has_ended() { Err(self.connection.end()) } else { Ok(()) }
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
        self.begin_finish()?;
        self.connection.finish(self.id())?;
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
        self.connection.send(Op::Answer(Answer::Touch(self.id())))?;
        self.connection.tell_touched(self.id());
        self.life().extend(&self.connection, now);
        Ok(())
    }

    /// Takes the message out of the hands of the handler's caller: its result no longer answers the message.
    /// Use it to answer later, from elsewhere. Dropping the message still requeues it.
    pub fn detach(&self) {
        self.life().detached.store(true, Ordering::Relaxed);
    }

    pub(crate) fn expired_at(&self, now: impl Into<Moment>) -> bool {
        self.life().is_over(now)
    }

    pub(crate) fn connection(&self) -> &Handle {
        &self.connection
    }

    pub(crate) fn frame(&self) -> &MessageFrame {
        &self.frame
    }

    fn requeue_with(self, delay: Duration, backoff: bool) -> Result<()> {
        self.begin_answer()?;
        self.connection.send(Op::Answer(Answer::Requeue(self.id(), delay)))?;
        self.connection.tell_requeued(self.id(), delay, backoff);
        Ok(())
    }

    /// Nobody else answers the message from here on. Says whether its time is over, where it still was to be answered.
    fn begin_answer(&self) -> Result<(), Unanswerable> {
        let answered = self.life().answered.swap(true, Ordering::AcqRel);
        let late = self.expired_at(Moment::now());
        if answered || late { Err(Unanswerable { id: self.id(), late: !answered }) } else { Ok(()) }
    }

    fn begin_finish(&self) -> Result<()> {
        self.begin_answer().map_err(|refusal| {
            if refusal.late {
                self.connection.observer().late_finish();
            }
            refusal.into()
        })
    }

    fn life(&self) -> &Lifetime {
        match &self.life {
            Life::Own(life) => life,
            Life::Shared(life) => life,
        }
    }

    /// As [`life`](Self::life), for one who keeps it.
    fn share(&mut self) -> &Arc<Lifetime> {
        if let Life::Own(own) = &mut self.life {
            self.life = Life::Shared(Arc::new(std::mem::take(own)));
        }
        match &self.life {
            Life::Shared(life) => life,
            Life::Own(_) => unreachable!("it is shared by now"),
        }
    }
}

/// The message is someone else's to answer, or has been answered.
struct Unanswerable {
    id: MessageId,
    late: bool,
}

impl From<Unanswerable> for Error {
    fn from(refusal: Unanswerable) -> Self {
        Self::Expired { id: refusal.id }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let life = self.life();
        if life.detached.load(Ordering::Relaxed) {
            life.give_back(&self.connection, self.id());
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
