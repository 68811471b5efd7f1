//! The clients that consume from one channel, and whose turn it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::client::Client;

/// How a client wants its messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery {
    /// How long it may hold one.
    pub(super) msg_timeout: Duration,
    /// The percentage that it gets; 0 for all.
    pub(super) sample_rate: u8,
}

/// A client that consumes.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) client: Arc<Client>,
    pub(super) delivery: Delivery,
    pub(super) ready: u32,
    pub(super) in_flight: u32,
    pub(super) message_count: u64,
    pub(super) finish_count: u64,
    pub(super) requeue_count: u64,
    /// After CLS: RDY is ignored.
    pub(super) closing: bool,
    waiting: bool,
}

/// All consumers of a channel.
///
/// One that found nothing to take *waits*. Whoever puts messages into the queue [wakes](Self::wake) as many as there are
/// messages, in turn; whoever was woken and leaves something in the queue wakes the next. So messages in the queue and
/// a consumer that waits are never there together without a bell that has been rung.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    all: FxHashMap<u64, Consumer>,
    waiting: VecDeque<u64>,
}

impl Consumer {
    /// How many more messages it may be sent.
    pub(super) fn capacity(&self) -> usize {
        self.ready.saturating_sub(self.in_flight) as usize
    }
}

impl Consumers {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.all.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Consumer> {
        self.all.values_mut()
    }

    pub(super) fn find(&mut self, id: u64) -> Option<&mut Consumer> {
        self.all.get_mut(&id)
    }

    pub(super) fn insert(&mut self, client: Arc<Client>, delivery: Delivery) {
        let consumer = Consumer {
            delivery,
            ready: 0,
            in_flight: 0,
            message_count: 0,
            finish_count: 0,
            requeue_count: 0,
            closing: false,
            waiting: false,
            client,
        };
        self.all.insert(consumer.client.id(), consumer);
    }

    pub(super) fn remove(&mut self, id: u64) {
        if self.all.remove(&id).is_some_and(|consumer| consumer.waiting) {
            self.waiting.retain(|waiting| *waiting != id);
        }
    }

    /// How many of `queued` messages one consumer takes at once: an even part, so that those who come first leave
    /// something for the others.
    pub(super) fn share(&self, queued: usize) -> usize {
        if self.all.len() < 2 {
            return queued;
        }
        let hungry = self.all.values().filter(|consumer| consumer.capacity() > 0).count();
        queued.div_ceil(hungry.max(1))
    }

    /// Puts a consumer at the end of those who wait.
    pub(super) fn wait(&mut self, id: u64) {
        if let Some(consumer) = self.all.get_mut(&id)
            && !consumer.waiting
        {
            consumer.waiting = true;
            self.waiting.push_back(id);
        }
    }

    /// Rings for up to so many messages.
    pub(super) fn wake(&mut self, messages: usize) {
        for _ in 0..messages {
            let Some(id) = self.waiting.pop_front() else { return };
            if let Some(consumer) = self.all.get_mut(&id) {
                consumer.waiting = false;
                consumer.client.ring();
            }
        }
    }

    /// Rings everyone, whether they wait or not: what they may take has changed.
    pub(super) fn wake_all(&mut self) {
        self.waiting.clear();
        for consumer in self.all.values_mut() {
            consumer.waiting = false;
            consumer.client.ring();
        }
    }
}
