//! How `max_in_flight` is divided over a consumer's connections.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::member::Member;
use super::{ConnectionId, Facts, RdySettings, ShareChange};

/// Divides a consumer's `max_in_flight` over its connections: a pure plan from facts.
///
/// # What it keeps to
///
/// - The shares' sum never exceeds `max_in_flight`, and none exceeds its connection's maximum. What is in flight
///   beyond a share that was lowered, and what nsqd may still send by the old one for a
///   [`settle`](RdySettings::settle) time, counts: until then nobody else gets it.
/// - The division is max-min fair. What doesn't divide evenly is handed out too, and moves on to others every
///   [`low_ready_idle_timeout`](RdySettings::low_ready_idle_timeout) while someone wants more.
/// - While some are hungry, which means that their shares keep them from taking more, the others leave them what they
///   don't use. They keep room for one message more than they have, and for a quarter more than the most that they had
///   within that time. So one that trickles has a share of 1 or 2, from the first sign of hunger elsewhere on.
/// - One that becomes hungry has four times its share, and four times more each time it is hungry with all of that: from
///   1 to an even share of up to 256 in four round trips and `settle` times. One that was hungry by
///   chance takes little, and for little more than a second.
/// - With more connections than `max_in_flight` they take turns, in order. A turn without messages ends after a
///   [`slice`](RdySettings::slice), one with messages when a slice passes without, and after the
///   [`longest_turn`](RdySettings::longest_turn) at last.
/// - So each of `n` connections has its turn within `ceil(n / max_in_flight) * (slice + settle)` while the others are
///   quiet. In general it waits for the turns of all others, divided by `max_in_flight`, and a turn with messages counts
///   `longest_turn + settle` at most, and the time that the handler of its last message needs.
/// - Never stuck: running, not paused, with a `max_in_flight` and a connection, the sum is above 0, except while what
///   was in flight or could still be sent on connections that lost their shares uses up all of `max_in_flight`.
/// - A probe is one message for one connection, picked at random. When nothing comes from it for a slice, another
///   is tried, none twice before all were.
///
/// # Contract
///
/// - [`join`](Self::join), [`leave`](Self::leave) and the setters only note what happened: call
///   [`plan`](Self::plan) after them, and at [`next_timeout`](Self::next_timeout).
/// - [`report`](Self::report) what a connection's window says by itself
///   ([`ReadyWindow::poll_report`](crate::ReadyWindow::poll_report)), and plan if it returns true. Report every
///   connection ([`ReadyWindow::facts`](crate::ReadyWindow::facts)) before `plan`. Messages alone need no report.
/// - Apply the changes in the order given: lower shares come first. The sum holds at every moment for a caller that
///   applies them within `settle`.
///
/// ```
/// use std::time::Instant;
/// use gnsq_proto::{ConnectionId, RdyPlan, RdySettings};
///
/// let mut rng = fastrand::Rng::with_seed(7);
/// let now = Instant::now();
/// let mut plan = RdyPlan::new(RdySettings::default(), 9);
/// for id in 0..6 {
///     plan.join(now, ConnectionId(id), 2500);
/// }
/// let shares: Vec<_> = plan.plan(now, &mut rng).iter().map(|change| change.share).collect();
/// assert_eq!(shares, [2, 2, 2, 1, 1, 1]);
/// assert_eq!(plan.next_timeout(), None);
/// ```
#[derive(Debug)]
pub struct RdyPlan {
    pub(super) settings: RdySettings,
    max_in_flight: u32,
    paused: bool,
    pub(super) demand: Demand,
    pub(super) members: Vec<Member>,
    slots: FxHashMap<ConnectionId, usize>,
    /// Slots in the order of who is next: for a turn, or for the remainder.
    pub(super) queue: VecDeque<usize>,
    /// What the last plan was made for.
    planned: Demand,
    pub(super) mode: Mode,
    /// When facts that changed ask for a new division.
    due: Due,
    planned_at: Option<Instant>,
    /// When the remainder moves on.
    pub(super) rotate_at: Option<Instant>,
    /// Someone waits for what others still use.
    short: bool,
    pub(super) timeout: Option<Instant>,
    changes: Vec<ShareChange>,
    pub(super) demands: Vec<u32>,
}

