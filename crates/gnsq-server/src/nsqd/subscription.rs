//! A client's hold on a channel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use gnsq_proto::MessageId;

use super::channel::Channel;
use super::consumers::Delivery;
use super::in_flight::NotInFlight;
use super::message::{Now, id_from_wire};

/// One client's subscription. Dropping it leaves the channel; the messages that the client holds wait for their time
/// limit.
#[derive(Debug)]
pub(super) struct Subscription {
    channel: Arc<Channel>,
    client: u64,
}

/// What [`Subscription::take`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) messages: usize,
    /// Whether there was more than the output had room for. If not, the client's bell rings when there may be.
    pub(super) more: bool,
}

impl Subscription {
    pub(super) fn new(channel: Arc<Channel>, client: u64) -> Self {
        Self { channel, client }
    }

    /// RDY. Ignored after [`stop`](Self::stop).
    pub(super) fn set_ready(&self, count: u32) {
        if let Some(consumer) = self.channel.state().consumers.find(self.client)
            && !consumer.closing
        {
            consumer.ready = count;
        }
    }

    /// CLS: no more messages.
    pub(super) fn stop(&self) {
        if let Some(consumer) = self.channel.state().consumers.find(self.client) {
            consumer.ready = 0;
            consumer.closing = true;
        }
    }

    /// Appends the frames of messages to `out`, until that has `max_bytes`, RDY is reached or there are no more.
    pub(super) fn take(&self, now: Now, out: &mut BytesMut, max_bytes: usize) -> Taken {
        let mut taken = Taken { messages: 0, more: false };
        let mut state = self.channel.state();
        let state = &mut *state;
        if state.paused || state.deleted {
            return taken;
        }
        let share = state.consumers.share(state.queue.len());
        let Some(consumer) = state.consumers.find(self.client) else { return taken };
        let Delivery { msg_timeout, sample_rate } = consumer.delivery;
        let capacity = consumer.capacity();
        let mut looked_at = 0;
        while taken.messages < capacity && looked_at < share {
            if out.len() >= max_bytes {
                taken.more = true;
                break;
            }
            let Some(mut message) = state.queue.pop_front() else { break };
            looked_at += 1;
            // As nsqd's: of a hundred equal chances those above the rate lose, so that (rate + 1) % get through.
            if sample_rate > 0 && fastrand::u8(0..100) > sample_rate {
                continue;
            }
            message.encode_attempt(out);
            state.in_flight.insert(message, self.client, now.tick, msg_timeout);
            taken.messages += 1;
        }
        consumer.in_flight += u32::try_from(taken.messages).unwrap_or(u32::MAX);
        consumer.message_count += taken.messages as u64;
        let has_room = consumer.capacity() > 0;
        if taken.messages > 0 {
            self.channel.set_alarm(state);
        }
        if !state.queue.is_empty() {
            state.consumers.wake(1);
        } else if state.queue.capacity() > KEPT_CAPACITY {
            // A burst is over: its room is for others.
            state.queue = VecDeque::new();
        }
        if has_room && !taken.more {
            // What is left in the queue is for others, who will leave something or wake this one.
            state.consumers.wait(self.client);
        }
        taken
    }

    /// FIN.
    pub(super) fn finish(&self, now: Now, id: &[u8; MessageId::LEN]) -> Result<(), NotInFlight> {
        let mut state = self.channel.state();
        let message = state.in_flight.remove(id_from_wire(id), self.client)?;
        if let Some(consumer) = state.consumers.find(self.client) {
            consumer.in_flight = consumer.in_flight.saturating_sub(1);
            consumer.finish_count += 1;
        }
        if let Some(latencies) = &mut state.latencies {
            latencies.record(now, message.timestamp());
        }
        drop(state);
        drop(message);
        Ok(())
    }

    /// REQ, with a delay within the limit.
    pub(super) fn requeue(&self, now: Now, id: &[u8; MessageId::LEN], delay: Duration) -> Result<(), NotInFlight> {
        let mut state = self.channel.state();
        let state = &mut *state;
        let message = state.in_flight.remove(id_from_wire(id), self.client)?;
        state.requeue_count += 1;
        if let Some(consumer) = state.consumers.find(self.client) {
            consumer.in_flight = consumer.in_flight.saturating_sub(1);
            consumer.requeue_count += 1;
        }
        if delay.is_zero() {
            self.channel.enqueue(state, message);
            state.consumers.wake(1);
        } else {
            self.channel.defer(state, message, now.tick.after(delay));
        }
        Ok(())
    }

    /// TOUCH.
    pub(super) fn touch(&self, now: Now, id: &[u8; MessageId::LEN]) -> Result<(), NotInFlight> {
        let mut state = self.channel.state();
        let state = &mut *state;
        let timeout = state.consumers.find(self.client).ok_or(NotInFlight::Unknown)?.delivery.msg_timeout;
        let max = self.channel.shared().options.max_msg_timeout;
        state.in_flight.touch(id_from_wire(id), self.client, now.tick, timeout, max)?;
        self.channel.set_alarm(state);
        Ok(())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.channel.unsubscribe(self.client);
    }
}

/// How many messages an empty queue keeps room for: 16 bytes each.
const KEPT_CAPACITY: usize = 64 * 1024;
