//! What a consumer tells about itself.

use std::time::Duration;

use crate::address::Address;

/// How a shutdown went. Every message that was received is counted in one of these, or was answered before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Messages that nobody had begun; they were requeued at once.
    pub requeued_unstarted: u64,
    /// Messages that were finished while the shutdown waited.
    pub finished: u64,
    /// Messages whose handlers had not ended at the time limit; they were requeued.
    pub requeued_unfinished: u64,
    /// nsqds that did not confirm that they send no more (`CLOSE_WAIT`).
    pub unconfirmed: Vec<Address>,
    /// How long it took.
    pub took: Duration,
}

/// What a consumer has done and does, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// nsqds that are connected and subscribed.
    pub connections: usize,
    /// Messages received and not answered yet.
    pub in_flight: u32,
    /// Of these, the ones that wait for a handler.
    pub queued: usize,
    /// What the bodies of the messages weigh that were received and not dropped yet. 0 without a
    /// [limit](crate::ConsumerBuilder::max_in_flight_bytes): they aren't weighed then.
    pub bytes: u64,
    /// All connections' RDY together.
    pub ready: u32,
    /// Whether backoff holds messages back.
    pub backing_off: bool,
    /// Messages received since the start, each delivery counted.
    pub received: u64,
    /// Messages finished.
    pub finished: u64,
    /// Messages requeued, those given back unstarted included.
    pub requeued: u64,
    /// Failed attempts after which a message kept its place ([`run_keyed`](crate::Consumer::run_keyed)).
    pub retried: u64,
    /// Of these, the ones that came before they were [due](super::ConsumerBuilder::deliver_at).
    pub deferred: u64,
    /// Messages whose time ran out before they were answered.
    pub expired: u64,
    /// Answers that came too late by nsqd's count.
    pub too_late: u64,
    /// Messages given up after too many attempts.
    pub given_up: u64,
}
