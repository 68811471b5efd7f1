//! What a plan knows of one connection.

use std::time::{Duration, Instant};

use super::{ConnectionId, Facts};

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: ConnectionId,
    /// nsqd's maximum RDY.
    pub(super) max_rdy: u32,
    pub(super) share: u32,
    /// What the plan wants the share to be; a higher one waits until others have let go.
    pub(super) target: u32,
    /// The share before the plan raised any.
    pub(super) before: u32,
    pub(super) in_flight: u32,
    last_message: Option<Instant>,
    /// The most that it had in flight, and when: for a while it counts as what it needs.
    used: u32,
    used_at: Instant,
    hungry_at: Option<Instant>,
    /// How much a hungry one may have, if there is enough: more each time it is hungry with all that it asked for.
    appetite: u32,
    /// What the last division counted as its demand.
    pub(super) demanded: u32,
    /// When its turn began, where connections take turns.
    pub(super) turn_since: Option<Instant>,
    /// The share before it was lowered, and until when nsqd may still send by it.
    held: Option<(u32, Instant)>,
}

/// What became of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Over,
    /// To look at again then.
    Lasts(Instant),
}

impl Member {
    pub(super) fn new(now: Instant, id: ConnectionId, max_rdy: u32) -> Self {
        Self {
            id,
            max_rdy: max_rdy.max(1),
            share: 0,
            target: 0,
            before: 0,
            in_flight: 0,
            last_message: None,
            used: 0,
            used_at: now,
            hungry_at: None,
            appetite: 0,
            demanded: 0,
            turn_since: None,
            held: None,
        }
    }

    /// Notes what it tells; what it used is remembered for the idle timeout.
    pub(super) fn report(&mut self, now: Instant, facts: Facts, idle_timeout: Duration) {
        self.in_flight = facts.in_flight;
        self.last_message = self.last_message.max(facts.last_message);
        if let Some(at) = facts.most_at
            && (facts.most_in_flight >= self.used || self.used_at + idle_timeout / 2 < at)
        {
            self.used = facts.most_in_flight;
            self.used_at = self.used_at.max(at);
        }
        // At nsqd's own maximum no plan can help.
        if facts.hungry && self.share < self.max_rdy {
            if !self.wants_more(now) {
                self.appetite = 0;
            }
            self.hungry_at = Some(now);
            self.appetite = self.appetite.max(self.share.max(1).saturating_mul(GROWTH));
        }
    }

    /// How many messages it has, or may still be sent, whatever its share is now.
    pub(super) fn liability(&self, now: Instant) -> u32 {
        let held = self.held.map_or(0, |(share, until)| if now < until { share } else { 0 });
        self.share.max(self.in_flight).max(held)
    }

    pub(super) fn lower(&mut self, now: Instant, settle: Duration) {
        // Where it was lowered a moment ago, the highest counts.
        let before = match self.held {
            Some((share, until)) if now < until => share.max(self.share),
            _ => self.share,
        };
        self.held = Some((before, now + settle));
        self.share = self.target;
        if self.share == 0 {
            self.turn_since = None;
        }
    }

    /// When nsqd no longer sends by the share of before.
    pub(super) fn settles_at(&self, now: Instant) -> Option<Instant> {
        self.held.map(|(_, until)| until).filter(|until| now < *until)
    }

    /// Until when it makes a division by demand worthwhile.
    pub(super) fn hungry_until(&self, idle_timeout: Duration) -> Option<Instant> {
        self.hungry_at.map(|at| at + idle_timeout)
    }

    /// Whether its share keeps it from taking more.
    pub(super) fn wants_more(&self, now: Instant) -> bool {
        self.hungry_at.is_some_and(|at| now < at + HUNGER)
    }

    /// Whether it is hungry with all that it asked for.
    pub(super) fn is_underestimated(&self) -> bool {
        self.share >= self.demanded
    }

    /// The most that is of use to it, where others want more.
    pub(super) fn demand(&self, now: Instant, idle_timeout: Duration) -> u32 {
        let used = if now < self.used_at + idle_timeout { self.used } else { 0 };
        // Room for one more shows whether it has more; one that has many at times may have some more at others.
        let need = self.in_flight.saturating_add(1).max(used.saturating_add(used / 4));
        let appetite = if self.wants_more(now) { self.appetite } else { 0 };
        need.max(appetite).min(self.max_rdy)
    }

    /// How the turn that began at `since` goes on: over when no message comes for a slice, and after `longest`.
    pub(super) fn turn(&self, since: Instant, now: Instant, slice: Duration, longest: Option<Duration>) -> Turn {
        let end = longest.map(|longest| since + longest);
        if end.is_some_and(|end| end <= now) {
            return Turn::Over;
        }
        let used = self.last_message.is_some_and(|came| since <= came);
        let quiet_at = match self.last_message {
            // While a handler is busy with it none can come.
            Some(_) if used && self.in_flight > 0 => now + slice,
            Some(came) if used => came + slice,
            _ => since + slice,
        };
        if quiet_at <= now { Turn::Over } else { Turn::Lasts(end.map_or(quiet_at, |end| end.min(quiet_at))) }
    }
}

/// How much more one gets that is hungry with what it has: from room for one message to a share of hundreds in four
/// steps, while one that was hungry by chance takes little from the others.
const GROWTH: u32 = 4;

/// For how long one that said it was hungry is: a window says it again within a second.
const HUNGER: Duration = Duration::from_millis(1250);
