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
    /// When it joined, or the last message came, or it was hungry.
    active_at: Instant,
    last_message: Option<Instant>,
    hungry_at: Option<Instant>,
    /// It gave its share up, until it is hungry.
    pub(super) idle: bool,
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
            active_at: now,
            last_message: None,
            hungry_at: None,
            idle: false,
            turn_since: None,
            held: None,
        }
    }

    pub(super) fn report(&mut self, now: Instant, facts: Facts) {
        self.in_flight = facts.in_flight;
        self.last_message = self.last_message.max(facts.last_message);
        self.active_at = self.active_at.max(self.last_message.unwrap_or(self.active_at));
        // At nsqd's own maximum no plan can help.
        if facts.hungry && self.share < self.max_rdy {
            self.hungry_at = Some(now);
            self.idle = false;
            self.active_at = self.active_at.max(now);
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

    /// Whether its share kept it from taking more, not long ago.
    pub(super) fn is_hungry(&self, now: Instant, idle_timeout: Duration) -> bool {
        self.hungry_at.is_some_and(|at| now < at + idle_timeout)
    }

    /// Goes idle when the time has come. Only hunger ends that.
    pub(super) fn look_idle(&mut self, now: Instant, idle_timeout: Duration) {
        // Full of messages, it can't get more: that's no idleness.
        self.idle |= now >= self.idle_at(idle_timeout) && self.in_flight < self.share;
    }

    pub(super) fn idle_at(&self, idle_timeout: Duration) -> Instant {
        self.active_at + idle_timeout
    }

    /// The most that is of use to it.
    pub(super) fn demand(&self, others_are_hungry: bool) -> u32 {
        if self.idle && others_are_hungry {
            // Room for one more, which shows whether it has more.
            self.in_flight.saturating_add(1).min(self.max_rdy)
        } else {
            self.max_rdy
        }
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
