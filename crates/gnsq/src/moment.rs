//! The time as one number.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A time in nanoseconds since the process first asked. It fits into an atomic, and two are compared at once, where an
/// [`Instant`] has to be taken apart: that shows where it is done for each message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// The moment of what may not have happened yet, for all threads to see.
#[derive(Debug, Default)]
pub(crate) struct Mark(AtomicU64);

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Moment {
    pub(crate) fn now() -> Self {
        // First, or the first one of all would lie before it.
        let epoch = *EPOCH;
        Self::after(epoch, Instant::now())
    }

    pub(crate) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn instant(self) -> Instant {
        *EPOCH + Duration::from_nanos(self.0)
    }

    /// How long this is after `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    fn after(epoch: Instant, instant: Instant) -> Self {
        let since = instant.saturating_duration_since(epoch);
        Self(since.as_secs().saturating_mul(NANOS_PER_SECOND).saturating_add(since.subsec_nanos().into()))
    }
}

impl Mark {
    pub(crate) fn set(&self, moment: Moment) {
        self.0.store(moment.0.max(1), Ordering::Relaxed);
    }

    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<Moment> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Moment(nanos)),
        }
    }
}

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Self {
        Self::after(*EPOCH, instant)
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_an_instant_and_back() {
        let begin = Moment::now().instant();
        for after in
            [Duration::ZERO, Duration::from_nanos(1), Duration::from_nanos(999_999_999), Duration::from_hours(25)]
        {
            assert_eq!(Moment::from(begin + after).instant(), begin + after);
            assert!(Moment::from(begin + after) <= Moment::from(begin + after + Duration::from_nanos(1)));
        }
    }
}
