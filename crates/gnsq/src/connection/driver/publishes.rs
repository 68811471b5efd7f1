//! Sends what is published, alone or together, and keeps to its time limits.

use std::time::Instant;

use gnsq_proto::connection::StateError;

use super::lanes::LaneId;
use super::waiter::Waiter;
use super::{Driver, count};
use crate::connection::op::Failure;
use crate::connection::publish::Publish;

impl Driver {
    pub(super) fn publish(&mut self, publish: Publish, now: Instant) {
        if publish.limit().is_over(now) {
            self.handle.load().remove_publishes(1);
            return publish.fail(Failure::TimedOut { sent: false }, &self.handle);
        }
        self.burst += 1;
        let ends = publish.limit().ends;
        self.publishes_until = Some(self.publishes_until.map_or(ends, |earliest| earliest.min(ends)));
        let batching = self.handle.shared().config.batching;
        let size = publish.shared_body().map(bytes::Bytes::len);
        let (Some(topic), Some(size), Some(limits)) = (publish.topic(), size, batching) else {
            // What was asked for before goes out before.
            if let Some(lane) = publish.topic().and_then(|topic| self.lanes.find(topic)) {
                self.send_lane(lane, now);
            }
            return self.send_publishes(Waiter::One(Some(publish), None), now);
        };
        let lane = self.lanes.of(topic);
        if self.lanes.is_full_for(lane, size, &limits) {
            self.send_lane(lane, now);
        }
        if self.lanes.add(lane, publish, size, &limits) {
            self.send_lane(lane, now);
        }
    }

    /// Sends what came together or has waited long enough.
    pub(super) fn send_due(&mut self, now: Instant) {
        while let Some(lane) = self.lanes.next_due() {
            self.send_lane(lane, now);
        }
    }

    /// nsqd has answered; `waiter` is what waited.
    pub(super) fn answered(&mut self, waiter: &Waiter, now: Instant) {
        let load = self.handle.load();
        load.answered(now.into(), self.protocol.outstanding() > 0);
        if !matches!(waiter, Waiter::Ask(_)) {
            load.remove_publishes(count(waiter.len()));
            load.add_answered(waiter.messages() as u64);
        }
        if let Some((lane, messages)) = waiter.lane() {
            self.lanes.answered(lane, messages);
        }
        if self.protocol.outstanding() == 0 && self.lanes.waiting() == 0 {
            self.handle.load().all_answered(std::mem::take(&mut self.burst));
        }
    }

    /// Tells those whose time is over. Where nsqd was asked already, the place in the order of the answers stays.
    pub(super) fn time_out_publishes(&mut self, now: Instant) {
        if self.publishes_until.is_none_or(|earliest| earliest > now) {
            return;
        }
        let mut late = Vec::new();
        self.publishes_until = self.lanes.time_out(now, &mut late);
        let unsent = late.len();
        for waiter in self.protocol.waiters_mut() {
            let ends = waiter.time_out(now, &mut late);
            self.publishes_until = [self.publishes_until, ends].into_iter().flatten().min();
        }
        self.handle.load().remove_publishes(count(late.len()));
        for (index, publish) in late.into_iter().enumerate() {
            // What was handed to the socket, or is about to be, nobody can take back.
            publish.fail(Failure::TimedOut { sent: index >= unsent }, &self.handle);
        }
    }

    fn send_lane(&mut self, lane: LaneId, now: Instant) {
        let publishes = self.lanes.take(lane);
        if publishes.is_empty() {
            return;
        }
        self.handle.meter().batches.record_count(publishes.len());
        if publishes.len() > 1 {
            self.handle.observer().batched(publishes.len());
        }
        self.send_publishes(Waiter::of_lane(publishes, lane), now);
    }

    fn send_publishes(&mut self, waiter: Waiter, now: Instant) {
        match self.protocol.publish_held(waiter, Waiter::encode) {
            Ok(()) => self.handle.load().await_answer(now.into()),
            Err(rejected) => self.reject(rejected.waiter, rejected.reason),
        }
    }

    fn reject(&mut self, waiter: Waiter, reason: StateError) {
        self.handle.load().remove_publishes(count(waiter.len()));
        if let Some((lane, messages)) = waiter.lane() {
            self.lanes.answered(lane, messages);
        }
        waiter.reject(reason, &self.handle);
    }
}
