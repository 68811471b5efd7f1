//! What a connection's users ask of the task that drives it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gnsq_proto::connection::{Loss, StateError};
use gnsq_proto::{ChannelName, IdentifyRequest, MessageId, Secret, ServerError, TopicName};
use tokio::sync::oneshot;

use super::publish::Publish;
use crate::error::Error;

/// One request to the driver.
#[derive(Debug)]
pub(crate) enum Op {
    Answer(Answer),
    /// Requeue it, unless it was answered otherwise.
    GiveBack(MessageId),
    /// TOUCH, unless the message was answered meanwhile.
    KeepAlive(MessageId),
    Confirm(Box<Confirm>),
    Publish(Publish),
    Ask(Box<Ask>, Reply, Instant),
    /// RDY, as given.
    Ready(u32),
    /// The most that RDY may be; what it is, the window decides.
    Share(u32),
    Nop,
    /// A command as it stands, and whether it has an answer when it succeeds.
    Send(Bytes, bool),
    /// Say when all that was asked for before has been handed to the socket.
    Flush(Reply),
    /// By hand: ask for no more, requeue these, and what comes while the connection closes.
    GiveBackAll(Vec<MessageId>),
    /// Requeue what is in flight.
    RequeueAll,
    /// Send what is to be sent, then close.
    Close,
}

/// What is to become of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Finish(MessageId),
    Requeue(MessageId, Duration),
    Touch(MessageId),
}

/// An answer of which somebody wants to know whether nsqd has carried it out.
#[derive(Debug)]
pub(crate) struct Confirm {
    pub(crate) answer: Answer,
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

/// Where an answer goes.
#[derive(Debug)]
pub(crate) struct Reply(oneshot::Sender<Result<Bytes, Failure>>);

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    Refused(ServerError),
    /// nsqd refused the command that it shared with others, for one of them or for their sum, and stored nothing.
    RefusedTogether(ServerError),
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

impl Failure {
    pub(super) fn lost(loss: Loss, cause: &Error) -> Self {
        match loss {
            Loss::Refused(error) => Self::Refused(error),
            Loss::NotSent => Self::NotSent(cause.clone()),
            Loss::Unknown => Self::Unknown(cause.clone()),
        }
    }
}

impl Reply {
    pub(super) fn new() -> (Self, oneshot::Receiver<Result<Bytes, Failure>>) {
        let (to, from) = oneshot::channel();
        (Self(to), from)
    }

    pub(super) fn answer(self, answer: Bytes) {
        // Who stopped waiting needs no answer.
        let _ = self.0.send(Ok(answer));
    }

    pub(super) fn fail(self, failure: Failure) {
        let _ = self.0.send(Err(failure));
    }
}
