//! How busy a connection is with publishes.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::moment::{Mark, Moment};

/// Counted where it happens and read where a publish looks for a connection: figures to compare, not to rely on.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Publishes that were handed to the driver and have no outcome yet.
    publishes: AtomicU32,
    /// Whether there was nothing but one publish when nothing was outstanding last.
    is_alone: AtomicBool,
    /// Commands that nsqd has carried out, whether or not anyone waited for it.
    answered: AtomicU64,
    /// Messages whose publish was confirmed.
    confirmed: AtomicU64,
    /// Since when an answer is due and none comes.
    due_since: Mark,
}

impl Load {
    /// Counts one more. Returns whether it is likely to be answered before another comes: nothing else is outstanding,
    /// and the last one was alone, too.
    pub(super) fn add_publish(&self) -> bool {
        self.publishes.fetch_add(1, Ordering::Relaxed) == 0 && self.is_alone.load(Ordering::Relaxed)
    }

    /// Nothing is outstanding any more; so many publishes were, since that was so last.
    pub(super) fn all_answered(&self, publishes: usize) {
        self.is_alone.store(publishes == 1, Ordering::Relaxed);
    }

    /// So many have their outcome.
    pub(super) fn remove_publishes(&self, count: u32) {
        self.publishes.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn publishes(&self) -> u32 {
        self.publishes.load(Ordering::Relaxed)
    }

    pub(super) fn add_answered(&self, confirmed: u64) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.confirmed.fetch_add(confirmed, Ordering::Relaxed);
    }

    pub(crate) fn publishes_answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// An answer is due; the time counts from the first such call after an answer.
    pub(super) fn await_answer(&self, now: Moment) {
        if self.due_since().is_none() {
            self.due_since.set(now);
        }
    }

    /// An answer came; `more`: others are due.
    pub(super) fn answered(&self, now: Moment, more: bool) {
        if more { self.due_since.set(now) } else { self.due_since.clear() }
    }

    pub(crate) fn due_since(&self) -> Option<Moment> {
        self.due_since.get()
    }
}
