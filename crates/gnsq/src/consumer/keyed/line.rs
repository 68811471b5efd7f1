//! The messages of one key, in order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use gnsq_proto::MessageId;

/// What a line has to know of a message.
pub(super) trait Waiting {
    fn id(&self) -> MessageId;

    /// Whether nsqd delivers it again whatever is done.
    fn is_lost(&self, now: Instant) -> bool;

    /// When nsqd gives it to someone else.
    fn deadline(&self) -> Instant;

    /// No touch keeps it longer than this.
    fn cap(&self) -> Instant;

    /// How long nsqd lets it be without a touch.
    fn msg_timeout(&self) -> Duration;
}

/// What all lines keep to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// How many messages wait behind one that is stuck.
    pub(super) most_waiting: usize,
    /// How long a message that is sent back stays away.
    pub(super) away: Duration,
}

/// Messages of one key: one that is being handled, those that wait behind it, and those that were sent back and will
/// come again.
///
/// What was sent back has its place: until the first of them has come, no other is taken in but sent back, too. nsqd
/// delivers what it was given back in the order of the times when it is due. So one that isn't there although one
/// that was sent back after it was due has come will not come any more, and isn't waited for.
#[derive(Debug)]
pub(super) struct Line<M> {
    pub(super) waiting: VecDeque<Entry<M>>,
    pub(super) running: Option<Running>,
    /// The first message has failed and isn't done.
    pub(super) failing: bool,
    pub(super) away: VecDeque<Away>,
    /// It is among those that can go on.
    pub(super) queued: bool,
    /// When it is to be looked at for its first message's next try.
    pub(super) alarm: Option<Instant>,
}

/// A message that is here.
#[derive(Debug)]
pub(super) struct Entry<M> {
    pub(super) message: M,
    /// How often nsqd has delivered it.
    pub(super) delivered: u16,
    /// How many attempts more than that it has had here; less, by the deliveries that were sent back.
    pub(super) extra: i32,
    /// It has failed, and waits for this time.
    pub(super) not_before: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    pub(super) id: MessageId,
    /// Which attempt it is.
    pub(super) attempts: u16,
    /// When it has taken so long that others shouldn't wait for it.
    pub(super) stuck_at: Instant,
}

/// A message that nsqd will deliver again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Away {
    pub(super) id: MessageId,
    /// As [`Entry::extra`], with the next delivery counted.
    pub(super) extra: i32,
    pub(super) sent: Instant,
    /// When nsqd has it among those that it delivers.
    pub(super) due: Instant,
}

impl<M: Waiting> Entry<M> {
    /// Which attempt the next one is: 1 at first.
    pub(super) fn attempts(&self) -> u16 {
        u16::try_from((i32::from(self.delivered) + self.extra).max(1)).unwrap_or(u16::MAX)
    }

    /// When it has to be sent back, since it can't be held much longer.
    pub(super) fn recall_at(&self) -> Instant {
        let cap = self.message.cap();
        cap.checked_sub(self.message.msg_timeout() / 4).unwrap_or(cap)
    }

    /// It leaves without having been tried.
    fn away(&self, sent: Instant, due: Instant) -> Away {
        Away { id: self.message.id(), extra: self.extra - 1, sent, due }
    }
}

impl<M: Waiting> Line<M> {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            running: None,
            failing: false,
            away: VecDeque::new(),
            queued: false,
            alarm: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty() && self.away.is_empty()
    }

    /// Takes in a message that has come, or gives back one that has to come again. With no `room`, no more of those
    /// can be remembered.
    pub(super) fn arrive(&mut self, mut entry: Entry<M>, room: bool, now: Instant, rules: &Rules) -> Option<M> {
        let id = entry.message.id();
        // Its time ran out while its handler works on it, perhaps not for the first time.
        if let Some(running) = self.running.filter(|running| running.id == id) {
            self.waiting.retain(|other| other.message.id() != id);
            self.away.retain(|away| away.id != id);
            entry.extra = i32::from(running.attempts) + 1 - i32::from(entry.delivered);
            self.waiting.push_front(entry);
            return None;
        }
        if let Some(mut place) = self.away.iter().position(|away| away.id == id) {
            let sent = self.away[place].sent;
            while place > 0 && self.away[0].due <= sent {
                self.away.pop_front();
                place -= 1;
            }
            entry.extra = self.away[place].extra;
            if place > 0 || self.is_full(now, rules) {
                self.away[place] = entry.away(now, now + rules.away);
                return Some(entry.message);
            }
            self.away.pop_front();
        } else if room && (!self.away.is_empty() || self.is_full(now, rules)) {
            self.away.push_back(entry.away(now, now + rules.away));
            return Some(entry.message);
        }
        self.waiting.push_back(entry);
        None
    }

    /// Sends back all that waits. It can't be held, and order wants those behind to go with the first. Appends
    /// what has to be told to nsqd, with delays.
    pub(super) fn recall(&mut self, now: Instant, rules: &Rules, outgoing: &mut Vec<(M, Duration)>) {
        self.send_back(0, now, rules, outgoing);
        self.failing &= self.running.is_some();
    }

    /// Sends back what is too much behind a message that is stuck.
    pub(super) fn trim(&mut self, now: Instant, rules: &Rules, outgoing: &mut Vec<(M, Duration)>) {
        self.send_back(rules.most_waiting, now, rules, outgoing);
    }

    fn send_back(&mut self, keep: usize, now: Instant, rules: &Rules, outgoing: &mut Vec<(M, Duration)>) {
        let first = outgoing.len();
        while self.waiting.len() > keep
            && let Some(entry) = self.waiting.pop_back()
        {
            if entry.message.is_lost(now) {
                self.away.push_front(entry.away(now, entry.message.deadline().max(now)));
                continue;
            }
            let wanted = entry.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
            let delay = wanted.max(rules.away);
            self.away.push_front(entry.away(now, now + delay));
            outgoing.push((entry.message, delay));
        }
        // nsqd has to be told in the order of the line.
        outgoing[first..].reverse();
    }

    /// Whether no more messages are to wait.
    fn is_full(&self, now: Instant, rules: &Rules) -> bool {
        let stuck = self.failing || self.running.is_some_and(|running| running.stuck_at <= now);
        stuck && self.waiting.len() >= rules.most_waiting
    }
}
