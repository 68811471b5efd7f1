//! A topic: gives every message to each of its channels.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use gnsq_proto::{ChannelName, TopicName};
use parking_lot::Mutex;

use super::broker::{Broker, Shared};
use super::budget::Refused;
use super::channel::Channel;
use super::message::{IdSource, Message, Now};

/// A topic of an nsqd.
#[derive(Debug)]
pub(super) struct Topic {
    name: TopicName,
    /// To be taken out of it when an ephemeral topic ends.
    broker: Weak<Broker>,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    channels: BTreeMap<ChannelName, Arc<Channel>>,
    /// Messages that no channel has been given yet, and for how long the channels shall hold them back.
    backlog: VecDeque<(Message, Option<Duration>)>,
    ids: IdSource,
    paused: bool,
    /// Channels are about to be added that shall have all messages.
    held: bool,
    deleted: bool,
    message_count: u64,
    message_bytes: u64,
}

/// How a topic is at a moment.
#[derive(Debug)]
pub(super) struct TopicSnapshot {
    pub(super) channels: Vec<Arc<Channel>>,
    pub(super) depth: usize,
    pub(super) paused: bool,
    pub(super) message_count: u64,
    pub(super) message_bytes: u64,
}

impl Topic {
    /// A topic that keeps its messages to itself, if `held`, until [`release`](Self::release).
    pub(super) fn new(name: TopicName, broker: &Arc<Broker>, held: bool) -> Arc<Self> {
        let shared = broker.shared().clone();
        let state = State {
            channels: BTreeMap::new(),
            backlog: VecDeque::new(),
            ids: IdSource::new(shared.options.node_id),
            paused: false,
            held,
            deleted: false,
            message_count: 0,
            message_bytes: 0,
        };
        Arc::new(Self { name, broker: Arc::downgrade(broker), shared, state: Mutex::new(state) })
    }

    pub(super) fn name(&self) -> &TopicName {
        &self.name
    }

    /// Takes one message, of which the channels deliver their copies after `delay`.
    pub(super) fn publish(&self, now: Now, body: &[u8], delay: Option<Duration>) -> Result<(), Refused> {
        let mut state = self.state.lock();
        let state = &mut *state;
        self.admit(state, 1, body.len())?;
        let message = self.message(&mut state.ids, now, body);
        if state.keeps_to_itself() {
            self.keep(state, message, delay);
        } else {
            give_to_all(&state.channels, message, |channel, message| channel.put(message, delay, now));
        }
        Ok(())
    }

    /// Takes all messages, or none.
    pub(super) fn publish_all<'a>(
        &self,
        now: Now,
        bodies: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<(), Refused> {
        let (count, bytes) = bodies.clone().fold((0, 0), |(count, bytes), body| (count + 1, bytes + body.len()));
        let mut state = self.state.lock();
        let state = &mut *state;
        self.admit(state, count, bytes)?;
        if state.keeps_to_itself() {
            for body in bodies {
                let message = self.message(&mut state.ids, now, body);
                self.keep(state, message, None);
            }
            return Ok(());
        }
        let mut inlets: Vec<_> = state.channels.values().map(|channel| (channel, channel.state())).collect();
        for body in bodies {
            let message = self.message(&mut state.ids, now, body);
            let Some(((last, last_state), others)) = inlets.split_last_mut() else { continue };
            for (channel, inlet) in others {
                channel.put_locked(inlet, message.clone(), None, now);
            }
            last.put_locked(last_state, message, None, now);
        }
        for (_, inlet) in &mut inlets {
            let messages = inlet.queue.len().min(count);
            inlet.consumers.wake(messages);
        }
        Ok(())
    }

