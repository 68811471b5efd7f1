//! Which message is next, when those of a key have to keep their order.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use gnsq_proto::MessageId;

use super::line::{Away, Entry, Line, Rules, Running, Waiting};

/// The lines of all keys: at most one message of each is being handled.
///
/// # Contract
///
/// - [`arrive`](Self::arrive) takes in what comes, in order. [`take`](Self::take) gives what may be handled; each is followed by
///   exactly one of [`done`](Self::done), [`retry`](Self::retry) and [`lost`](Self::lost).
/// - Call [`on_timeout`](Self::on_timeout) at [`next_timeout`](Self::next_timeout), which any call may change.
/// - After any of these drain [`outgoing`](Self::outgoing) and requeue what is there, in that order.
#[derive(Debug)]
pub(super) struct Lines<K, M> {
    rules: Rules,
    keys: HashMap<K, Line<M>>,
    /// Keys whose first message may be handled.
    ready: VecDeque<K>,
    /// Keys whose first message waits for another try; the numbers tell those of one moment apart.
    alarms: BTreeMap<(Instant, u64), K>,
    alarm_count: u64,
    /// Nothing has to be sent back for its age before this.
    recall_at: Option<Instant>,
    /// How many messages are away, in all lines.
    away: usize,
    outgoing: Vec<(M, Duration)>,
    closed: bool,
}

/// A message to be handled.
#[derive(Debug)]
pub(super) struct Job<K, M> {
    pub(super) key: K,
    pub(super) entry: Entry<M>,
}

