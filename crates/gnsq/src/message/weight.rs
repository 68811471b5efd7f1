//! What messages weigh in bytes, while somebody has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::Message;

/// A budget of bytes for the bodies of messages in hand, and how many messages it allows.
///
/// nsqd counts messages, not bytes. So what they weigh is learnt from those that came, and when the budget is used up
/// nothing is asked for until a quarter of it is free.
#[derive(Debug)]
pub(crate) struct Load {
    limit: u64,
    held: AtomicU64,
    /// What a message weighs, going by those that came. Larger ones count at once, smaller ones slowly.
    typical: AtomicU64,
    /// The value of `typical` that [`allowed`](Self::allowed) has used last.
    planned: AtomicU64,
    /// Whether the budget was used up and there is no room yet. Only `allowed` looks at it.
    full: AtomicBool,
    /// The answer of `allowed` may have changed.
    changed: Arc<Notify>,
}

/// A message's part of the load, given back when dropped.
#[derive(Debug)]
pub(super) struct Weight {
    load: Arc<Load>,
    bytes: u64,
}

impl Load {
    pub(crate) fn new(limit: u64, changed: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            held: AtomicU64::new(0),
            typical: AtomicU64::new(FIRST_GUESS),
            planned: AtomicU64::new(FIRST_GUESS),
            full: AtomicBool::new(false),
            changed,
        })
    }

    /// Counts `message` until it is dropped.
    pub(crate) fn carry(self: &Arc<Self>, message: &mut Message) {
        let bytes = message.body().len() as u64;
        // Only connections' tasks come here: what two of them do at once makes the estimate no worse.
        let typical = self.typical.load(Ordering::Relaxed);
        let learnt =
            if bytes > typical { typical + (bytes - typical) / 8 + 1 } else { typical - (typical - bytes) / 64 };
        self.typical.store(learnt, Ordering::Relaxed);
        let before = self.held.fetch_add(bytes, Ordering::AcqRel);
        let planned = self.planned.load(Ordering::Relaxed);
        if (before < self.limit && before + bytes >= self.limit) || learnt.abs_diff(planned) > planned / 8 {
            self.changed.notify_one();
        }
        message.weight = Some(Box::new(Weight { load: self.clone(), bytes }));
    }

    /// How many messages may be in flight, of `most`.
    pub(crate) fn allowed(&self, most: u32) -> u32 {
        let typical = self.typical.load(Ordering::Relaxed);
        self.planned.store(typical, Ordering::Relaxed);
        let held = self.held();
        let full = if self.full.load(Ordering::Relaxed) { held >= self.room_below() } else { held >= self.limit };
        self.full.store(full, Ordering::Relaxed);
        if full {
            return 0;
        }
        let room = u32::try_from(self.limit / typical.max(1)).unwrap_or(u32::MAX);
        room.max(1).min(most)
    }

    /// The bytes in hand.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    /// Below this the budget that was used up has room again: not at once, or each message would change every RDY.
    fn room_below(&self) -> u64 {
        self.limit - self.limit / 4
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        let before = self.load.held.fetch_sub(self.bytes, Ordering::AcqRel);
        let room_below = self.load.room_below();
        if before >= room_below && before - self.bytes < room_below {
            self.load.changed.notify_one();
        }
    }
}

/// nsqd's default limit, so that nothing is asked for that there is no room for before a message has come.
const FIRST_GUESS: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn take(load: &Arc<Load>, bytes: u64) -> Weight {
        load.held.fetch_add(bytes, Ordering::AcqRel);
        Weight { load: load.clone(), bytes }
    }

    #[test]
    fn a_full_budget_allows_nothing_until_a_quarter_is_free() {
        let load = Load::new(4 * FIRST_GUESS, Arc::new(Notify::new()));
        assert_eq!((load.allowed(200), load.allowed(3)), (4, 3));
        let mut taken: Vec<_> = (0..4).map(|_| take(&load, FIRST_GUESS)).collect();
        assert_eq!((load.allowed(200), load.held()), (0, 4 * FIRST_GUESS));
        taken.pop();
        assert_eq!(load.allowed(200), 0);
        taken.pop();
        assert_eq!(load.allowed(200), 4);
        assert_eq!(load.allowed(0), 0);
    }

    #[test]
    fn a_message_larger_than_the_budget_comes_alone() {
        let load = Load::new(1, Arc::new(Notify::new()));
        assert_eq!(load.allowed(200), 1);
        let taken = take(&load, 100);
        assert_eq!(load.allowed(200), 0);
        drop(taken);
        assert_eq!(load.allowed(200), 1);
    }
}