/// What a consumer wants from its connections as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Demand {
    /// As much as `max_in_flight` allows.
    #[default]
    Running,
    /// Nothing: it waits in backoff.
    Blocked,
    /// One message, to see whether handlers work again.
    Probe,
}

/// When to divide anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Never,
    /// Together with others like it: the change is small.
    Soon,
    Now,
}

/// How the last plan divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nobody may have anything.
    Nothing,
    /// Not enough for everyone, so that some have 1 and the others wait.
    Turns,
    /// Evenly.
    Even,
    /// Someone was hungry, so that others left what they didn't use.
    ByDemand,
}

impl RdyPlan {
    /// A plan without connections.
    pub fn new(settings: RdySettings, max_in_flight: u32) -> Self {
        Self {
            settings: settings.within_reason(),
            max_in_flight,
            paused: false,
            demand: Demand::Running,
            members: Vec::new(),
            slots: FxHashMap::default(),
            queue: VecDeque::new(),
            planned: Demand::Running,
            mode: Mode::Even,
            due: Due::Never,
            planned_at: None,
            rotate_at: None,
            short: false,
            timeout: None,
            changes: Vec::new(),
            demands: Vec::new(),
        }
    }

    /// Adds a connection that subscribed, with a share of 0 for now. `max_rdy_count` is nsqd's maximum; 0 counts
    /// as 1, as such an nsqd sends nobody anything. A connection that is there already begins anew.
    pub fn join(&mut self, now: Instant, id: ConnectionId, max_rdy_count: u32) {
        self.leave(id);
        let slot = self.members.len();
        self.members.push(Member::new(now, id, max_rdy_count));
        self.slots.insert(id, slot);
        self.queue.push_back(slot);
        self.due = Due::Now;
    }

    /// Removes a connection; its share is free at once. Returns whether it was there.
    pub fn leave(&mut self, id: ConnectionId) -> bool {
        let Some(slot) = self.slots.remove(&id) else { return false };
        self.members.swap_remove(slot);
        let moved = self.members.len();
        if let Some(member) = self.members.get(slot) {
            self.slots.insert(member.id, slot);
        }
        self.queue.retain(|queued| *queued != slot);
        for queued in &mut self.queue {
            if *queued == moved {
                *queued = slot;
            }
        }
        self.due = Due::Now;
        true
    }

    /// How many messages may be in flight on all connections together. 0 means none.
    pub fn set_max_in_flight(&mut self, max_in_flight: u32) {
        self.note(self.max_in_flight != max_in_flight, Due::Now);
        self.max_in_flight = max_in_flight;
    }

    /// Takes no more messages until it is called with `false`.
    pub fn set_paused(&mut self, paused: bool) {
        self.note(self.paused != paused, Due::Now);
        self.paused = paused;
    }

    /// What backoff allows: [`Phase`](crate::Phase) converts into it.
    pub fn set_demand(&mut self, demand: impl Into<Demand>) {
        let demand = demand.into();
        self.note(self.demand != demand, Due::Now);
        self.demand = demand;
    }

    /// Notes what a connection tells. Returns whether [`plan`](Self::plan) has something to do at once.
    pub fn report(&mut self, now: Instant, id: ConnectionId, facts: Facts) -> bool {
        let Some(slot) = self.slots.get(&id) else { return false };
        let member = &mut self.members[*slot];
        let wants_more = match self.mode {
            Mode::Nothing | Mode::Turns => false,
            Mode::Even => facts.hungry,
            Mode::ByDemand => facts.hungry && member.is_underestimated(),
        };
        let drained = member.in_flight > member.share && facts.in_flight <= member.share;
        // Quiet ones have room for one message, which a slow handler may keep.
        let filled = member.in_flight < member.share && member.share <= facts.in_flight;
        let wants_one = self.mode == Mode::ByDemand && filled && member.is_underestimated();
        member.report(now, facts, self.settings.low_ready_idle_timeout);
        self.note(wants_more || (drained && self.short), Due::Now);
        self.note(wants_one, Due::Soon);
        self.due != Due::Never
    }