impl<K: Hash + Eq + Clone, M: Waiting> Lines<K, M> {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            keys: HashMap::new(),
            ready: VecDeque::new(),
            alarms: BTreeMap::new(),
            alarm_count: 0,
            recall_at: None,
            away: 0,
            outgoing: Vec::new(),
            closed: false,
        }
    }

    /// A message has come, after so many deliveries.
    pub(super) fn arrive(&mut self, key: K, message: M, delivered: u16, now: Instant) {
        let entry = Entry { message, delivered, extra: 0, not_before: None };
        let recall_at = entry.recall_at();
        let room = self.away < MAX_AWAY;
        self.change(key, now, |line, rules, outgoing| {
            // What is left of a connection that has ended stands before what the next one brings.
            if line.waiting.iter().any(|entry| entry.message.is_lost(now)) {
                line.recall(now, rules, outgoing);
            }
            if let Some(message) = line.arrive(entry, room, now, rules) {
                outgoing.push((message, rules.away));
            }
        });
        self.recall_at = Some(self.recall_at.map_or(recall_at, |earliest| earliest.min(recall_at)));
    }

    /// A message that may be handled now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Job<K, M>> {
        while let Some(key) = self.ready.pop_front() {
            let mut taken = None;
            self.change(key.clone(), now, |line, rules, outgoing| {
                line.queued = false;
                if line.running.is_some() || line.waiting.front().is_none_or(|front| front.is_early(now)) {
                    return;
                }
                if line.waiting.front().is_some_and(|front| front.message.is_lost(now)) {
                    line.recall(now, rules, outgoing);
                    return;
                }
                taken = line.waiting.pop_front();
                line.running = taken.as_ref().map(|entry| Running {
                    id: entry.message.id(),
                    attempts: entry.attempts(),
                    stuck_at: now + entry.message.msg_timeout(),
                });
            });
            if let Some(entry) = taken {
                return Some(Job { key, entry });
            }
        }
        None
    }

    /// Whether [`take`](Self::take) has something.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The message taken of this key needs nothing more.
    pub(super) fn done(&mut self, key: K, now: Instant) {
        self.change(key, now, |line, _, _| {
            line.running = None;
            line.failing = false;
        });
    }

    /// It has failed, and is to be handled again at that time, before any other of its key. Gives it back when the
    /// lines are closed.
    pub(super) fn retry(&mut self, job: Job<K, M>, at: Instant, now: Instant) -> Option<Job<K, M>> {
        if self.closed {
            return Some(job);
        }
        let Job { key, mut entry } = job;
        entry.extra += 1;
        entry.not_before = Some(at);
        self.change(key, now, |line, rules, outgoing| {
            line.running = None;
            line.failing = true;
            let held_until = entry.recall_at();
            line.waiting.push_front(entry);
            if at >= held_until {
                line.recall(now, rules, outgoing);
            } else {
                // The first isn't one that waits behind another.
                line.trim(now, &Rules { most_waiting: rules.most_waiting + 1, ..*rules }, outgoing);
            }
        });
        None
    }

    /// It was handled, but nsqd delivers it again: its time, or its connection, has ended before it was answered.
    /// `due` is when.
    pub(super) fn lost(&mut self, key: K, id: MessageId, extra: i32, due: Instant, now: Instant) {
        self.change(key, now, |line, rules, outgoing| {
            line.running = None;
            // It may be here again already, and perhaps away again.
            if line.waiting.front().is_some_and(|front| front.message.id() == id) {
                return;
            }
            line.recall(now, rules, outgoing);
            line.failing = false;
            if line.away.iter().all(|away| away.id != id) {
                line.away.push_front(Away { id, extra, sent: now, due });
            }
        });
    }

    /// When [`on_timeout`](Self::on_timeout) has something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let alarm = self.alarms.keys().next().map(|(at, _)| *at);
        [alarm, self.recall_at].into_iter().flatten().min()
    }

    /// Lets go on what has waited for its time, and sends back what can't be held.
    pub(super) fn on_timeout(&mut self, now: Instant) {
        while let Some(alarm) = self.alarms.first_entry().filter(|alarm| alarm.key().0 <= now) {
            let key = alarm.remove();
            self.change(key, now, |line, _, _| line.alarm = None);
        }
        if self.recall_at.is_none_or(|at| at > now) {
            return;
        }
        let old: Vec<K> = self
            .keys
            .iter()
            .filter(|(_, line)| line.waiting.iter().any(|entry| entry.recall_at() <= now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in old {
            self.change(key, now, |line, rules, outgoing| line.recall(now, rules, outgoing));
        }
        self.recall_at = self.keys.values().flat_map(|line| &line.waiting).map(Entry::recall_at).min();
    }

    pub(super) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// What has to be requeued, with these delays.
    pub(super) fn outgoing(&mut self) -> Vec<(M, Duration)> {
        std::mem::take(&mut self.outgoing)
    }

    /// Takes in nothing more; returns all that waits.
    pub(super) fn close(&mut self) -> Vec<Entry<M>> {
        self.closed = true;
        self.ready.clear();
        self.alarms.clear();
        self.recall_at = None;
        self.away = 0;
        self.keys.drain().flat_map(|(_, line)| line.waiting).collect()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many keys have messages here or away.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Changes the line of a key, and sees to what follows from it.
    fn change(&mut self, key: K, now: Instant, change: impl FnOnce(&mut Line<M>, &Rules, &mut Vec<(M, Duration)>)) {
        if self.closed {
            return;
        }
        let line = self.keys.entry(key.clone()).or_insert_with(Line::new);
        let away = line.away.len();
        change(line, &self.rules, &mut self.outgoing);
        self.away = self.away - away + line.away.len();
        if line.is_empty() {
            self.keys.remove(&key);
            return;
        }
        let Some(front) = line.waiting.front().filter(|_| line.running.is_none() && !line.queued) else { return };
        match front.not_before.filter(|at| *at > now) {
            None => {
                line.queued = true;
                self.ready.push_back(key);
            }
            Some(at) if line.alarm != Some(at) => {
                line.alarm = Some(at);
                self.alarm_count += 1;
                self.alarms.insert((at, self.alarm_count), key);
            }
            Some(_) => {}
        }
    }
}

impl<M> Entry<M> {
    fn is_early(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|at| at > now)
    }
}

/// How many messages that were sent back keep their place, in all lines: about a megabyte. One more is held.
pub(super) const MAX_AWAY: usize = 20_000;
