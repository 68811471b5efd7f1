//! What a connection's users ask of the task that drives it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gnsq_proto::connection::{Loss, StateError};
use gnsq_proto::{ChannelName, Command, IdentifyRequest, MessageId, Secret, ServerError, TopicName};
use tokio::sync::oneshot;

use crate::budget::Permit;
use crate::error::Error;

/// One request to the driver.
#[derive(Debug)]
pub(crate) enum Op {
    Finish(MessageId),
    Requeue(MessageId, Duration),
    Touch(MessageId),
    /// TOUCH, unless the message was answered meanwhile.
    KeepAlive(MessageId),
    /// FIN, REQ or TOUCH, with an answer.
    Confirm(Box<Confirm>),
    /// PUB, DPUB or MPUB.
    Publish(Command, Reply, Instant),
    Ask(Box<Ask>, Reply, Instant),
    /// RDY, as given.
    Ready(u32),
    /// The most that RDY may be; what it is, the window decides.
    Share(u32),
    Nop,
    /// Requeue what is in flight.
    RequeueAll,
    /// Send what is to be sent, then close.
    Close,
}

/// A FIN, REQ or TOUCH of which somebody wants to know whether it was carried out.
#[derive(Debug)]
pub(crate) struct Confirm {
    pub(crate) op: Op,
    pub(crate) reply: Reply,
    pub(crate) deadline: Instant,
}

/// A rare request with an answer.
#[derive(Debug)]
pub(crate) enum Ask {
    Identify(IdentifyRequest),
    Auth(Secret),
    Subscribe(TopicName, ChannelName),
    StartClose,
}

/// Where an answer goes. While it lasts, the command counts as outstanding.
#[derive(Debug)]
pub(crate) struct Reply {
    to: oneshot::Sender<Result<Bytes, Failure>>,
    permit: Option<Permit>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(ServerError),
    /// The connection ended; nsqd has not carried the command out.
    NotSent(Error),
    /// The connection ended; nsqd may have carried the command out.
    Unknown(Error),
    /// No answer in time. `sent`: nsqd may have carried the command out, or still will.
    TimedOut {
        sent: bool,
    },
    State(StateError),
}

impl Reply {
    pub(crate) fn new(permit: Option<Permit>) -> (Self, oneshot::Receiver<Result<Bytes, Failure>>) {
        let (to, from) = oneshot::channel();
        (Self { to, permit }, from)
    }

    pub(crate) fn answer(self, answer: Bytes) {
        // Who stopped waiting needs no answer.
        let _ = self.to.send(Ok(answer));
    }

    pub(crate) fn fail(self, failure: Failure) {
        let _ = self.to.send(Err(failure));
    }

    /// What it held of the budget, for another attempt.
    pub(crate) fn into_permit(self) -> Option<Permit> {
        self.permit
    }

    pub(crate) fn lose(self, loss: Loss, cause: &Error) {
        self.fail(match loss {
            Loss::Refused(error) => Failure::Refused(error),
            Loss::NotSent => Failure::NotSent(cause.clone()),
            Loss::Unknown => Failure::Unknown(cause.clone()),
        });
    }
}
