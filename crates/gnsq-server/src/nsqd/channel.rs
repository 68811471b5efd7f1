//! A channel: a queue of a topic's messages that its consumers share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use gnsq_proto::{ChannelName, TopicName};
use parking_lot::{Mutex, MutexGuard};
use thiserror::Error;

use super::broker::Shared;
use super::client::Client;
use super::consumers::{Consumers, Delivery};
use super::in_flight::InFlight;
use super::latency::Latencies;
use super::message::{Message, Now};
use super::subscription::Subscription;
use super::topic::Topic;
use crate::clock::Tick;

/// A channel of a topic.
#[derive(Debug)]
pub(super) struct Channel {
    name: ChannelName,
    topic_name: TopicName,
    /// To be taken out of it when an ephemeral channel ends.
    topic: Weak<Topic>,
    this: Weak<Self>,
    /// Unique in the nsqd.
    key: u64,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Message>,
    pub(super) in_flight: InFlight,
    pub(super) deferred: BTreeMap<(Tick, u64), Message>,
    pub(super) consumers: Consumers,
    pub(super) paused: bool,
    pub(super) deleted: bool,
    pub(super) message_count: u64,
    pub(super) requeue_count: u64,
    pub(super) timeout_count: u64,
    /// If they are measured.
    pub(super) latencies: Option<Box<Latencies>>,
    /// When the alarm is set to.
    alarm: Option<Tick>,
    /// Tells deferred messages of one moment apart.
    deferrals: u64,
}

/// Why a client can't consume from a channel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum SubscribeError {
    /// The text is nsqd's.
    #[error("consumers for {topic}:{channel} exceeds limit of {limit}")]
    TooManyConsumers { topic: TopicName, channel: ChannelName, limit: usize },
    /// Whoever meets it looks the channel up again.
    #[error("the channel was deleted")]
    Deleted,
}

impl Channel {
    pub(super) fn new(name: ChannelName, topic: &Arc<Topic>, key: u64, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            name,
            topic_name: topic.name().clone(),
            topic: Arc::downgrade(topic),
            this: this.clone(),
            key,
            state: Mutex::new(State { latencies: Latencies::new(&shared.options), ..State::default() }),
            shared,
        })
    }

    pub(super) fn name(&self) -> &ChannelName {
        &self.name
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Takes a message from the topic; `delay` counts from now on.
    pub(super) fn put(&self, message: Message, delay: Option<Duration>, now: Now) {
        let mut state = self.state.lock();
        self.put_locked(&mut state, message, delay, now);
        if !state.queue.is_empty() {
            state.consumers.wake(1);
        }
    }

    /// As [`put`](Self::put), for several at once and without waking anyone.
    pub(super) fn put_locked(&self, state: &mut State, message: Message, delay: Option<Duration>, now: Now) {
        state.message_count += 1;
        match delay.filter(|delay| !delay.is_zero()) {
            Some(delay) => self.defer(state, message, now.tick.after(delay)),
            None => self.enqueue(state, message),
        }
    }

    /// Puts a message at the end of the queue. An ephemeral channel that is full drops it.
    pub(super) fn enqueue(&self, state: &mut State, message: Message) {
        if state.deleted || self.name.is_ephemeral() && state.queue.len() >= self.shared.options.mem_queue_size {
            return;
        }
        state.queue.push_back(message);
    }

    /// Keeps a message until `due`.
    pub(super) fn defer(&self, state: &mut State, message: Message, due: Tick) {
        if state.deleted {
            return;
        }
        state.deferrals += 1;
        state.deferred.insert((due, state.deferrals), message);
        self.set_alarm(state);
    }

    /// Sees to it that [`on_alarm`](Self::on_alarm) is called when the next message times out or is due.
    pub(super) fn set_alarm(&self, state: &mut State) {
        let due = state.deferred.first_key_value().map(|((due, _), _)| *due);
        let next = [state.in_flight.bound(), due].into_iter().flatten().min();
        let is_set = match (state.alarm, next) {
            (Some(alarm), Some(next)) => alarm <= next,
            (_, None) => true,
            (None, Some(_)) => false,
        };
        if !is_set {
            self.shared.alarms.set(self.key, state.alarm, next, &self.this);
            state.alarm = next;
        }
    }

    /// Puts back into the queue what has timed out or is due.
    pub(super) fn on_alarm(&self) {
        let now = self.shared.clock().now();
        let mut state = self.state.lock();
        let state = &mut *state;
        state.alarm = None;
        let before = state.queue.len();
        for held in state.in_flight.take_expired(now) {
            state.timeout_count += 1;
            if let Some(consumer) = state.consumers.find(held.owner) {
                consumer.in_flight = consumer.in_flight.saturating_sub(1);
                // It may take one more, be it this one again.
                consumer.client.ring();
            }
            self.enqueue(state, held.message);
        }
        while let Some(first) = state.deferred.first_entry()
            && first.key().0 <= now
        {
            let message = first.remove();
            self.enqueue(state, message);
        }
        state.consumers.wake(state.queue.len() - before);
        self.set_alarm(state);
    }

    pub(super) fn set_paused(&self, paused: bool) {
        let mut state = self.state.lock();
        state.paused = paused;
        state.consumers.wake_all();
    }

    /// Drops all messages, those that clients hold included.
    pub(super) fn empty(&self) {
        let mut state = self.state.lock();
        let dropped = take_messages(&mut state);
        for consumer in state.consumers.iter_mut() {
            consumer.in_flight = 0;
        }
        state.consumers.wake_all();
        drop(state);
        // A million messages take a while to drop, and nobody should wait for that.
        drop(dropped);
    }

    /// Ends the channel and the connections of its clients.
    pub(super) fn delete(&self) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.deleted, true) {
            return;
        }
        self.shared.alarms.set(self.key, state.alarm.take(), None, &self.this);
        self.shared.channels.give_back(1);
        for consumer in state.consumers.iter() {
            consumer.client.close();
        }
        let dropped = take_messages(&mut state);
        drop(state);
        drop(dropped);
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.state.lock().deleted
    }

    /// Makes `client` one of the consumers.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        client: &Arc<Client>,
        delivery: Delivery,
    ) -> Result<Subscription, SubscribeError> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(SubscribeError::Deleted);
        }
        let limit = self.shared.options.max_channel_consumers;
        if limit > 0 && state.consumers.len() >= limit {
            return Err(SubscribeError::TooManyConsumers {
                topic: self.topic_name.clone(),
                channel: self.name.clone(),
                limit,
            });
        }
        state.consumers.insert(client.clone(), delivery);
        Ok(Subscription::new(self.clone(), client.id()))
    }

    /// Lets a consumer go. What it holds waits for its time limit. An ephemeral channel ends with its last consumer.
    pub(super) fn unsubscribe(&self, client: u64) {
        let mut state = self.state.lock();
        state.consumers.remove(client);
        if !state.queue.is_empty() {
            // It may have been woken for a message that the next one can have.
            state.consumers.wake(1);
        }
        let ends = self.name.is_ephemeral() && state.consumers.is_empty() && !state.deleted;
        drop(state);
        if ends && let Some(topic) = self.topic.upgrade() {
            topic.delete_channel_if(self.name.as_str(), |channel| {
                std::ptr::eq(channel, self) && channel.state.lock().consumers.is_empty()
            });
        }
    }
}

fn take_messages(state: &mut State) -> (VecDeque<Message>, InFlight, BTreeMap<(Tick, u64), Message>) {
    (std::mem::take(&mut state.queue), std::mem::take(&mut state.in_flight), std::mem::take(&mut state.deferred))
}
