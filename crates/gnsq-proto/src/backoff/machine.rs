//! The backoff of a whole consumer.

use std::time::{Duration, Instant};

use super::{BackoffStrategy, ExponentialBackoff};

/// Slows a whole consumer down while its handlers fail.
///
/// ```text
///              failure                  the wait is over
///   Running -------------> Waiting ------------------------> Probing
///      ^                      ^                                 |
///      |                      +------- failure: level + 1 ------+
///      |                      +------- success: level - 1 ------+
///      +------------------- success that brings the level to 0 -+
/// ```
///
/// # Contract
///
/// - Report every outcome that is a verdict: [`on_success`](Self::on_success) for a finished message,
///   [`on_failure`](Self::on_failure) for a failed one. A requeue that says nothing about the handler's health
///   is neither: don't report it.
/// - Call [`on_timeout`](Self::on_timeout) at [`next_timeout`](Self::next_timeout); calling it early is harmless.
/// - Each of these returns whether the phase changed. Where it did, hand the phase to the RDY plan
///   ([`RdyPlan::set_demand`](crate::RdyPlan::set_demand)) and replan.
///
/// Each period has one verdict: of the outcomes while probing the first decides, and those of messages that were in
/// flight when the wait began are ignored while it lasts. Nothing here depends on connections: with none, a probe
/// waits until there is one.
///
/// ```
/// use std::time::{Duration, Instant};
/// use gnsq_proto::{Backoff, ExponentialBackoff, Phase};
///
/// let mut rng = fastrand::Rng::with_seed(7);
/// let mut backoff = Backoff::new(ExponentialBackoff::default());
/// let now = Instant::now();
///
/// assert!(backoff.on_failure(now, &mut rng));
/// let until = backoff.next_timeout().expect("it waits");
/// assert_eq!(backoff.phase(), Phase::Waiting { until });
///
/// assert!(backoff.on_timeout(until));
/// assert_eq!(backoff.phase(), Phase::Probing);
///
/// assert!(backoff.on_success(until, &mut rng));
/// assert_eq!(backoff.phase(), Phase::Running);
/// ```
#[derive(Debug)]
pub struct Backoff {
    strategy: Box<dyn BackoffStrategy>,
    phase: Phase,
    level: u32,
}

/// What a consumer does about its handlers' failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Full rate.
    Running,
    /// No messages at all.
    Waiting {
        /// When a message will be tried.
        until: Instant,
    },
    /// One message at a time from one connection: its outcome decides.
    Probing,
}

impl Backoff {
    /// A consumer at full rate, which slows down as `strategy` says.
    pub fn new(strategy: impl BackoffStrategy + 'static) -> Self {
        Self::from_boxed(Box::new(strategy))
    }

    /// [`new`](Self::new) for a strategy chosen at run time.
    pub fn from_boxed(strategy: Box<dyn BackoffStrategy>) -> Self {
        Self { strategy, phase: Phase::Running, level: 0 }
    }

    /// A handler finished a message. Returns whether the phase changed.
    pub fn on_success(&mut self, now: Instant, rng: &mut fastrand::Rng) -> bool {
        if self.phase != Phase::Probing {
            return false;
        }
        self.level = self.level.saturating_sub(1);
        if self.level == 0 {
            self.phase = Phase::Running;
        } else {
            self.wait(now, rng);
        }
        true
    }

    /// A handler failed. Returns whether the phase changed.
    pub fn on_failure(&mut self, now: Instant, rng: &mut fastrand::Rng) -> bool {
        if matches!(self.phase, Phase::Waiting { .. }) || !self.strategy.is_enabled() {
            return false;
        }
        self.level = self.level.saturating_add(1);
        self.wait(now, rng);
        true
    }

    /// Ends a wait that is over. Returns whether the phase changed.
    pub fn on_timeout(&mut self, now: Instant) -> bool {
        match self.phase {
            Phase::Waiting { until } if until <= now => {
                self.phase = Phase::Probing;
                true
            }
            _ => false,
        }
    }

    /// When to call [`on_timeout`](Self::on_timeout): the end of a wait.
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Running | Phase::Probing => None,
        }
    }

    /// Where the consumer stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Failures less successes of this backoff, one a period; 0 at full rate.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Back to full rate, as if nothing had failed. Returns whether the phase changed.
    pub fn reset(&mut self) -> bool {
        self.level = 0;
        std::mem::replace(&mut self.phase, Phase::Running) != Phase::Running
    }

    fn wait(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        let wait = self.strategy.wait(self.level, rng).min(LONGEST);
        self.phase = Phase::Waiting { until: now + wait };
    }
}