    pub(super) fn channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.state.lock().channels.get(name).cloned()
    }

    /// The channel, created if there is none. The first one is given what the topic holds.
    pub(super) fn channel_or_create(self: &Arc<Self>, name: &ChannelName) -> Result<Arc<Channel>, Refused> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(Refused::Deleted);
        }
        if let Some(channel) = state.channels.get(name).filter(|channel| !channel.is_deleted()) {
            return Ok(channel.clone());
        }
        if !self.shared.channels.take(1) {
            return Err(Refused::Channels(self.shared.channels.limit()));
        }
        let channel = Channel::new(name.clone(), self, self.shared.next_key(), self.shared.clone());
        state.channels.insert(name.clone(), channel.clone());
        self.pass_on(&mut state);
        drop(state);
        self.shared.changed();
        Ok(channel)
    }

    pub(super) fn delete_channel(&self, name: &str) -> bool {
        self.delete_channel_if(name, |_| true)
    }

    /// Deletes the channel if it is the one that is meant. An ephemeral topic ends with its last channel.
    pub(super) fn delete_channel_if(&self, name: &str, is_meant: impl FnOnce(&Channel) -> bool) -> bool {
        let mut state = self.state.lock();
        let Some(channel) = state.channels.get(name).filter(|channel| is_meant(channel)).cloned() else {
            return false;
        };
        state.channels.remove(name);
        // Before anyone can find that it is gone, so that nobody is added to it.
        channel.delete();
        let ends = self.name.is_ephemeral() && state.channels.is_empty();
        drop(state);
        self.shared.changed();
        if ends && let Some(broker) = self.broker.upgrade() {
            broker.delete_topic_if(self.name.as_str(), |topic| {
                std::ptr::eq(topic, self) && topic.state.lock().channels.is_empty()
            });
        }
        true
    }

    pub(super) fn set_paused(&self, paused: bool) {
        let mut state = self.state.lock();
        state.paused = paused;
        self.pass_on(&mut state);
    }

    /// Ends the time in which a new topic keeps its messages to itself.
    pub(super) fn release(&self) {
        let mut state = self.state.lock();
        state.held = false;
        self.pass_on(&mut state);
    }

    /// Drops what no channel has been given yet.
    pub(super) fn empty(&self) {
        let dropped = std::mem::take(&mut self.state.lock().backlog);
        drop(dropped);
    }

    /// Ends the topic and its channels.
    pub(super) fn delete(&self) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.deleted, true) {
            return;
        }
        self.shared.topics.give_back(1);
        let channels = std::mem::take(&mut state.channels);
        let backlog = std::mem::take(&mut state.backlog);
        drop(state);
        drop(backlog);
        for channel in channels.values() {
            channel.delete();
        }
    }

    pub(super) fn snapshot(&self) -> TopicSnapshot {
        let state = self.state.lock();
        TopicSnapshot {
            channels: state.channels.values().cloned().collect(),
            depth: state.backlog.len(),
            paused: state.paused,
            message_count: state.message_count,
            message_bytes: state.message_bytes,
        }
    }

    /// Makes sure that there is room, and counts what is published.
    fn admit(&self, state: &mut State, messages: usize, bytes: usize) -> Result<(), Refused> {
        if state.deleted {
            return Err(Refused::Deleted);
        }
        self.shared.budget.take(messages, bytes)?;
        state.message_count += messages as u64;
        state.message_bytes += bytes as u64;
        Ok(())
    }

    /// One of the messages that were admitted.
    fn message(&self, ids: &mut IdSource, now: Now, body: &[u8]) -> Message {
        Message::new(ids.next(now), now, body, self.shared.budget.charge(body.len()))
    }

    /// Keeps a message until there are channels to give it to. An ephemeral topic that is full drops it.
    fn keep(&self, state: &mut State, message: Message, delay: Option<Duration>) {
        let is_full = state.backlog.len() >= self.shared.options.mem_queue_size;
        if !(self.name.is_ephemeral() && is_full) {
            state.backlog.push_back((message, delay));
        }
    }

    /// Gives the channels what they have not been given yet.
    fn pass_on(&self, state: &mut State) {
        if state.backlog.is_empty() || state.keeps_to_itself() {
            return;
        }
        let now = Now::read(self.shared.clock());
        for (message, delay) in std::mem::take(&mut state.backlog) {
            give_to_all(&state.channels, message, |channel, message| channel.put(message, delay, now));
        }
    }
}

impl State {
    fn keeps_to_itself(&self) -> bool {
        self.paused || self.held || self.channels.is_empty()
    }
}

/// A copy for each channel, and the message itself for the last one.
fn give_to_all(channels: &BTreeMap<ChannelName, Arc<Channel>>, message: Message, give: impl Fn(&Channel, Message)) {
    let mut channels = channels.values();
    let Some(last) = channels.next_back() else { return };
    for channel in channels {
        give(channel, message.clone());
    }
    give(last, message);
}
