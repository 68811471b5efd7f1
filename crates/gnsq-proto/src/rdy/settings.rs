//! The times an RDY plan keeps to.

use std::time::Duration;

/// The times an [`RdyPlan`](crate::RdyPlan) keeps to. All but `settle` count as 1 ms if they are shorter.
///
/// ```
/// use std::time::Duration;
/// use gnsq_proto::RdySettings;
///
/// let settings = RdySettings { slice: Duration::from_millis(20), ..RdySettings::default() };
/// assert_eq!(settings.low_ready_idle_timeout, Duration::from_secs(10));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RdySettings {
    /// For how long what a connection had in flight at most counts as what it needs, while others want more. The
    /// messages of `max_in_flight` that don't divide evenly move on to other connections as often. Default: 10 s.
    pub low_ready_idle_timeout: Duration,
    /// Where connections take turns: how long a turn lasts without messages. A probe after backoff, too. It must be
    /// longer than a round trip to nsqd, or nothing can come. Default: 100 ms.
    pub slice: Duration,
    /// Where connections take turns: how long one lasts at most while messages come. Default: 1 s.
    pub longest_turn: Duration,
    /// How long nsqd may still send by the old RDY after a lower one was decided: the time to write it, and a round
    /// trip. Until then others don't get what was taken away. Default: 10 ms.
    pub settle: Duration,
}

impl RdySettings {
    /// Without times so short that the plan would always want to be asked again at once.
    pub(super) fn within_reason(self) -> Self {
        let at_least = |time: Duration| time.max(Duration::from_millis(1));
        Self {
            low_ready_idle_timeout: at_least(self.low_ready_idle_timeout),
            slice: at_least(self.slice),
            longest_turn: at_least(self.longest_turn),
            settle: self.settle,
        }
    }
}

impl Default for RdySettings {
    fn default() -> Self {
        Self {
            low_ready_idle_timeout: Duration::from_secs(10),
            slice: Duration::from_millis(100),
            longest_turn: Duration::from_secs(1),
            settle: Duration::from_millis(10),
        }
    }
}
