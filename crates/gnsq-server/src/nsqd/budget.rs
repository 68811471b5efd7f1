//! How much an nsqd keeps at the most.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;

/// Why something new was refused. Nothing that was accepted before is touched by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Refused {
    #[error("{0} messages are kept already, the most that max_messages allows")]
    Messages(usize),
    #[error("the bytes of the messages that are kept would exceed max_bytes ({0})")]
    Bytes(usize),
    #[error("there are {0} topics already, the most that max_topics allows")]
    Topics(usize),
    #[error("there are {0} channels already, the most that max_channels allows")]
    Channels(usize),
    /// Whoever meets it looks the topic up again.
    #[error("the topic was deleted")]
    Deleted,
}

/// The messages and bytes that are kept, and the limits on both.
#[derive(Debug)]
pub(super) struct Budget {
    messages: Meter,
    bytes: Meter,
}

/// A number that must not exceed its limit.
#[derive(Debug)]
pub(super) struct Meter {
    used: AtomicUsize,
    limit: usize,
}

/// What one message takes, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self { messages: Meter::new(max_messages), bytes: Meter::new(max_bytes) }
    }

    /// Takes room for so many messages with so many bytes of bodies, all or nothing.
    /// Each is to become a [`charge`](Self::charge).
    pub(super) fn take(&self, messages: usize, body_bytes: usize) -> Result<(), Refused> {
        if !self.messages.take(messages) {
            return Err(Refused::Messages(self.messages.limit));
        }
        if !self.bytes.take(body_bytes.saturating_add(messages.saturating_mul(OVERHEAD))) {
            self.messages.give_back(messages);
            return Err(Refused::Bytes(self.bytes.limit));
        }
        Ok(())
    }

    /// One message of those that room was taken for.
    pub(super) fn charge(self: &Arc<Self>, body_bytes: usize) -> Charge {
        Charge { budget: self.clone(), bytes: body_bytes + OVERHEAD }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.used()
    }

    pub(super) fn messages(&self) -> usize {
        self.messages.used()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.messages.give_back(1);
        self.budget.bytes.give_back(self.bytes);
    }
}

impl Meter {
    pub(super) fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }

    pub(super) fn take(&self, count: usize) -> bool {
        let before = self.used.fetch_add(count, Ordering::Relaxed);
        let fits = before.checked_add(count).is_some_and(|used| used <= self.limit);
        if !fits {
            self.give_back(count);
        }
        fits
    }

    pub(super) fn give_back(&self, count: usize) {
        self.used.fetch_sub(count, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }
}

/// What a message takes beside its body: its header, its places in queues, and what the allocator adds.
const OVERHEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_takes_nothing() {
        let budget = Arc::new(Budget::new(2, 3 * OVERHEAD));
        budget.take(1, 10).unwrap();
        assert_eq!(budget.take(2, 0), Err(Refused::Messages(2)));
        assert_eq!(budget.take(1, OVERHEAD), Err(Refused::Bytes(3 * OVERHEAD)));
        assert_eq!((budget.messages(), budget.bytes()), (1, 10 + OVERHEAD));
        drop(budget.charge(10));
        assert_eq!((budget.messages(), budget.bytes()), (0, 0));
    }
}
