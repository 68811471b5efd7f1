//! When an nsqd that fails again and again is left alone, and when it is tried again.

use std::time::{Duration, Instant};

use gnsq_proto::BackoffTimer;

/// What a breaker knows of one nsqd. It is told of failures and successes, and asked before a publish; the time comes
/// as an argument, and nothing happens by itself.
///
/// *Closed* lets everything through. So many failures without a success between them *open* it for a time that grows.
/// After that time it is *half open*: one publish may probe the nsqd. A success closes it, a failure opens it again.
#[derive(Debug)]
pub(super) struct Breaker {
    /// How many failures open it. 0: none do.
    threshold: u32,
    state: State,
    backoff: BackoffTimer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    Probing,
}

/// The state of the circuit breaker of an nsqd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// It takes publishes.
    Closed,
    /// It failed too often: it is left out while others can be used.
    Open,
    /// One publish is trying it.
    HalfOpen,
}

/// What a failure or a success has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Opened { wait: Duration },
    Closed,
}

impl Breaker {
    pub(super) fn new(threshold: u32) -> Self {
        let backoff = BackoffTimer::new(1.0, Some(SHORTEST), Some(LONGEST));
        Self { threshold, state: State::Closed { failures: 0 }, backoff }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing => BreakerState::HalfOpen,
        }
    }

    /// Whether a publish may go there now. The one that does is told of by [`begin`](Self::begin).
    pub(super) fn admits(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } => until <= now,
            State::Probing => false,
        }
    }

    /// A publish goes there: a probe, if it is time for one.
    pub(super) fn begin(&mut self, now: Instant) {
        if matches!(self.state, State::Open { until } if until <= now) {
            self.state = State::Probing;
        }
    }

    pub(super) fn on_success(&mut self) -> Option<Change> {
        let was = std::mem::replace(&mut self.state, State::Closed { failures: 0 });
        self.backoff.reset();
        (!matches!(was, State::Closed { .. })).then_some(Change::Closed)
    }

    pub(super) fn on_failure(&mut self, now: Instant, rng: &mut fastrand::Rng) -> Option<Change> {
        match self.state {
            State::Closed { failures } if failures + 1 < self.threshold || self.threshold == 0 => {
                self.state = State::Closed { failures: failures.saturating_add(1) };
                None
            }
            // What was sent before it opened has failed too.
            State::Open { .. } => None,
            State::Closed { .. } | State::Probing => {
                let wait = self.backoff.failure().interval(rng);
                self.state = State::Open { until: now + wait };
                Some(Change::Opened { wait })
            }
        }
    }

    /// The probe ended without telling anything about the nsqd: there may be another.
    pub(super) fn on_no_verdict(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }
}

/// How long a breaker stays open: from this, after the first time,
const SHORTEST: Duration = Duration::from_secs(1);

/// to this.
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    struct Run {
        breaker: Breaker,
        rng: fastrand::Rng,
        now: Instant,
    }

    impl Run {
        fn new(threshold: u32) -> Self {
            Self { breaker: Breaker::new(threshold), rng: fastrand::Rng::with_seed(1), now: Instant::now() }
        }

        fn fail(&mut self) -> Option<Change> {
            self.breaker.on_failure(self.now, &mut self.rng)
        }

        /// Fails until it opens; returns for how long.
        fn open(&mut self) -> Duration {
            for _ in 0..100 {
                if let Some(Change::Opened { wait }) = self.fail() {
                    return wait;
                }
            }
            panic!("it never opens");
        }

        fn probe_after(&mut self, wait: Duration) {
            self.now += wait;
            assert!(self.breaker.admits(self.now));
            self.breaker.begin(self.now);
            assert_eq!(self.breaker.state(), BreakerState::HalfOpen);
        }
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let mut run = Run::new(3);
        for _ in 0..5 {
            assert_eq!((run.fail(), run.fail()), (None, None));
            assert_eq!(run.breaker.on_success(), None);
        }
        assert_eq!((run.fail(), run.fail()), (None, None));
        assert!(run.breaker.admits(run.now));
        assert!(matches!(run.fail(), Some(Change::Opened { .. })));
        assert!(!run.breaker.admits(run.now));
        assert_eq!(run.breaker.state(), BreakerState::Open);
        // What was under way when it opened says nothing new.
        assert_eq!(run.fail(), None);
    }

    #[test]
    fn one_publish_probes_it() {
        let mut run = Run::new(1);
        let wait = run.open();
        assert!(!run.breaker.admits(run.now + wait / 2));
        run.probe_after(wait);
        assert!(!run.breaker.admits(run.now + LONGEST), "the probe has no outcome yet");
        assert_eq!(run.breaker.on_success(), Some(Change::Closed));
        assert!(run.breaker.admits(run.now));
    }

    #[test]
    fn it_stays_open_longer_each_time_within_its_bounds() {
        let mut run = Run::new(2);
        let mut longest = run.open();
        for _ in 0..50 {
            run.probe_after(longest.max(LONGEST));
            let Some(Change::Opened { wait }) = run.fail() else { panic!("a failed probe opens it again") };
            assert!((SHORTEST..=LONGEST).contains(&wait), "{wait:?}");
            longest = longest.max(wait);
        }
        assert_eq!(longest, LONGEST);
        run.probe_after(LONGEST);
        run.breaker.on_success();
        assert_eq!(run.open(), SHORTEST);
    }

    #[test]
    fn a_probe_without_a_verdict_is_followed_by_another() {
        let mut run = Run::new(1);
        let wait = run.open();
        run.probe_after(wait);
        run.breaker.on_no_verdict(run.now);
        run.probe_after(Duration::ZERO);
    }

    #[test]
    fn a_threshold_of_0_never_opens_it() {
        let mut run = Run::new(0);
        for _ in 0..1000 {
            assert_eq!(run.fail(), None);
        }
        assert!(run.breaker.admits(run.now));
    }
}