    /// Divides anew, if there is a reason to, and returns whose share changes. Costs `O(n log n)` then.
    pub fn plan(&mut self, now: Instant, rng: &mut fastrand::Rng) -> &[ShareChange] {
        self.changes.clear();
        if self.due != Due::Now && self.timeout.is_none_or(|timeout| now < timeout) {
            if self.due == Due::Never {
                return &self.changes;
            }
            let soon = self.planned_at.map_or(now, |at| at + self.settings.settle.max(SOON));
            if now < soon {
                self.wake_at(soon);
                return &self.changes;
            }
        }
        self.due = Due::Never;
        self.planned_at = Some(now);
        self.timeout = None;
        if std::mem::replace(&mut self.planned, self.demand) != self.demand && self.demand == Demand::Probe {
            rng.shuffle(self.queue.make_contiguous());
        }
        let budget = if self.paused { 0 } else { self.max_in_flight };
        let places = match self.demand {
            Demand::Running => budget,
            Demand::Probe => budget.min(1),
            Demand::Blocked => 0,
        };
        if places == 0 {
            self.mode = Mode::Nothing;
            self.members.iter_mut().for_each(|member| member.target = 0);
        } else if self.demand == Demand::Probe || (places as usize) < self.members.len() {
            self.mode = Mode::Turns;
            self.aim_turns(now, places as usize);
        } else {
            self.aim_fair(now, places);
        }
        self.lower(now);
        let turns_began = self.raise(now, budget);
        if turns_began && self.members.len() > places as usize {
            self.wake_at(now + self.settings.slice);
        }
        if self.short {
            // A connection reports when it has drained; what drains little by little is found at the next slice.
            let next_slice = now + self.settings.slice;
            let settled = self.members.iter().filter_map(|member| member.settles_at(now)).min();
            self.wake_at(settled.map_or(next_slice, |at| at.min(next_slice)));
        }
        &self.changes
    }

    /// When to call [`plan`](Self::plan) next. `None` while nothing would change with time.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// A connection's share.
    pub fn share(&self, id: ConnectionId) -> Option<u32> {
        self.slots.get(&id).map(|slot| self.members[*slot].share)
    }

    /// All shares together.
    pub fn total(&self) -> u32 {
        self.members.iter().map(|member| member.share).sum()
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Asks to be called again, at the latest then.
    pub(super) fn wake_at(&mut self, at: Instant) {
        self.timeout = Some(self.timeout.map_or(at, |timeout| timeout.min(at)));
    }

    fn note(&mut self, changed: bool, due: Due) {
        if changed {
            self.due = self.due.max(due);
        }
    }

    fn lower(&mut self, now: Instant) {
        for member in &mut self.members {
            if member.target < member.share {
                member.lower(now, self.settings.settle);
                self.changes.push(ShareChange { id: member.id, share: member.share });
            }
            member.before = member.share;
        }
    }

    /// Raises shares to their targets as far as what others still use allows: first whoever has nothing. Returns
    /// whether turns began.
    fn raise(&mut self, now: Instant, budget: u32) -> bool {
        let used: u32 = self.members.iter().fold(0, |sum, member| sum.saturating_add(member.liability(now)));
        let mut free = budget.saturating_sub(used);
        // Beyond the budget even a share for what is in flight anyway is too much: more would follow it.
        let steps: &[u32] = if used > budget { &[] } else { &[1, u32::MAX] };
        for most in steps {
            for slot in &self.queue {
                let member = &mut self.members[*slot];
                let liability = member.liability(now);
                let share = member.target.min(*most).min(liability.saturating_add(free));
                if share > member.share {
                    free -= share.saturating_sub(liability);
                    member.share = share;
                }
            }
        }
        self.short = false;
        let mut turns_began = false;
        for slot in &self.queue {
            let member = &mut self.members[*slot];
            self.short |= member.share < member.target;
            if member.share > member.before {
                self.changes.push(ShareChange { id: member.id, share: member.share });
                if self.mode == Mode::Turns && member.before == 0 {
                    member.turn_since = Some(now);
                    turns_began = true;
                }
            }
        }
        turns_began
    }
}

/// Small changes of many connections are gathered at least for so long, and for a `settle` time, before they cost a plan.
const SOON: Duration = Duration::from_millis(1);
