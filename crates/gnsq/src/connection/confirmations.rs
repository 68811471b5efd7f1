//! Receipts for what nsqd answers with silence.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use gnsq_proto::{ErrorCode, MessageId, ServerError};

use super::op::{Answer, Failure, Reply};
use crate::error::Error;

/// Who wants to know whether a FIN, REQ or TOUCH was carried out.
///
/// nsqd says nothing when they were, and an error when not. It takes the commands of a connection in order. So behind
/// them goes a *barrier*: a TOUCH of a message that can't be, which nsqd refuses at once. What it has not refused by
/// then, it has carried out. One barrier serves all that was asked in one run of the driver.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    /// Asked since the last barrier.
    fresh: Vec<Pending>,
    /// What stands before each barrier, in the order in which nsqd will come to them.
    barriers: VecDeque<Vec<Pending>>,
    /// No deadline is earlier than this.
    earliest: Option<Instant>,
}

#[derive(Debug)]
struct Pending {
    id: MessageId,
    /// The error by which nsqd would refuse it.
    refusal: ErrorCode,
    /// Leaves when it has its answer, or has waited too long.
    reply: Option<Reply>,
    deadline: Instant,
}

impl Confirmations {
    /// The message that there can't be: nsqd's ids are hexadecimal digits.
    pub(super) const BARRIER: MessageId = MessageId(*b"--gnsq-confirm--");

    /// `answer` was written.
    pub(super) fn ask(&mut self, answer: Answer, reply: Reply, deadline: Instant) {
        let (id, refusal) = match answer {
            Answer::Finish(id) => (id, ErrorCode::FinFailed),
            Answer::Requeue(id, _) => (id, ErrorCode::ReqFailed),
            Answer::Touch(id) => (id, ErrorCode::TouchFailed),
        };
        self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
        self.fresh.push(Pending { id, refusal, reply: Some(reply), deadline });
    }

    /// Whether a barrier has to be written now.
    pub(super) fn take_barrier(&mut self) -> bool {
        if self.fresh.is_empty() {
            return false;
        }
        self.barriers.push_back(std::mem::take(&mut self.fresh));
        true
    }

    /// Whether it is a barrier that nsqd has refused, which is nobody else's business.
    pub(super) fn is_barrier(error: &ServerError) -> bool {
        *error.code() == ErrorCode::TouchFailed && error.message_id() == Some(Self::BARRIER)
    }

    /// nsqd has refused something.
    pub(super) fn on_refusal(&mut self, error: &ServerError) {
        if Self::is_barrier(error) {
            for pending in self.barriers.pop_front().into_iter().flatten() {
                if let Some(reply) = pending.reply {
                    reply.answer(Bytes::new());
                }
            }
            if self.barriers.is_empty() && self.fresh.is_empty() {
                self.earliest = None;
            }
            return;
        }
        // What stands behind the first barrier nsqd has not come to. Of several touches of one message it doesn't say
        // which it means; what fails without need does no harm.
        for pending in self.barriers.front_mut().into_iter().flatten() {
            if pending.refusal == *error.code()
                && error.message_id() == Some(pending.id)
                && let Some(reply) = pending.reply.take()
            {
                reply.fail(Failure::Refused(error.clone()));
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.earliest
    }

    pub(super) fn time_out(&mut self, now: Instant) {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return;
        }
        let mut earliest: Option<Instant> = None;
        for pending in self.barriers.iter_mut().flatten().chain(&mut self.fresh) {
            if pending.deadline > now {
                earliest = Some(earliest.map_or(pending.deadline, |earliest| earliest.min(pending.deadline)));
            } else if let Some(reply) = pending.reply.take() {
                reply.fail(Failure::TimedOut { sent: true });
            }
        }
        self.earliest = earliest;
    }

    /// The connection has ended.
    pub(super) fn fail(&mut self, cause: &Error) {
        for pending in self.barriers.drain(..).flatten().chain(self.fresh.drain(..)) {
            if let Some(reply) = pending.reply {
                reply.fail(Failure::Unknown(cause.clone()));
            }
        }
        self.earliest = None;
    }
}
