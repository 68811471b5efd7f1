//! The messages that nsqd has given to this connection and that it still waits for.

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::message::MessageId;

#[derive(Debug)]
pub(super) struct InFlight {
    messages: FxHashMap<MessageId, Times>,
    msg_timeout: Duration,
    max_msg_timeout: Duration,
    /// No message expires before this. Kept as a bound, so that neither arrival nor answer has to search.
    earliest: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    deadline: Instant,
    /// Touches move the deadline no further than this.
    cap: Instant,
}

impl InFlight {
    pub(super) fn new(msg_timeout: Duration, max_msg_timeout: Duration) -> Self {
        Self { messages: FxHashMap::default(), msg_timeout, max_msg_timeout, earliest: None }
    }

    pub(super) fn set_timeouts(&mut self, msg_timeout: Duration, max_msg_timeout: Duration) {
        self.msg_timeout = msg_timeout;
        self.max_msg_timeout = max_msg_timeout;
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.messages.contains_key(&id)
    }

    /// A message has arrived; returns when it will be given to someone else.
    pub(super) fn insert(&mut self, id: MessageId, now: Instant) -> Instant {
        let times = Times { deadline: now + self.msg_timeout, cap: now + self.max_msg_timeout };
        self.messages.insert(id, times);
        if self.earliest.is_none() {
            self.earliest = Some(times.deadline);
        }
        times.deadline
    }

    /// A message was answered.
    pub(super) fn remove(&mut self, id: MessageId) -> bool {
        let known = self.messages.remove(&id).is_some();
        if self.messages.is_empty() {
            self.earliest = None;
        }
        known
    }

    /// A message was touched; returns its new deadline if it is in flight.
    pub(super) fn touch(&mut self, id: MessageId, now: Instant) -> Option<Instant> {
        let times = self.messages.get_mut(&id)?;
        times.deadline = (now + self.msg_timeout).min(times.cap);
        Some(times.deadline)
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.earliest
    }

    /// Takes out the messages whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<MessageId> {
        let mut expired = Vec::new();
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return expired;
        }
        let mut earliest: Option<Instant> = None;
        self.messages.retain(|id, times| {
            if times.deadline <= now {
                expired.push(*id);
                return false;
            }
            earliest = Some(earliest.map_or(times.deadline, |earliest| earliest.min(times.deadline)));
            true
        });
        // nsqd itself looks only ten times a second, so looking more often tells nothing.
        self.earliest = earliest.map(|earliest| earliest.max(now + SCAN_INTERVAL));
        expired
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.earliest = None;
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = MessageId> + '_ {
        self.earliest = None;
        self.messages.drain().map(|(id, _)| id)
    }
}

const SCAN_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn id(number: u8) -> MessageId {
        MessageId([number; 16])
    }

    #[test]
    fn a_touch_extends_the_deadline_up_to_the_cap() {
        let start = Instant::now();
        let mut in_flight = InFlight::new(MINUTE, MINUTE * 2);
        assert_eq!(in_flight.insert(id(1), start), start + MINUTE);
        assert_eq!(in_flight.touch(id(1), start + MINUTE / 2), Some(start + MINUTE * 3 / 2));
        assert_eq!(in_flight.touch(id(1), start + MINUTE * 5 / 4), Some(start + MINUTE * 2));
        assert_eq!(in_flight.expire(start + MINUTE + Duration::from_nanos(59_999_999_999)), []);
        assert_eq!(in_flight.expire(start + MINUTE * 3), [id(1)]);
        assert_eq!(in_flight.touch(id(1), start), None);
    }

    #[test]
    fn expires_what_is_late_and_nothing_else() {
        let start = Instant::now();
        let mut in_flight = InFlight::new(MINUTE, MINUTE);
        for number in 0..10 {
            in_flight.insert(id(number), start + Duration::from_secs(number.into()));
        }
        assert!(in_flight.remove(id(0)));
        assert!(!in_flight.remove(id(0)));
        let mut expired = in_flight.expire(start + MINUTE + Duration::from_secs(4));
        expired.sort();
        assert_eq!(expired, [id(1), id(2), id(3), id(4)]);
        assert_eq!(in_flight.next_timeout(), Some(start + MINUTE + Duration::from_secs(5)));
        assert_eq!((in_flight.len(), in_flight.drain().count()), (5, 5));
        assert_eq!(in_flight.next_timeout(), None);
    }
}
