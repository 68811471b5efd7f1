//! How long a failing consumer pauses.

use std::fmt;
use std::time::Duration;

/// How long a consumer pauses once its handlers fail. Bring your own to replace [`ExponentialBackoff`].
///
/// ```
/// use std::time::Duration;
/// use gnsq_proto::BackoffStrategy;
///
/// /// The same pause however often it failed.
/// #[derive(Debug)]
/// struct Constant(Duration);
///
/// impl BackoffStrategy for Constant {
///     fn wait(&self, _level: u32, _rng: &mut fastrand::Rng) -> Duration {
///         self.0
///     }
/// }
/// ```
pub trait BackoffStrategy: fmt::Debug + Send + Sync {
    /// How long to take no messages at `level`: failures less successes in this backoff, 1 or more.
    fn wait(&self, level: u32, rng: &mut fastrand::Rng) -> Duration;

    /// Whether failures slow the consumer down at all.
    fn is_enabled(&self) -> bool {
        true
    }
}

/// Waits that double with every failure, with full jitter: uniform in `[0, min(max, base * 2^(level - 1))]`.
///
/// Full jitter keeps the consumers of a service that failed from all coming back at the same moment.
///
/// ```
/// use std::time::Duration;
/// use gnsq_proto::{BackoffStrategy, ExponentialBackoff};
///
/// let backoff = ExponentialBackoff { base: Duration::from_secs(1), max: Duration::from_secs(10) };
/// let mut rng = fastrand::Rng::with_seed(7);
/// assert!(backoff.wait(2, &mut rng) <= Duration::from_secs(2));
/// assert!(backoff.wait(1000, &mut rng) <= Duration::from_secs(10));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExponentialBackoff {
    /// The longest wait after the first failure. Default: 1 s.
    pub base: Duration,
    /// The longest wait of all. Zero turns backoff off. Default: 128 s.
    pub max: Duration,
}

impl BackoffStrategy for ExponentialBackoff {
    fn wait(&self, level: u32, rng: &mut fastrand::Rng) -> Duration {
        let doubled =
            1u32.checked_shl(level.saturating_sub(1)).map_or(Duration::MAX, |by| self.base.saturating_mul(by));
        doubled.min(self.max).mul_f64(rng.f64())
    }

    fn is_enabled(&self) -> bool {
        !self.max.is_zero()
    }
}

impl Default for ExponentialBackoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), max: Duration::from_secs(128) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_spread_over_a_range_that_doubles_up_to_the_maximum() {
        let strategy = ExponentialBackoff { base: Duration::from_secs(1), max: Duration::from_secs(6) };
        let mut rng = fastrand::Rng::with_seed(1);
        for (level, range) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 6.0), (33, 6.0), (u32::MAX, 6.0)] {
            let waits: Vec<_> = (0..2000).map(|_| strategy.wait(level, &mut rng).as_secs_f64()).collect();
            let (low, high) = waits.iter().fold((f64::MAX, 0f64), |(low, high), w| (low.min(*w), high.max(*w)));
            assert!(low < range * 0.05 && high > range * 0.95 && high <= range, "level {level}: {low} to {high}");
        }
    }

    #[test]
    fn a_maximum_of_zero_turns_it_off() {
        assert!(ExponentialBackoff::default().is_enabled());
        assert!(!ExponentialBackoff { max: Duration::ZERO, ..ExponentialBackoff::default() }.is_enabled());
    }
}
