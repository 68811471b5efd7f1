//! Turns: what connections get when there isn't one message for each.

use std::time::Instant;

use super::member::Turn;
use super::plan::{Demand, RdyPlan};
use crate::backoff::Phase;

impl RdyPlan {
    /// Ends the turns that are over, and gives those at the head of the queue theirs.
    pub(super) fn aim_turns(&mut self, now: Instant, places: usize) {
        // A probe lasts until its outcome, which changes the demand.
        let longest = (self.demand == Demand::Running).then_some(self.settings.longest_turn);
        let others_wait = self.members.len() > places;
        let mut next = None;
        let mut holders = 0;
        for slot in &self.queue {
            let member = &mut self.members[*slot];
            member.target = 0;
            if member.share == 0 {
                continue;
            }
            let since = *member.turn_since.get_or_insert(now);
            match member.turn(since, now, self.settings.slice, longest) {
                Turn::Over if others_wait => member.turn_since = None,
                // More had a share than there are places now: they keep their place in the queue.
                _ if holders == places => {}
                Turn::Over => {
                    member.target = 1;
                    holders += 1;
                }
                Turn::Lasts(until) => {
                    member.target = 1;
                    holders += 1;
                    next = Some(next.map_or(until, |next: Instant| next.min(until)));
                }
            }
        }
        let ended = |slot: &usize| self.members[*slot].share > 0 && self.members[*slot].turn_since.is_none();
        let (ended, waiting): (Vec<_>, Vec<_>) = self.queue.iter().copied().partition(ended);
        self.queue = waiting.into_iter().chain(ended).collect();
        for slot in &self.queue {
            if holders == places {
                break;
            }
            let member = &mut self.members[*slot];
            if member.target == 0 && member.share == 0 {
                member.target = 1;
                holders += 1;
            }
        }
        if let Some(next) = next.filter(|_| others_wait) {
            self.wake_at(next);
        }
    }
}

impl From<Phase> for Demand {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Running => Self::Running,
            Phase::Waiting { .. } => Self::Blocked,
            Phase::Probing => Self::Probe,
        }
    }
}
