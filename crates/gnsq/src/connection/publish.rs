//! A publish in the hands of a connection.

use bytes::Bytes;
use gnsq_proto::{Command, TopicName};
use tokio::sync::oneshot;

use super::handle::Handle;
use super::op::{Failure, Op};
use crate::budget::Permit;
use crate::error::Error;
use crate::time_limit::TimeLimit;

/// What is to be published, until when, and who is told how it went. In a box, since it goes through many hands.
#[derive(Debug)]
pub(crate) struct Publish(Box<Parts>);

#[derive(Debug)]
struct Parts {
    /// PUB, DPUB or MPUB.
    command: Command,
    /// Whether it may share an MPUB with others.
    shares: bool,
    limit: TimeLimit,
    /// A failure is boxed: its room would be moved with each publish that has none.
    to: oneshot::Sender<Result<(), Box<Undone>>>,
    /// While it lasts, the publish counts as outstanding.
    permit: Option<Permit>,
}

/// A publish that was not confirmed, back with who asked for it: nothing was copied for another attempt.
#[derive(Debug)]
pub(crate) struct Undone {
    pub(crate) failure: Failure,
    /// `None` when the connection's owner has kept it.
    pub(crate) command: Option<Command>,
    pub(crate) permit: Option<Permit>,
}

impl Publish {
    pub(crate) fn new(
        command: Command,
        shares: bool,
        limit: TimeLimit,
        permit: Option<Permit>,
    ) -> (Self, oneshot::Receiver<Result<(), Box<Undone>>>) {
        let (to, from) = oneshot::channel();
        (Self(Box::new(Parts { command, shares, limit, to, permit })), from)
    }

    pub(crate) fn command(&self) -> &Command {
        &self.0.command
    }

    pub(super) fn limit(&self) -> TimeLimit {
        self.0.limit
    }

    pub(super) fn topic(&self) -> Option<&TopicName> {
        topic(&self.0.command)
    }

    /// How many messages it has.
    pub(super) fn messages(&self) -> usize {
        messages(&self.0.command)
    }

    /// The message, if it may share an MPUB with others.
    pub(super) fn shared_body(&self) -> Option<&Bytes> {
        match &self.0.command {
            Command::Pub { body, .. } if self.0.shares => Some(body),
            _ => None,
        }
    }

    /// The message of a publish that shares an MPUB.
    pub(super) fn body(&self) -> &Bytes {
        self.shared_body().expect("only what has a shared body is put into a lane")
    }

    pub(super) fn confirm(self) {
        let Parts { permit, to, .. } = *self.0;
        // Before the answer, so that who has it doesn't count any more.
        drop(permit);
        // Who stopped waiting needs no answer.
        let _ = to.send(Ok(()));
    }

    pub(super) fn fail(self, failure: Failure, connection: &Handle) {
        let Parts { command, limit, to, permit, .. } = *self.0;
        let command = connection.observer().undelivered(connection, command, &failure, limit.after);
        let _ = to.send(Err(Box::new(Undone { failure, command, permit })));
    }
}

impl Undone {
    /// A failure of what is gone.
    pub(crate) fn without(failure: Failure) -> Self {
        Self { failure, command: None, permit: None }
    }
}

impl Op {
    /// What a connection didn't take, since it had ended.
    pub(crate) fn undone(self, cause: Error) -> Undone {
        let failure = Failure::NotSent(cause);
        match self {
            Self::Publish(Publish(parts)) => {
                let Parts { command, permit, .. } = *parts;
                Undone { failure, command: Some(command), permit }
            }
            _ => Undone::without(failure),
        }
    }
}

/// The topic of a PUB, DPUB or MPUB.
pub(crate) fn topic(command: &Command) -> Option<&TopicName> {
    match command {
        Command::Pub { topic, .. } | Command::Dpub { topic, .. } | Command::Mpub { topic, .. } => Some(topic),
        _ => None,
    }
}

/// How many messages a PUB, DPUB or MPUB has.
pub(crate) fn messages(command: &Command) -> usize {
    match command {
        Command::Mpub { bodies, .. } => bodies.len(),
        _ => 1,
    }
}
