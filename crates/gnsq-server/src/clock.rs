//! What time it is for a server: the system's clock, or one that a test moves.

use std::fmt;
use std::future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The clock of a server. Clones are the same clock.
///
/// Every timer of an embedded server follows it: message timeouts, deferred messages, heartbeats, tombstones. With a
/// [manual](Self::manual) one, a test lets an hour pass in no time:
///
/// ```
/// use std::time::Duration;
///
/// let clock = gnsq_server::Clock::manual();
/// clock.advance(Duration::from_secs(3600));
/// ```
#[derive(Clone)]
pub struct Clock(Arc<Kind>);

enum Kind {
    System { start: Instant },
    Manual { start_unix: i64, elapsed: watch::Sender<Tick> },
}

/// A moment: nanoseconds since the clock began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Tick(u64);

impl Clock {
    /// The system's clock: the default.
    pub fn system() -> Self {
        Self(Arc::new(Kind::System { start: Instant::now() }))
    }

    /// A clock that stands still until it is [advanced](Self::advance).
    ///
    /// Times that go into the world (a message's timestamp, a server's start) begin at the system's time.
    pub fn manual() -> Self {
        Self(Arc::new(Kind::Manual { start_unix: unix_now(), elapsed: watch::Sender::new(Tick(0)) }))
    }

    /// Moves a manual clock on, and wakes whoever waits for a moment that has come. Without effect on the system's.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual { elapsed, .. } = &*self.0 {
            elapsed.send_modify(|now| *now = now.after(by));
        }
    }

    pub(crate) fn now(&self) -> Tick {
        match &*self.0 {
            Kind::System { start } => Tick(nanos(start.elapsed())),
            Kind::Manual { elapsed, .. } => *elapsed.borrow(),
        }
    }

    /// Nanoseconds since the Unix epoch.
    pub(crate) fn unix_nanos(&self) -> i64 {
        match &*self.0 {
            Kind::System { .. } => unix_now(),
            Kind::Manual { start_unix, elapsed } => {
                start_unix.saturating_add(i64::try_from(elapsed.borrow().0).unwrap_or(i64::MAX))
            }
        }
    }

    /// Waits until `moment` has come; `None` never comes.
    pub(crate) async fn sleep_until(&self, moment: Option<Tick>) {
        let Some(moment) = moment else { return future::pending().await };
        match &*self.0 {
            Kind::System { start } => sleep_until(*start + Duration::from_nanos(moment.0)).await,
            Kind::Manual { elapsed, .. } => {
                // The sender is alive as long as `self`, so this ends only when the moment has come.
                let _ = elapsed.subscribe().wait_for(|now| *now >= moment).await;
            }
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.0 {
            Kind::System { .. } => "Clock::system()",
            Kind::Manual { .. } => "Clock::manual()",
        })
    }
}

impl Tick {
    /// So much later, at most as late as can be told (584 years).
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(nanos(delay)))
    }

    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; nothing if it has yet to come.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn unix_now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_those_whose_time_has_come() {
        let clock = Clock::manual();
        let hour = clock.now().after(Duration::from_secs(3600));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(Some(hour)).await }
        });
        clock.advance(Duration::from_secs(3599));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now().since(Tick(0)), Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn times_in_the_world_follow_a_manual_clock() {
        let clock = Clock::manual();
        let before = clock.unix_nanos();
        clock.advance(Duration::from_nanos(7));
        assert_eq!(clock.unix_nanos(), before + 7);
    }
}
