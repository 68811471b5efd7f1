//! Who waits for an answer of nsqd's.

use std::time::Instant;

use bytes::Bytes;
use gnsq_proto::command::encode_mpub;
use gnsq_proto::connection::{Loss, StateError};
use gnsq_proto::{ErrorCode, Outgoing};

use super::lanes::LaneId;
use crate::connection::handle::Handle;
use crate::connection::op::{Failure, Reply};
use crate::connection::publish::Publish;
use crate::error::Error;

#[derive(Debug)]
pub(super) enum Waiter {
    Ask(Reply),
    /// One publish; `None` when its time is over. The lane is told of the answer.
    One(Option<Publish>, Option<LaneId>),
    /// Messages that share an MPUB; those whose time is over are gone.
    Together(Together),
}

#[derive(Debug)]
pub(super) struct Together {
    publishes: Vec<Publish>,
    lane: LaneId,
    /// How many messages the MPUB has.
    sent: usize,
}

impl Waiter {
    /// Messages of a lane, at least one.
    pub(super) fn of_lane(mut publishes: Vec<Publish>, lane: LaneId) -> Self {
        if publishes.len() == 1 {
            return Self::One(publishes.pop(), Some(lane));
        }
        let sent = publishes.len();
        Self::Together(Together { publishes, lane, sent })
    }

    /// Writes the command of its publishes.
    pub(super) fn encode(&self, out: &mut Outgoing) {
        match self {
            Self::One(Some(publish), _) => publish.command().encode(out),
            Self::Together(Together { publishes, .. }) => {
                if let Some(topic) = publishes.first().and_then(Publish::topic) {
                    encode_mpub(topic, publishes.iter().map(Publish::body), out);
                }
            }
            Self::Ask(_) | Self::One(None, _) => {}
        }
    }

    /// The lane that its messages came from, and how many they were.
    pub(super) fn lane(&self) -> Option<(LaneId, usize)> {
        match self {
            Self::Ask(_) => None,
            Self::One(_, lane) => lane.map(|lane| (lane, 1)),
            Self::Together(together) => Some((together.lane, together.sent)),
        }
    }

    /// How many publishes wait here.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Ask(_) => 0,
            Self::One(publish, _) => publish.iter().len(),
            Self::Together(together) => together.publishes.len(),
        }
    }

    /// How many messages they have.
    pub(super) fn messages(&self) -> usize {
        match self {
            Self::Ask(_) => 0,
            Self::One(publish, _) => publish.iter().map(Publish::messages).sum(),
            Self::Together(together) => together.publishes.len(),
        }
    }

    pub(super) fn answer(self, answer: Bytes) {
        match self {
            Self::Ask(reply) => reply.answer(answer),
            Self::One(publish, _) => publish.into_iter().for_each(Publish::confirm),
            Self::Together(together) => together.publishes.into_iter().for_each(Publish::confirm),
        }
    }

    /// nsqd was not asked: the connection is in no state for it.
    pub(super) fn reject(self, reason: StateError, connection: &Handle) {
        let publishes = match self {
            Self::Ask(reply) => return reply.fail(Failure::State(reason)),
            Self::One(publish, _) => Vec::from_iter(publish),
            Self::Together(together) => together.publishes,
        };
        for publish in publishes {
            publish.fail(Failure::State(reason), connection);
        }
    }

    /// Takes out the publishes whose time is over. Returns the end of the next one's.
    pub(super) fn time_out(&mut self, now: Instant, late: &mut Vec<Publish>) -> Option<Instant> {
        match self {
            Self::Ask(_) => None,
            Self::One(publish, _) => {
                late.extend(publish.take_if(|publish| publish.limit().is_over(now)));
                publish.as_ref().map(|publish| publish.limit().ends)
            }
            Self::Together(together) => take_late(&mut together.publishes, now, late),
        }
    }

    pub(super) fn lose(self, loss: Loss, cause: &Error, connection: &Handle) {
        match self {
            Self::Ask(reply) => reply.fail(Failure::lost(loss, cause)),
            Self::One(publish, _) => {
                if let Some(publish) = publish {
                    publish.fail(Failure::lost(loss, cause), connection);
                }
            }
            Self::Together(Together { publishes, .. }) => {
                for publish in publishes {
                    let failure = match &loss {
                        // nsqd looks at all messages before it stores one, so it may be the size of any of them, or
                        // their sum, or that it has no MPUB.
                        Loss::Refused(error)
                            if matches!(
                                error.code(),
                                ErrorCode::BadMessage | ErrorCode::BadBody | ErrorCode::Invalid
                            ) =>
                        {
                            Failure::RefusedTogether(error.clone())
                        }
                        _ => Failure::lost(loss.clone(), cause),
                    };
                    publish.fail(failure, connection);
                }
            }
        }
    }
}

/// Moves those whose time is over into `late`. Returns the end of the next one's.
pub(super) fn take_late(publishes: &mut Vec<Publish>, now: Instant, late: &mut Vec<Publish>) -> Option<Instant> {
    late.extend(publishes.extract_if(.., |publish| publish.limit().is_over(now)));
    publishes.iter().map(|publish| publish.limit().ends).min()
}
