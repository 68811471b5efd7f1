//! How long a message may be held, and whether it was answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gnsq_proto::MessageId;

use crate::connection::{Answer, Handle, Op};
use crate::error::{Error, Result};
use crate::moment::Moment;

/// What is known of a message beside its content.
#[derive(Debug, Default)]
pub(crate) struct Lifetime {
    pub(super) answered: AtomicBool,
    /// Whether its fate is in the user's hands, not in those of the handler's caller.
    pub(super) detached: AtomicBool,
    /// When nsqd gives it to someone else: a [`Moment`].
    deadline: AtomicU64,
    /// Touches move the deadline no further.
    cap: Moment,
}

/// The times of messages that were received together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    deadline: Moment,
    cap: Moment,
}

/// How a handler ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    Finish,
    Requeue { delay: Duration, backoff: bool },
}

impl Times {
    pub(crate) fn new(connection: &Handle, received: Instant, deadline: Instant) -> Self {
        let (_, longest) = connection.msg_timeouts();
        Self { deadline: deadline.into(), cap: (received + longest).into() }
    }
}

impl Lifetime {
    /// Of a message that nobody has answered. `detached`: its fate is in the user's hands.
    pub(super) fn new(times: Times, detached: bool) -> Self {
        Self {
            answered: AtomicBool::new(false),
            detached: AtomicBool::new(detached),
            deadline: AtomicU64::new(times.deadline.nanos()),
            cap: times.cap,
        }
    }

    pub(super) fn times(&self) -> Times {
        Times { deadline: self.deadline(), cap: self.cap }
    }

    pub(super) fn deadline(&self) -> Moment {
        Moment::from_nanos(self.deadline.load(Ordering::Relaxed))
    }

    pub(super) fn cap(&self) -> Moment {
        self.cap
    }

    pub(super) fn is_over(&self, now: impl Into<Moment>) -> bool {
        now.into() >= self.deadline()
    }

    /// Nothing is left to decide for the one who called the handler.
    pub(super) fn is_settled(&self) -> bool {
        self.detached.load(Ordering::Relaxed) || self.answered.load(Ordering::Relaxed)
    }

    /// nsqd has been told of a touch: the message timeout again from now.
    pub(super) fn extend(&self, connection: &Handle, now: Instant) {
        let (timeout, _) = connection.msg_timeouts();
        self.deadline.fetch_max(Moment::from(now + timeout).min(self.cap).nanos(), Ordering::Relaxed);
    }

    /// nsqd says that it is someone else's.
    pub(super) fn end(&self, now: Moment) {
        self.deadline.fetch_min(now.nanos(), Ordering::Relaxed);
    }

    /// Answers the message as its handler decided, unless it answered or detached it itself.
    pub(super) fn settle(&self, connection: &Handle, id: MessageId, verdict: Verdict, now: Moment) -> Result<()> {
        if self.detached.load(Ordering::Relaxed) || self.answered.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let late = self.is_over(now);
        match verdict {
            Verdict::Finish if late => connection.observer().late_finish(),
            Verdict::Finish => {
                connection.finish(id)?;
                connection.tell_finished(id);
            }
            Verdict::Requeue { delay, backoff } if !late => {
                connection.send(Op::Answer(Answer::Requeue(id, delay)))?;
                connection.tell_requeued(id, delay, backoff);
            }
            Verdict::Requeue { .. } => {}
        }
        if late { Err(Error::Expired { id }) } else { Ok(()) }
    }

    /// Requeues a message that was dropped, at once, and no failure: nobody has looked at it. When the connection has
    /// ended there is nobody to tell.
    pub(super) fn give_back(&self, connection: &Handle, id: MessageId) {
        let answered = self.answered.swap(true, Ordering::AcqRel);
        // One whose time is over isn't this one's to requeue: nsqd may have sent it again, on this very connection.
        if answered || self.is_over(Moment::now()) {
            return;
        }
        if connection.send(Op::GiveBack(id)).is_ok() {
            connection.tell_requeued(id, Duration::ZERO, false);
        }
    }
}
