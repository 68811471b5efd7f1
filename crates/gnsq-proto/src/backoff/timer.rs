//! A count of failures that knows how long to wait.

use std::time::Duration;

/// Counts failures, and gives a random wait that grows with them: for reconnects and other retries.
///
/// The wait is uniform in `[0, 1) * (2^failures - 1) * ratio` seconds, cut to the bounds. Successes are
/// counted too: each takes one failure back.
///
/// ```
/// use std::time::Duration;
/// use gnsq_proto::BackoffTimer;
///
/// let mut rng = fastrand::Rng::with_seed(7);
/// let mut timer = BackoffTimer::new(1.0, None, Some(Duration::from_secs(120)));
/// assert_eq!(timer.interval(&mut rng), Duration::ZERO);
///
/// timer.failure().failure();
/// assert!(timer.interval(&mut rng) < Duration::from_secs(3));
///
/// timer.success().success();
/// assert!(timer.is_reset());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BackoffTimer {
    ratio: f64,
    min: Option<Duration>,
    max: Option<Duration>,
    failures: u32,
}

impl BackoffTimer {
    /// A timer without failures.
    ///
    /// `ratio` is in seconds: the longest wait after the first failure. One that is negative or not a number
    /// counts as 0. `min` and `max` bound every wait; where they contradict each other, `min` wins.
    pub fn new(ratio: f64, min: Option<Duration>, max: Option<Duration>) -> Self {
        // `max` of a NaN and a number is the number.
        Self { ratio: ratio.max(0.0), min, max, failures: 0 }
    }

    /// Takes one failure back, if there is one.
    pub fn success(&mut self) -> &mut Self {
        self.failures = self.failures.saturating_sub(1);
        self
    }

    /// Counts a failure.
    pub fn failure(&mut self) -> &mut Self {
        self.failures = self.failures.saturating_add(1);
        self
    }

    /// Forgets all failures.
    pub fn reset(&mut self) -> &mut Self {
        self.failures = 0;
        self
    }

    /// Whether no failure is counted.
    pub fn is_reset(&self) -> bool {
        self.failures == 0
    }

    /// How many failures are counted, less the successes.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// How long to wait before the next try. Without a `max` it still ends at one year.
    pub fn interval(&self, rng: &mut fastrand::Rng) -> Duration {
        let exponent = i32::try_from(self.failures).unwrap_or(i32::MAX).min(MAX_EXPONENT);
        let seconds = rng.f64() * (2f64.powi(exponent) - 1.0) * self.ratio;
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST);
        wait.min(self.max.unwrap_or(LONGEST)).max(self.min.unwrap_or(Duration::ZERO))
    }
}

impl Default for BackoffTimer {
    /// A ratio of one second and no bounds.
    fn default() -> Self {
        Self::new(1.0, None, None)
    }
}

/// Keeps the power finite, so that a random 0 times it isn't NaN. Any ratio of a nanosecond or more is past
/// [`LONGEST`] long before.
const MAX_EXPONENT: i32 = 64;

/// Added to an `Instant`, a longer wait could overflow it; nobody waits for this one either.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn longest_of(timer: &BackoffTimer) -> Duration {
        let mut rng = fastrand::Rng::with_seed(1);
        (0..2000).map(|_| timer.interval(&mut rng)).max().unwrap()
    }

    #[test]
    fn the_count_never_falls_below_zero() {
        let mut timer = BackoffTimer::default();
        timer.success().success();
        assert!(timer.is_reset());
        timer.failure();
        assert_eq!(timer.failures(), 1);
        timer.failure().reset();
        assert!(timer.is_reset());
    }

    #[test]
    fn each_failure_doubles_the_range() {
        let mut timer = BackoffTimer::new(0.5, None, None);
        for (failures, range) in [(1u32, 0.5), (2, 1.5), (3, 3.5), (4, 7.5)] {
            timer.failure();
            assert_eq!(timer.failures(), failures);
            let longest = longest_of(&timer).as_secs_f64();
            assert!(longest < range && longest > range * 0.95, "{failures} failures waited up to {longest} s");
        }
    }

    #[test]
    fn bounds_cut_the_wait() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(2));
        let mut timer = BackoffTimer::new(1.0, Some(min), Some(max));
        let mut rng = fastrand::Rng::with_seed(2);
        assert_eq!(timer.interval(&mut rng), min);
        for _ in 0..40 {
            timer.failure();
            let wait = timer.interval(&mut rng);
            assert!(wait >= min && wait <= max, "{wait:?}");
        }
    }

    #[test]
    fn no_count_and_no_ratio_overflows() {
        let mut rng = fastrand::Rng::with_seed(3);
        for ratio in [1.0, f64::INFINITY, f64::MAX, f64::NAN, -1.0, 0.0] {
            let mut timer = BackoffTimer::new(ratio, None, None);
            timer.failures = u32::MAX;
            assert_eq!(timer.failure().failures(), u32::MAX);
            for _ in 0..100 {
                assert!(timer.interval(&mut rng) <= LONGEST);
            }
        }
    }
}
