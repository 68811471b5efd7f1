//! Until when something may take, and how long that was from its beginning.

use std::time::{Duration, Instant};

/// A moment by which something has to end, with the time that was allowed, for the error that tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeLimit {
    pub(crate) ends: Instant,
    pub(crate) after: Duration,
}

impl TimeLimit {
    pub(crate) fn new(now: Instant, after: Duration) -> Self {
        Self { ends: now + after, after }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.ends <= now
    }
}
