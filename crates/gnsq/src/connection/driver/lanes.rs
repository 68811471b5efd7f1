//! Messages that wait to share an MPUB, by topic.

use std::collections::HashMap;
use std::time::Instant;

use gnsq_proto::TopicName;

use super::waiter::take_late;
use crate::config::Batching;
use crate::connection::publish::Publish;

/// A lane a topic. What is put into a lane is *due* when few commands for its topic are under way, or when as many
/// messages wait as are under way; what has to wait longer goes out together, then. So a lone message goes at once, many
/// share a command, and most of what is outstanding is on its way, however long an answer takes: with one command at a
/// time, the rate would be bound to the round trip, and a message would wait half of one.
///
/// Whoever adds, or tells of an answer, takes afterwards what is due.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    by_topic: HashMap<TopicName, LaneId>,
    slots: Vec<Lane>,
    /// Lanes that no topic has.
    free: Vec<LaneId>,
    /// Lanes that may have something due, each at the most once.
    due: Vec<LaneId>,
    /// How many messages wait, in all lanes.
    waiting: usize,
    /// The latest lane that was looked for: mostly it is the next one, too.
    latest: LaneId,
}

/// Which lane. It stays the same while anything of the lane waits or is under way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct LaneId(usize);

#[derive(Debug, Default)]
struct Lane {
    topic: Option<TopicName>,
    waiting: Vec<Publish>,
    /// The size of an MPUB's body with all that waits.
    bytes: usize,
    /// Messages whose answer nsqd owes.
    under_way: usize,
    /// The commands that they are in.
    commands: usize,
    /// Whether it is among the lanes that may have something due.
    is_listed: bool,
}

impl Lanes {
    /// How many messages wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// The topic's lane, if it has one.
    pub(super) fn find(&mut self, topic: &TopicName) -> Option<LaneId> {
        if self.slots.get(self.latest.0).is_some_and(|lane| lane.topic.as_ref() == Some(topic)) {
            return Some(self.latest);
        }
        let lane = self.by_topic.get(topic).copied()?;
        self.latest = lane;
        Some(lane)
    }

    /// The topic's lane.
    pub(super) fn of(&mut self, topic: &TopicName) -> LaneId {
        if let Some(lane) = self.find(topic) {
            return lane;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Lane::default());
            LaneId(self.slots.len() - 1)
        });
        self.slots[id.0].topic = Some(topic.clone());
        self.by_topic.insert(topic.clone(), id);
        self.latest = id;
        id
    }

    /// Whether a message of so many bytes has no room beside those that wait.
    pub(super) fn is_full_for(&self, id: LaneId, size: usize, limits: &Batching) -> bool {
        let lane = &self.slots[id.0];
        !lane.waiting.is_empty() && lane.bytes + size + PER_MESSAGE > limits.bytes
    }

    /// Adds a message. Returns whether the lane has as many as may go out together.
    pub(super) fn add(&mut self, id: LaneId, publish: Publish, size: usize, limits: &Batching) -> bool {
        let lane = &mut self.slots[id.0];
        if lane.waiting.is_empty() {
            lane.bytes = PER_BODY;
        }
        lane.bytes += size + PER_MESSAGE;
        lane.waiting.push(publish);
        self.waiting += 1;
        if !std::mem::replace(&mut lane.is_listed, true) {
            self.due.push(id);
        }
        lane.waiting.len() >= limits.messages || lane.bytes >= limits.bytes
    }

    /// Takes all that waits in a lane, to be sent now.
    pub(super) fn take(&mut self, id: LaneId) -> Vec<Publish> {
        let lane = &mut self.slots[id.0];
        let publishes = std::mem::take(&mut lane.waiting);
        lane.under_way += publishes.len();
        lane.commands += usize::from(!publishes.is_empty());
        self.waiting -= publishes.len();
        publishes
    }

    /// The next lane whose messages are due; all were asked for when there is none.
    pub(super) fn next_due(&mut self) -> Option<LaneId> {
        while let Some(id) = self.due.pop() {
            let lane = &mut self.slots[id.0];
            lane.is_listed = false;
            if !lane.waiting.is_empty() && (lane.commands < FEW_COMMANDS || lane.waiting.len() >= lane.under_way) {
                return Some(id);
            }
        }
        None
    }

    /// So many messages of a lane, which went out together, are answered.
    pub(super) fn answered(&mut self, id: LaneId, messages: usize) {
        let lane = &mut self.slots[id.0];
        lane.under_way = lane.under_way.saturating_sub(messages);
        lane.commands = lane.commands.saturating_sub(1);
        if !lane.waiting.is_empty() && !std::mem::replace(&mut lane.is_listed, true) {
            self.due.push(id);
        }
        self.forget_idle(id);
    }

    /// Takes out the messages whose time is over. Returns the end of the next one's.
    pub(super) fn time_out(&mut self, now: Instant, late: &mut Vec<Publish>) -> Option<Instant> {
        if self.waiting == 0 {
            return None;
        }
        let before = late.len();
        let mut next = None;
        for lane in &mut self.slots {
            let ends = take_late(&mut lane.waiting, now, late);
            next = [next, ends].into_iter().flatten().min();
        }
        self.waiting -= late.len() - before;
        next
    }

    /// Takes all messages of all lanes.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Publish> {
        std::mem::take(self).slots.into_iter().flat_map(|lane| lane.waiting)
    }

    /// A program may publish to any number of topics, one after the other: few lanes are kept for those that pause.
    fn forget_idle(&mut self, id: LaneId) {
        let lane = &mut self.slots[id.0];
        if lane.under_way > 0 || !lane.waiting.is_empty() || self.by_topic.len() <= KEPT_LANES {
            return;
        }
        // It may still be listed; there is nothing due in it then, or what its next topic has.
        if let Some(topic) = lane.topic.take() {
            self.by_topic.remove(&topic);
            self.free.push(id);
        }
    }
}

