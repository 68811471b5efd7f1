//! When a client is sent a heartbeat, and when it counts as gone.

use std::time::Duration;

use crate::clock::Tick;

/// The times of one connection.
///
/// A client that gives no command for two heartbeat intervals is gone, and so is one that takes no byte of what it is
/// sent for one. With heartbeats off it may be silent for ever.
#[derive(Debug)]
pub(super) struct Liveness {
    /// The deadlines follow it.
    interval: Option<Duration>,
    /// The heartbeats follow it: the first IDENTIFY sets it for good.
    beats: Option<Duration>,
    next_beat: Option<Tick>,
    last_command: Tick,
    /// Since when the client takes nothing.
    stalled: Option<Tick>,
}

/// What a moment brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Heartbeat,
    /// The client is gone.
    Gone(&'static str),
}

impl Liveness {
    /// Of a client that has yet to say hello: it has `timeout` for that.
    pub(super) fn hello(now: Tick, timeout: Duration) -> Self {
        let interval = Some(timeout / READ_INTERVALS);
        Self { interval, beats: None, next_beat: None, last_command: now, stalled: None }
    }

    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// Sets the deadlines only.
    pub(super) fn set_interval(&mut self, interval: Option<Duration>) {
        self.interval = interval;
    }

    /// Heartbeats begin anew.
    pub(super) fn set_beats(&mut self, now: Tick, beats: Option<Duration>) {
        self.interval = beats;
        self.beats = beats;
        self.next_beat = beats.map(|beats| now.after(beats));
    }

    /// The client has given a command, or isn't waited for.
    pub(super) fn command(&mut self, now: Tick) {
        self.last_command = now;
    }

    /// Whether all that was to be sent is sent, or the client has at least taken some of it.
    pub(super) fn written(&mut self, now: Tick, all: bool, some: bool) {
        if all {
            if self.stalled.take().is_some() {
                // Meanwhile its commands may have had to wait.
                self.last_command = now;
            }
        } else if some || self.stalled.is_none() {
            self.stalled = Some(now);
        }
    }

    /// When to look again; never if that is nothing.
    pub(super) fn next(&self) -> Option<Tick> {
        [self.next_beat, self.deadline()].into_iter().flatten().min()
    }

    pub(super) fn due(&mut self, now: Tick) -> Due {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            return Due::Gone(if self.stalled.is_some() { "it takes nothing" } else { "it gives no command" });
        }
        if self.next_beat.is_some_and(|next| next <= now) {
            self.next_beat = self.beats.map(|beats| now.after(beats));
            return Due::Heartbeat;
        }
        Due::Nothing
    }

    fn deadline(&self) -> Option<Tick> {
        let interval = self.interval?;
        Some(match self.stalled {
            Some(since) => since.after(interval),
            None => self.last_command.after(interval * READ_INTERVALS),
        })
    }
}

const READ_INTERVALS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Tick {
        Tick::default().after(SECOND * seconds)
    }

    fn beating() -> Liveness {
        let mut liveness = Liveness::hello(at(0), SECOND);
        liveness.set_beats(at(0), Some(SECOND * 10));
        liveness
    }

    #[test]
    fn hello_has_a_deadline_and_no_heartbeats() {
        let mut liveness = Liveness::hello(at(5), SECOND * 60);
        assert_eq!(liveness.next(), Some(at(65)));
        assert_eq!(liveness.due(at(64)), Due::Nothing);
        assert!(matches!(liveness.due(at(65)), Due::Gone(_)));
    }

    #[test]
    fn beats_until_two_intervals_pass_without_a_command() {
        let mut liveness = beating();
        assert_eq!(liveness.next(), Some(at(10)));
        assert_eq!(liveness.due(at(9)), Due::Nothing);
        assert_eq!(liveness.due(at(10)), Due::Heartbeat);
        assert_eq!(liveness.due(at(10)), Due::Nothing);
        liveness.command(at(11));
        assert_eq!(liveness.due(at(21)), Due::Heartbeat);
        assert_eq!(liveness.next(), Some(at(31)));
        assert!(matches!(liveness.due(at(31)), Due::Gone(_)));
    }

    #[test]
    fn one_that_takes_nothing_has_one_interval() {
        let mut liveness = beating();
        liveness.written(at(3), false, false);
        liveness.written(at(5), false, true);
        liveness.written(at(9), false, false);
        assert_eq!(liveness.due(at(14)), Due::Heartbeat);
        assert!(matches!(liveness.due(at(15)), Due::Gone(_)));
        liveness.written(at(15), true, true);
        assert_eq!(liveness.due(at(24)), Due::Heartbeat);
        assert_eq!(liveness.next(), Some(at(34)));
    }

    #[test]
    fn without_heartbeats_there_is_no_deadline() {
        let mut liveness = beating();
        liveness.set_beats(at(1), None);
        liveness.written(at(1), false, false);
        assert_eq!((liveness.next(), liveness.interval()), (None, None));
    }

    #[test]
    fn a_later_interval_moves_the_deadlines_only() {
        let mut liveness = beating();
        liveness.set_interval(Some(SECOND));
        assert_eq!(liveness.next(), Some(at(2)));
        liveness.set_interval(None);
        assert_eq!(liveness.next(), Some(at(10)));
    }
}
