//! Shares where there is at least one message for everyone: max-min fair, by demand.

use std::time::{Duration, Instant};

use super::plan::{Mode, RdyPlan};

impl RdyPlan {
    /// Everyone has at least one: divides evenly, or by demand while someone is hungry.
    pub(super) fn aim_fair(&mut self, now: Instant, budget: u32) {
        let idle_timeout = self.settings.low_ready_idle_timeout;
        let hungry_until = self.members.iter().filter_map(|member| member.hungry_until(idle_timeout)).max();
        let hungry_until = hungry_until.filter(|until| now < *until);
        self.mode = if hungry_until.is_some() { Mode::ByDemand } else { Mode::Even };
        for member in &mut self.members {
            member.turn_since = None;
            member.demanded = if hungry_until.is_some() { member.demand(now, idle_timeout) } else { member.max_rdy };
        }
        self.demands.clear();
        self.demands.extend(self.members.iter().map(|member| member.demanded));
        let level = Level::of(budget, &mut self.demands);
        self.rotate(now, level, hungry_until.is_some());
        let mut extra = level.extra;
        let mut left = budget;
        for slot in &self.queue {
            let member = &mut self.members[*slot];
            member.target = level.part(member.demanded, &mut extra);
            left = left.saturating_sub(member.target);
        }
        if left > 0 && hungry_until.is_some() {
            // Nobody wants it at the moment. Whoever does next has it at once.
            self.demands.clear();
            self.demands.extend(self.members.iter().map(|member| member.max_rdy - member.target));
            let level = Level::of(left, &mut self.demands);
            let mut extra = level.extra;
            for slot in &self.queue {
                let member = &mut self.members[*slot];
                member.target += level.part(member.max_rdy - member.target, &mut extra);
            }
        }
        if let Some(until) = hungry_until {
            let wanted = self.members.iter().any(|member| member.wants_more(now));
            self.wake_at(if wanted { now + REVIEW } else { until });
        }
    }

    /// Lets those at the head of the queue have the remainder, and sends them to its end when their time is over.
    fn rotate(&mut self, now: Instant, level: Level, hungry: bool) {
        if level.extra == 0 || !hungry {
            self.rotate_at = None;
            return;
        }
        if self.rotate_at.is_some_and(|at| at <= now) {
            let members = &self.members;
            let mut extra = level.extra;
            let had_one = |slot: &usize| {
                let had = extra > 0 && members[*slot].demanded > level.base;
                extra -= u32::from(had);
                had
            };
            let (had, others): (Vec<_>, Vec<_>) = self.queue.iter().copied().partition(had_one);
            self.queue = others.into_iter().chain(had).collect();
            self.rotate_at = None;
        }
        let at = self.rotate_at.unwrap_or(now + self.settings.low_ready_idle_timeout);
        self.rotate_at = Some(at);
        self.wake_at(at);
    }
}

/// How much each gets of something that is divided max-min fairly: what it demands if that is no more than `base`,
/// else `base`, and `extra` of these one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) base: u32,
    pub(super) extra: u32,
}

impl Level {
    /// The part of one with this demand; the first that want more than the base get one of what is extra.
    fn part(self, demand: u32, extra: &mut u32) -> u32 {
        let more = u32::from(demand > self.base && *extra > 0);
        *extra -= more;
        demand.min(self.base) + more
    }

    /// The level at which `total` covers the demands as evenly as can be. Sorts them.
    pub(super) fn of(total: u32, demands: &mut [u32]) -> Self {
        demands.sort_unstable();
        let mut left = total;
        let mut sharers = u32::try_from(demands.len()).unwrap_or(u32::MAX);
        for demand in demands {
            if *demand > left / sharers {
                return Self { base: left / sharers, extra: left % sharers };
            }
            left -= *demand;
            sharers -= 1;
        }
        Self { base: u32::MAX, extra: 0 }
    }
}

/// How often the division is looked at again while someone wants more: others may need less by then.
const REVIEW: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn divide(total: u32, demands: &[u32]) -> Vec<u32> {
        let level = Level::of(total, &mut demands.to_vec());
        let mut extra = level.extra;
        demands.iter().map(|demand| level.part(*demand, &mut extra)).collect()
    }

    #[test]
    fn the_remainder_is_handed_out() {
        assert_eq!(divide(9, &[2500; 6]), [2, 2, 2, 1, 1, 1]);
    }

    #[test]
    fn what_one_does_not_need_goes_to_the_others() {
        assert_eq!(divide(100, &[1, 2500, 10, 2500]), [1, 45, 10, 44]);
        assert_eq!(divide(100, &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(divide(0, &[1, 2]), [0, 0]);
        assert_eq!(divide(7, &[]), [0u32; 0]);
    }

    proptest! {
        #[test]
        fn division_is_complete_and_fair(total in 0u32..6000, demands in prop::collection::vec(1u32..3000, 0..60)) {
            let given = divide(total, &demands);
            prop_assert_eq!(given.iter().sum::<u32>(), total.min(demands.iter().sum()));
            // Who got less than it demands got no less than anyone else, but for the remainder.
            let most = given.iter().copied().max().unwrap_or(0);
            for (given, demand) in given.iter().zip(&demands) {
                prop_assert!(given == demand || given + 1 >= most);
            }
        }
    }
}
