//! What a producer tells about itself.

use std::time::Duration;

use bytes::Bytes;
use gnsq_proto::{Command, TopicName};

use super::breaker::BreakerState;
use crate::address::Address;
use crate::error::Error;

/// How the end of a producer went: what [`Producer::close`](crate::Producer::close) returns.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CloseReport {
    /// The publishes that were begun before and failed since: waiting for a connection, for room or for nsqd's answer.
    /// Also those that nobody waited for any more.
    pub undelivered: Vec<Undelivered>,
}

/// A publish that ended without nsqd's confirmation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Undelivered {
    /// Where it was to go.
    pub topic: TopicName,
    /// Its messages.
    pub bodies: Vec<Bytes>,
    /// How long nsqd was to hold it back, for a deferred one.
    pub delay: Option<Duration>,
    /// Why it ended. Where the [outcome is unknown](Error::outcome_unknown), it may have been published.
    pub error: Error,
}

impl Undelivered {
    /// `None` for what is no publish.
    pub(super) fn new(command: Command, error: Error) -> Option<Self> {
        let (topic, bodies, delay) = match command {
            Command::Pub { topic, body } => (topic, vec![body], None),
            Command::Dpub { topic, delay_ms, body } => (topic, vec![body], Some(Duration::from_millis(delay_ms))),
            Command::Mpub { topic, bodies } => (topic, bodies.to_vec(), None),
            _ => return None,
        };
        Some(Self { topic, bodies, delay, error })
    }
}

/// What a producer has done and is doing: [`Producer::stats`](crate::Producer::stats).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Each nsqd that was named, or is listed by an nsqlookupd or still connected.
    pub nsqds: Vec<NsqdStats>,
    /// How many messages were confirmed.
    pub published: u64,
    /// How many messages surely weren't published: their publish ended with an error, of which the caller was told.
    pub failed: u64,
    /// How many messages may have been published or not, of which the caller was told.
    pub unknown: u64,
    /// How often messages that were published apart were sent with one command.
    pub batches: u64,
    /// How many messages those had.
    pub batched: u64,
    /// How many publishes wait for a connection or for room.
    pub waiting: usize,
    /// How many publishes have room, and no outcome yet.
    pub outstanding: usize,
    /// How many bytes they have.
    pub outstanding_bytes: usize,
}

/// One nsqd, as a producer sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NsqdStats {
    /// Where it is.
    pub address: Address,
    /// Whether it is connected.
    pub connected: bool,
    /// How many publishes it has been given and has not confirmed.
    pub outstanding: usize,
    /// Whether its publishes succeed.
    pub breaker: BreakerState,
    /// Whether it owes answers for longer than [`stall_timeout`](crate::ProducerBuilder::stall_timeout).
    pub stalled: bool,
}
