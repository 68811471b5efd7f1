//! No more than so many messages a second.

use std::time::{Duration, Instant};

/// When the next messages may go.
#[derive(Debug)]
pub(super) struct Pace {
    /// The time of one message; `None` for no limit.
    interval: Option<Duration>,
    next: Instant,
}

impl Pace {
    /// At most `rate` messages a second from `now` on.
    pub(super) fn new(rate: Option<f64>, now: Instant) -> Self {
        Self { interval: rate.map(|rate| Duration::from_secs_f64(1.0 / rate)), next: now }
    }

    /// When the next may go, unless that is now.
    pub(super) fn wait_until(&self, now: Instant) -> Option<Instant> {
        Some(self.next).filter(|next| self.interval.is_some() && *next > now)
    }

    /// So many have gone.
    pub(super) fn sent(&mut self, count: usize, now: Instant) {
        let Some(interval) = self.interval else { return };
        // A timer wakes late, so a little of what was missed is made up for.
        let from = self.next.max(now.checked_sub(CATCH_UP).unwrap_or(now));
        self.next = from + interval.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX)).min(LONGEST);
    }
}

/// Timers are accurate to a few milliseconds, also on a busy machine.
const CATCH_UP: Duration = Duration::from_millis(20);

/// Keeps sums of times from overflowing.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Reads a rate.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (1e-6..=1e9).contains(&rate) => Ok(rate),
        _ => Err("give messages a second, more than 0, such as 100 or 0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_at_the_rate_though_timers_wake_late() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(10_000.0), start);
        let mut now = start;
        let mut sent = 0_u32;
        while now < start + Duration::from_secs(1) {
            if let Some(next) = pace.wait_until(now) {
                now = now.max(next) + Duration::from_millis(1);
                continue;
            }
            pace.sent(1, now);
            sent += 1;
        }
        assert!((9_900..=10_300).contains(&sent), "{sent}");
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(1.0), start);
        pace.sent(1, start);
        let later = start + Duration::from_secs(100);
        assert_eq!(pace.wait_until(later), None);
        pace.sent(1, later);
        assert!(pace.wait_until(later).unwrap() > later + Duration::from_millis(900));
    }

    #[test]
    fn a_batch_counts_with_each_of_its_messages() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(10.0), start);
        pace.sent(20, start);
        assert_eq!(pace.wait_until(start), Some(start + Duration::from_secs(2)));
    }

    #[test]
    fn a_rate_is_more_than_nothing() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for text in ["0", "-1", "NaN", "inf", "fast", ""] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