/// Up to so many commands, nothing waits. With more of them messages wait less, and fewer share a command: at a round trip
/// of 10 ms, 100 publishers waited 19 ms on average with 1 command, 15.3 with 4 and 14.3 without any sharing, while at no
/// distance 4 cost hardly more than 1.
const FEW_COMMANDS: usize = 4;

/// The number of messages, ahead of them in an MPUB's body.
const PER_BODY: usize = 4;

/// A message's length, ahead of it.
const PER_MESSAGE: usize = 4;

/// How many lanes stay though nothing goes on in them.
const KEPT_LANES: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use gnsq_proto::Command;

    use super::*;
    use crate::time_limit::TimeLimit;

    const LIMITS: Batching = Batching { messages: 10, bytes: 1000 };

    fn publish(topic: &TopicName, after: u64) -> Publish {
        let command = Command::Pub { topic: topic.clone(), body: Bytes::from_static(b"x") };
        Publish::new(command, true, TimeLimit::new(Instant::now(), Duration::from_secs(after)), None).0
    }

    fn topic(number: usize) -> TopicName {
        TopicName::new(number.to_string()).unwrap()
    }

    /// A model of the connection: the commands whose answers are owed, in their order.
    #[derive(Default)]
    struct Run {
        lanes: Lanes,
        owed: std::collections::VecDeque<(LaneId, usize)>,
    }

    impl Run {
        fn add(&mut self, number: usize) {
            let topic = topic(number);
            let lane = self.lanes.of(&topic);
            if self.lanes.add(lane, publish(&topic, 60), 1, &LIMITS) {
                self.send(lane);
            }
        }

        fn send(&mut self, lane: LaneId) {
            let sent = self.lanes.take(lane);
            assert!((1..=LIMITS.messages).contains(&sent.len()));
            assert!(sent.iter().all(|one| one.topic() == sent[0].topic()));
            self.owed.push_back((lane, sent.len()));
        }

        fn flush(&mut self) {
            while let Some(lane) = self.lanes.next_due() {
                self.send(lane);
            }
        }

        fn answer(&mut self) {
            if let Some((lane, messages)) = self.owed.pop_front() {
                self.lanes.answered(lane, messages);
            }
        }
    }

    #[test]
    fn whatever_happens_something_is_under_way_while_anything_waits() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut run = Run::default();
        for _ in 0..20_000 {
            match rng.u32(..3) {
                0 => (0..rng.usize(..20)).for_each(|_| run.add(rng.usize(..3))),
                1 => run.answer(),
                _ => {}
            }
            run.flush();
            assert!(run.lanes.waiting() == 0 || !run.owed.is_empty());
        }
        while !run.owed.is_empty() {
            run.answer();
            run.flush();
        }
        assert_eq!(run.lanes.waiting(), 0);
    }

    #[test]
    fn topics_that_come_and_go_leave_no_memory_behind() {
        let mut run = Run::default();
        for number in 0..10_000 {
            run.add(number);
            run.flush();
            run.answer();
        }
        assert!(run.lanes.by_topic.len() <= KEPT_LANES + 1, "{}", run.lanes.by_topic.len());
        assert!(run.lanes.slots.len() <= KEPT_LANES + 1, "{}", run.lanes.slots.len());
    }

    #[test]
    fn what_waits_too_long_is_taken_out() {
        let mut run = Run::default();
        let topic = topic(1);
        for _ in 0..FEW_COMMANDS {
            run.add(1);
            run.flush();
        }
        let lane = run.lanes.of(&topic);
        run.lanes.add(lane, publish(&topic, 1), 1, &LIMITS);
        run.lanes.add(lane, publish(&topic, 60), 1, &LIMITS);
        assert_eq!(run.lanes.next_due(), None);
        let mut over = Vec::new();
        let next = run.lanes.time_out(Instant::now() + Duration::from_secs(30), &mut over);
        assert_eq!((over.len(), run.lanes.waiting()), (1, 1));
        assert!(next.is_some_and(|next| next > Instant::now()));
        assert_eq!(run.lanes.clear().count(), 1);
    }
}