impl Default for Backoff {
    /// Backoff with the default [`ExponentialBackoff`].
    fn default() -> Self {
        Self::new(ExponentialBackoff::default())
    }
}

/// A stranger's strategy may say `Duration::MAX`, which no `Instant` survives.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits as many seconds as the level says.
    #[derive(Debug)]
    struct Linear;

    impl BackoffStrategy for Linear {
        fn wait(&self, level: u32, _rng: &mut fastrand::Rng) -> Duration {
            Duration::from_secs(level.into())
        }
    }

    struct Run {
        backoff: Backoff,
        now: Instant,
        rng: fastrand::Rng,
    }

    impl Run {
        fn new(strategy: impl BackoffStrategy + 'static) -> Self {
            Self { backoff: Backoff::new(strategy), now: Instant::now(), rng: fastrand::Rng::with_seed(1) }
        }

        fn fail(&mut self) -> bool {
            self.backoff.on_failure(self.now, &mut self.rng)
        }

        fn succeed(&mut self) -> bool {
            self.backoff.on_success(self.now, &mut self.rng)
        }

        /// Sleeps through the wait, which must take `seconds`.
        fn sleep(&mut self, seconds: u64) {
            let until = self.now + Duration::from_secs(seconds);
            assert_eq!(self.backoff.phase(), Phase::Waiting { until });
            assert_eq!(self.backoff.next_timeout(), Some(until));
            assert!(!self.backoff.on_timeout(until.checked_sub(Duration::from_nanos(1)).unwrap()));
            assert!(self.backoff.on_timeout(until));
            assert_eq!((self.backoff.phase(), self.backoff.next_timeout()), (Phase::Probing, None));
            self.now = until;
        }
    }

    #[test]
    fn successes_at_full_rate_change_nothing() {
        let mut run = Run::new(Linear);
        assert!(!run.succeed());
        assert!(!run.backoff.on_timeout(run.now));
        assert_eq!((run.backoff.phase(), run.backoff.level(), run.backoff.next_timeout()), (Phase::Running, 0, None));
    }

    #[test]
    fn each_failed_probe_waits_longer_and_each_good_one_shorter() {
        let mut run = Run::new(Linear);
        assert!(run.fail());
        for level in 1..5 {
            run.sleep(level);
            assert!(run.fail());
        }
        for level in (1..=5).rev() {
            run.sleep(level);
            assert!(run.succeed());
        }
        assert_eq!((run.backoff.phase(), run.backoff.level()), (Phase::Running, 0));
    }

    #[test]
    fn outcomes_during_a_wait_are_ignored() {
        let mut run = Run::new(Linear);
        run.fail();
        for _ in 0..10 {
            assert!(!run.fail());
            assert!(!run.succeed());
        }
        assert_eq!(run.backoff.level(), 1);
        run.sleep(1);
    }

    #[test]
    fn a_probe_has_one_verdict() {
        let mut run = Run::new(Linear);
        run.fail();
        run.sleep(1);
        assert!(run.fail());
        assert!(!run.succeed());
        assert_eq!(run.backoff.level(), 2);
    }

    #[test]
    fn a_strategy_that_is_off_never_leaves_full_rate() {
        let mut run = Run::new(ExponentialBackoff { max: Duration::ZERO, ..ExponentialBackoff::default() });
        assert!(!run.fail());
        assert_eq!((run.backoff.phase(), run.backoff.level()), (Phase::Running, 0));
    }

    #[test]
    fn reset_ends_a_wait() {
        let mut run = Run::new(Linear);
        assert!(!run.backoff.reset());
        run.fail();
        assert!(run.backoff.reset());
        assert_eq!((run.backoff.phase(), run.backoff.level()), (Phase::Running, 0));
    }

    #[test]
    fn an_endless_wait_does_not_overflow_the_clock() {
        #[derive(Debug)]
        struct Endless;
        impl BackoffStrategy for Endless {
            fn wait(&self, _level: u32, _rng: &mut fastrand::Rng) -> Duration {
                Duration::MAX
            }
        }
        assert!(Run::new(Endless).fail());
    }
}
