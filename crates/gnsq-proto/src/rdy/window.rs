//! The RDY of one connection: small while it is quiet, up to its share under load.

use std::time::{Duration, Instant};

use super::Facts;

/// Decides the RDY that one connection sends: at most its share, and as little as serves it.
///
/// nsqd keeps a message in its output buffer for up to 250 ms while the connection could take more. It flushes at
/// once when what it counts as in flight, buffered messages included, reaches RDY: by a message, or by a lower RDY.
/// So a quiet connection has room for one message only, and a lone message comes at once. Under load the window
/// grows, and when messages stop coming it shrinks again, which flushes what nsqd still holds.
///
/// | what happens | RDY |
/// |---|---|
/// | quiet | in flight + 1, and no commands |
/// | nsqd fills the room within a patience of there being some | 8 times as much, up to the share |
/// | a handler keeps the only room for 1 ms | in flight + 1 |
/// | room for two or more, and no message for a patience | in flight + 1 |
/// | the share falls below it | the share |
///
/// A *patience* is 1 ms and a round trip. So nsqd holds a message for a patience at most, but for the way of the command
/// that makes it flush, and 1 ms longer where a handler kept the only room before.
///
/// # Contract
///
/// - Report each read batch once ([`on_messages`](Self::on_messages)) and each batch of answers once
///   ([`on_answered`](Self::on_answered)), with what is in flight after it: received and not answered. Call [`on_timeout`](Self::on_timeout) at
///   [`next_timeout`](Self::next_timeout), early and late are harmless; [`set_share`](Self::set_share) when the plan
///   says so.
/// - After any of these drain [`poll_rdy`](Self::poll_rdy), and write the RDY behind the answers that were reported:
///   nsqd must count them first. Then drain [`poll_report`](Self::poll_report) into the plan.
/// - All of it takes constant time. In a steady flood it asks for no commands, and for one timeout a round trip.
///
/// ```
/// use std::time::{Duration, Instant};
/// use gnsq_proto::ReadyWindow;
///
/// let mut now = Instant::now();
/// let mut window = ReadyWindow::new(true);
/// window.set_share(now, 200);
/// assert_eq!(window.poll_rdy(), Some(1));
///
/// // A message, answered at once, and the next one right behind it: there is a backlog.
/// window.on_messages(now, 1, 1);
/// window.on_answered(now, 0);
/// now += Duration::from_micros(300);
/// window.on_messages(now, 1, 1);
/// assert_eq!(window.poll_rdy(), Some(8));
///
/// // It was the last one.
/// window.on_answered(now, 0);
/// while let Some(timeout) = window.next_timeout() {
///     window.on_timeout(timeout);
/// }
/// assert_eq!(window.poll_rdy(), Some(1));
/// ```
#[derive(Debug, Clone)]
pub struct ReadyWindow {
    enabled: bool,
    share: u32,
    /// The RDY to send.
    rdy: u32,
    /// The RDY sent last, as the caller polled it.
    sent: u32,
    round_trip: Duration,
    /// Messages, as reported last. Once it reaches `rdy` the window is full: no more can come.
    in_flight: u32,
    /// Since when there is room, or, while full, since when there was before: a message so soon after it that nsqd
    /// must have had it waiting shows a backlog.
    room_since: Option<Instant>,
    last_message: Option<Instant>,
    most_in_flight: u32,
    most_at: Option<Instant>,
    /// When the messages in `received` began to come: less than a patience ago, or they no longer count.
    received_since: Option<Instant>,
    received: u32,
    in_flight_before: u32,
    timeout: Option<Instant>,
    /// The share kept the window from growing.
    saturated: bool,
    /// No second report of hunger before this, unless the share changes.
    hungry_again: Option<Instant>,
    /// More is in flight than the share allows.
    draining: bool,
    news: News,
}

/// What the plan has to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    None,
    /// What is in flight fits the share again, or a handler keeps the share's only room.
    InFlight,
    Hungry,
}

