//! The figures of topics and channels.

use std::ops::AddAssign;

use gnsq::http::{ChannelStats, TopicStats};

/// Sums over nsqds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) depth: u64,
    pub(super) on_disk: u64,
    pub(super) in_flight: u64,
    pub(super) deferred: u64,
    pub(super) messages: u64,
    pub(super) requeued: u64,
    pub(super) timed_out: u64,
    pub(super) clients: u64,
    /// How many nsqds have it.
    pub(super) nodes: u64,
    /// On how many of them it is paused.
    pub(super) paused: u64,
}

/// What rates are made of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) messages: u64,
    /// In the channel: waiting, in flight or deferred.
    pub(super) held: u64,
}

/// The numbers come from strangers: they can be of any size.
impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.depth = self.depth.saturating_add(other.depth);
        self.on_disk = self.on_disk.saturating_add(other.on_disk);
        self.in_flight = self.in_flight.saturating_add(other.in_flight);
        self.deferred = self.deferred.saturating_add(other.deferred);
        self.messages = self.messages.saturating_add(other.messages);
        self.requeued = self.requeued.saturating_add(other.requeued);
        self.timed_out = self.timed_out.saturating_add(other.timed_out);
        self.clients = self.clients.saturating_add(other.clients);
        self.nodes = self.nodes.saturating_add(other.nodes);
        self.paused = self.paused.saturating_add(other.paused);
    }
}

pub(super) fn of_topic(topic: &TopicStats) -> (Counts, Counters) {
    let counts = Counts {
        depth: unsigned(topic.depth),
        on_disk: unsigned(topic.backend_depth),
        messages: topic.message_count,
        nodes: 1,
        paused: topic.paused.into(),
        ..Counts::default()
    };
    (counts, Counters { messages: topic.message_count, held: 0 })
}

pub(super) fn of_channel(channel: &ChannelStats) -> (Counts, Counters) {
    let counts = Counts {
        depth: unsigned(channel.depth),
        on_disk: unsigned(channel.backend_depth),
        in_flight: unsigned(channel.in_flight_count),
        deferred: unsigned(channel.deferred_count),
        messages: channel.message_count,
        requeued: channel.requeue_count,
        timed_out: channel.timeout_count,
        clients: unsigned(channel.client_count),
        nodes: 1,
        paused: channel.paused.into(),
    };
    let held = counts.depth.saturating_add(counts.in_flight).saturating_add(counts.deferred);
    (counts, Counters { messages: channel.message_count, held })
}

/// nsqd has no negative counts, except by a slip of its own.
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
