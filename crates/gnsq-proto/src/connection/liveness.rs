//! Whether the peer is still there.

use std::time::{Duration, Instant};

/// Heartbeats come once an interval, so two intervals without a byte mean that nobody is there.
#[derive(Debug)]
pub(super) struct Liveness {
    interval: Option<Duration>,
    last_read: Instant,
}

impl Liveness {
    pub(super) fn new(interval: Option<Duration>, now: Instant) -> Self {
        Self { interval, last_read: now }
    }

    /// The interval was agreed on anew; `None` for no heartbeats, and no way to notice a silent peer.
    pub(super) fn set_interval(&mut self, interval: Option<Duration>, now: Instant) {
        *self = Self::new(interval, now);
    }

    pub(super) fn received(&mut self, now: Instant) {
        self.last_read = now;
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.interval.map(|interval| self.last_read + 2 * interval)
    }

    /// For how long the peer has been silent, if that is too long.
    pub(super) fn silent_for(&self, now: Instant) -> Option<Duration> {
        self.next_timeout().filter(|timeout| *timeout <= now).map(|_| now - self.last_read)
    }
}