impl ReadyWindow {
    /// A window with a share of 0. Where not `enabled`, RDY always equals the share.
    pub fn new(enabled: bool) -> Self {
        Self {
            enabled,
            share: 0,
            rdy: 0,
            sent: 0,
            round_trip: DEFAULT_ROUND_TRIP,
            in_flight: 0,
            room_since: None,
            last_message: None,
            most_in_flight: 0,
            most_at: None,
            received_since: None,
            received: 0,
            in_flight_before: 0,
            timeout: None,
            saturated: false,
            hungry_again: None,
            draining: false,
            news: News::None,
        }
    }

    /// Tells how long a command and nsqd's answer to it take: `IDENTIFY`'s is a good measure. Default: 1 ms; more
    /// than 250 ms counts as that.
    ///
    /// Too short a value makes the window shrink and grow needlessly on a slow link, too long a value makes lone
    /// messages that follow a burst wait.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip.min(LONGEST_ROUND_TRIP);
    }

    /// Takes the share from the plan. RDY follows at once when it falls, and on demand when it rises.
    pub fn set_share(&mut self, now: Instant, share: u32) {
        let before = std::mem::replace(&mut self.share, share);
        self.hungry_again = None;
        self.draining |= self.in_flight > share;
        if share <= before {
            self.rdy = self.rdy.min(share);
            self.saturated &= share > 0;
        } else if self.saturated {
            self.saturated = false;
            self.grow(now);
        } else if before == 0 || !self.enabled {
            self.raise(now, self.in_flight.saturating_add(1));
        }
        self.arm(now);
    }

    /// Reports `count` messages read in one batch.
    pub fn on_messages(&mut self, now: Instant, count: u32, in_flight: u32) {
        self.last_message = Some(now);
        self.in_flight = in_flight;
        if in_flight >= self.most_in_flight || self.most_at.is_none_or(|at| now.saturating_duration_since(at) > LATELY)
        {
            self.most_in_flight = in_flight;
            self.most_at = Some(now);
        }
        self.draining |= in_flight > self.share;
        if self.received_since.is_none_or(|since| now.saturating_duration_since(since) > self.patience()) {
            self.received_since = Some(now);
            self.received = 0;
            self.in_flight_before = in_flight.saturating_sub(count);
        }
        self.received = self.received.saturating_add(count);
        // nsqd counts a message as in flight until it has read the answer. So it may stand at RDY at all times while
        // less is in flight here: what was answered within a round trip counts, too.
        let streaming = self.received > 1 && self.in_flight_before.saturating_add(self.received) >= self.rdy;
        let full = self.is_full();
        if self.share > 0 && (streaming || full) {
            let soon = self.room_since.is_some_and(|since| now.saturating_duration_since(since) <= self.patience());
            if !streaming && !soon {
                self.saturated = false;
            } else if self.rdy < self.share {
                self.grow(now);
            } else {
                self.saturate(now);
            }
        }
        self.arm(now);
    }

    /// Reports messages answered: finished, requeued, or timed out.
    pub fn on_answered(&mut self, now: Instant, in_flight: u32) {
        let was_full = self.is_full();
        self.in_flight = in_flight;
        if was_full && !self.is_full() {
            self.room_since = Some(now);
        }
        if self.draining && in_flight <= self.share {
            self.draining = false;
            self.news = self.news.max(News::InFlight);
        }
        self.arm(now);
    }

    /// Does what the time has come for. Early, late and repeated calls are harmless.
    pub fn on_timeout(&mut self, now: Instant) {
        if self.timeout.is_none_or(|timeout| now < timeout) {
            return;
        }
        self.timeout = None;
        if self.is_full() {
            if self.saturated {
                // More room is the plan's to give.
                return;
            }
            let held_until = self.last_message.map_or(now, |came| came + HELD);
            if now < held_until {
                self.timeout = Some(held_until);
            } else if self.rdy < self.share {
                self.raise(now, self.in_flight.saturating_add(1));
            } else if self.share > 0 {
                self.saturated = true;
                self.news = self.news.max(News::InFlight);
            }
        } else if self.has_room_to_spare() {
            let busy = self.last_message.max(self.room_since);
            let quiet_at = busy.map_or(now, |busy| busy + self.patience());
            if now < quiet_at {
                self.timeout = Some(quiet_at);
            } else {
                self.rdy = self.in_flight + 1;
                self.saturated = false;
            }
        }
    }

    /// When to call [`on_timeout`](Self::on_timeout). `None` while nothing would change with time.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// The RDY to send now, if it isn't the one sent last.
    pub fn poll_rdy(&mut self) -> Option<u32> {
        if self.sent == self.rdy {
            return None;
        }
        self.sent = self.rdy;
        Some(self.rdy)
    }

    /// The RDY that applies: the one sent last, once [`poll_rdy`](Self::poll_rdy) is drained.
    pub fn rdy(&self) -> u32 {
        self.rdy
    }

    /// The share, as the plan gave it.
    pub fn share(&self) -> u32 {
        self.share
    }

    /// What the plan should hear now, if anything: the share keeps the window from growing (at most once a second for
    /// a share), or what others may have instead has been answered.
    pub fn poll_report(&mut self) -> Option<Facts> {
        match std::mem::replace(&mut self.news, News::None) {
            News::None => None,
            news => Some(Facts { hungry: news == News::Hungry, ..self.facts() }),
        }
    }

    /// What the plan should hear before it is asked to plan.
    pub fn facts(&self) -> Facts {
        Facts {
            in_flight: self.in_flight,
            most_in_flight: self.most_in_flight,
            most_at: self.most_at,
            last_message: self.last_message,
            hungry: false,
        }
    }

    /// Nothing more can come.
    fn is_full(&self) -> bool {
        self.in_flight >= self.rdy
    }

    /// nsqd may buffer what comes.
    fn has_room_to_spare(&self) -> bool {
        self.enabled && self.in_flight.saturating_add(1) < self.rdy
    }

    fn grow(&mut self, now: Instant) {
        self.raise(now, self.rdy.max(self.in_flight).saturating_mul(GROWTH));
    }

    fn raise(&mut self, now: Instant, rdy: u32) {
        self.rdy = if self.enabled { rdy.min(self.share) } else { self.share };
        self.room_since = Some(now);
        self.received_since = None;
    }

    fn saturate(&mut self, now: Instant) {
        self.saturated = true;
        if self.hungry_again.is_none_or(|again| again <= now) {
            self.news = News::Hungry;
            self.hungry_again = Some(now + HUNGRY_AGAIN);
        }
    }

    /// Sets a timeout where the state needs one and has none. One that is set stays: it looks again when it comes.
    fn arm(&mut self, now: Instant) {
        if self.is_full() {
            let held_until = now + HELD;
            if !self.saturated && self.share > 0 && self.timeout.is_none_or(|timeout| held_until < timeout) {
                self.timeout = Some(held_until);
            }
        } else if self.timeout.is_none() && self.has_room_to_spare() {
            self.timeout = Some(now + self.patience());
        }
    }

    /// A message that comes this soon after there was room had been waiting for it; none for so long is silence.
    fn patience(&self) -> Duration {
        QUIET + self.round_trip
    }
}

/// From one message at a time to nsqd's default maximum of 2500 in four round trips.
const GROWTH: u32 = 8;

/// A message held back this long is not yet late for anyone; shorter ones would cost timers that can't keep up.
const QUIET: Duration = Duration::from_millis(1);

/// Handlers faster than this cost no commands.
const HELD: Duration = Duration::from_millis(1);

/// Generous inside a data centre, so that a connection whose round trip nobody measured still grows.
const DEFAULT_ROUND_TRIP: Duration = Duration::from_millis(1);

/// nsqd flushes by itself after 250 ms: a window that waits longer is of no use.
const LONGEST_ROUND_TRIP: Duration = Duration::from_millis(250);

/// Tells the plan that the hunger lasts, without a report for each batch.
const HUNGRY_AGAIN: Duration = Duration::from_secs(1);

/// For how long the most that was in flight counts, while less comes.
const LATELY: Duration = Duration::from_secs(1);
