//! A window's rules, one by one.

use std::time::{Duration, Instant};

use super::ReadyWindow;

const MS: Duration = Duration::from_millis(1);
const NS: Duration = Duration::from_nanos(1);

/// A round trip of 1 ms, so that a patience is 2 ms.
struct Run {
    window: ReadyWindow,
    now: Instant,
    in_flight: u32,
    commands: Vec<u32>,
}

impl Run {
    fn new(share: u32) -> Self {
        Self::with(ReadyWindow::new(true), share)
    }

    fn with(window: ReadyWindow, share: u32) -> Self {
        let mut run = Self { window, now: Instant::now(), in_flight: 0, commands: Vec::new() };
        run.window.set_share(run.now, share);
        run.poll();
        run
    }

    fn poll(&mut self) {
        self.commands.extend(self.window.poll_rdy());
        assert_eq!(self.window.poll_rdy(), None);
    }

    /// Lets time pass, and whatever comes with it.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.window.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.window.on_timeout(self.now);
            self.poll();
        }
        self.now = end;
    }

    fn receive(&mut self, count: u32) {
        self.in_flight += count;
        self.window.on_messages(self.now, count, self.in_flight);
        self.poll();
    }

    fn answer(&mut self, count: u32) {
        self.in_flight -= count;
        self.window.on_answered(self.now, self.in_flight);
        self.poll();
    }

    fn share(&mut self, share: u32) {
        self.window.set_share(self.now, share);
        self.poll();
    }

    /// Fills the window until it has its share.
    fn flood(&mut self) {
        for _ in 0..10 {
            if self.window.rdy() == self.window.share() {
                break;
            }
            self.receive(self.window.rdy() - self.in_flight);
            self.pass(MS / 2);
        }
        assert_eq!(self.window.rdy(), self.window.share());
        self.receive(self.window.rdy() - self.in_flight);
    }

    fn commands(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.commands)
    }
}

#[test]
fn a_quiet_connection_has_room_for_one() {
    let mut run = Run::new(100);
    run.pass(1000 * MS);
    assert_eq!((run.commands(), run.window.rdy()), (vec![1], 1));
    assert_eq!(run.window.next_timeout(), None);
}

#[test]
fn lone_messages_cost_no_commands() {
    let mut run = Run::new(100);
    for _ in 0..10 {
        run.pass(100 * MS);
        run.receive(1);
        run.pass(MS / 2);
        run.answer(1);
    }
    assert_eq!(run.commands(), [1]);
}

#[test]
fn a_backlog_opens_the_window_in_four_steps() {
    let mut run = Run::new(2500);
    run.flood();
    assert_eq!(run.commands(), [1, 8, 64, 512, 2500]);
}

#[test]
fn fast_handlers_open_it_too() {
    // Each message is answered before the next one comes: in flight here never reaches RDY.
    let mut run = Run::new(2500);
    for _ in 0..2000 {
        run.receive(1);
        run.answer(1);
        run.pass(MS / 100);
    }
    // No more than what comes within a patience.
    assert_eq!(run.commands(), [1, 8, 64, 512]);
}

#[test]
fn a_steady_flood_costs_no_commands_and_few_timeouts() {
    let mut run = Run::new(100);
    run.flood();
    run.commands();
    let mut timeouts = 0;
    for _ in 0..1000 {
        run.answer(10);
        run.now += MS / 10;
        run.receive(10);
        if run.window.next_timeout().is_some_and(|at| at <= run.now) {
            timeouts += 1;
            run.window.on_timeout(run.now);
        }
    }
    assert_eq!(run.commands(), [0u32; 0]);
    assert!(timeouts <= 51, "{timeouts} in 100 ms");
}

#[test]
fn silence_shrinks_the_window() {
    let mut run = Run::new(100);
    run.flood();
    run.answer(97);
    run.commands();
    run.pass(Duration::from_nanos(1_999_999));
    assert_eq!(run.commands(), [0u32; 0]);
    run.pass(NS);
    assert_eq!(run.commands(), [4]);
    run.answer(3);
    run.pass(10 * MS);
    assert_eq!((run.commands(), run.window.next_timeout()), (vec![1], None));
}

#[test]
fn messages_put_the_silence_off() {
    let mut run = Run::new(100);
    run.flood();
    run.answer(100);
    run.commands();
    for _ in 0..20 {
        run.pass(MS);
        run.receive(1);
        run.answer(1);
    }
    assert_eq!(run.commands(), [0u32; 0]);
    run.pass(2 * MS);
    assert_eq!(run.commands(), [1]);
}

#[test]
fn the_silence_is_longer_on_a_slow_link() {
    let mut window = ReadyWindow::new(true);
    window.set_round_trip(20 * MS);
    let mut run = Run::with(window, 100);
    run.flood();
    run.answer(100);
    run.commands();
    run.pass(20 * MS);
    assert_eq!(run.commands(), [0u32; 0]);
    run.pass(MS);
    assert_eq!(run.commands(), [1]);
}

#[test]
fn a_slow_handler_does_not_keep_the_next_message_away() {
    let mut run = Run::new(100);
    for busy in 1..5 {
        run.pass(50 * MS);
        run.receive(1);
        run.pass(Duration::from_nanos(999_999));
        assert_eq!(run.window.rdy(), busy);
        run.pass(NS);
        assert_eq!(run.window.rdy(), busy + 1);
    }
    assert_eq!(run.window.next_timeout(), None);
}

#[test]
fn the_share_is_never_exceeded() {
    let mut run = Run::new(5);
    run.flood();
    assert_eq!(run.commands(), [1, 5]);
    run.pass(100 * MS);
    assert_eq!(run.window.rdy(), 5);
}

#[test]
fn a_lower_share_applies_at_once() {
    let mut run = Run::new(100);
    run.flood();
    run.commands();
    run.share(10);
    run.share(0);
    assert_eq!(run.commands(), [10, 0]);
    run.pass(MS);
    run.receive(3);
    run.answer(103);
    run.pass(100 * MS);
    assert_eq!(run.commands(), [0u32; 0]);
    run.share(10);
    assert_eq!(run.commands(), [1]);
}

#[test]
fn a_higher_share_is_used_on_demand() {
    let mut run = Run::new(10);
    run.share(100);
    assert_eq!(run.commands(), [1]);

    let mut run = Run::new(10);
    run.flood();
    run.share(100);
    assert_eq!(run.commands(), [1, 8, 10, 80]);
}

#[test]
fn hunger_is_told_once_a_second_and_for_each_share() {
    let mut run = Run::new(10);
    assert_eq!(run.window.poll_report(), None);
    run.flood();
    let facts = run.window.poll_report().unwrap();
    assert_eq!((facts.in_flight, facts.last_message, facts.hungry), (10, Some(run.now), true));
    let mut told = 0;
    for _ in 0..2500 {
        run.answer(1);
        run.pass(MS);
        run.receive(1);
        told += u32::from(run.window.poll_report().is_some_and(|facts| facts.hungry));
    }
    assert_eq!(told, 2);
    run.share(5);
    run.answer(6);
    run.receive(1);
    assert!(run.window.poll_report().unwrap().hungry);
}

#[test]
fn lone_messages_are_no_hunger() {
    let mut run = Run::new(1);
    for _ in 0..10 {
        run.pass(100 * MS);
        run.receive(1);
        run.answer(1);
    }
    assert_eq!(run.window.poll_report(), None);

    // A handler that keeps the only room is worth a report, but isn't hunger either.
    run.pass(100 * MS);
    run.receive(1);
    run.pass(MS);
    assert!(!run.window.poll_report().unwrap().hungry);
}

#[test]
fn the_plan_hears_when_what_exceeds_the_share_is_answered() {
    let mut run = Run::new(10);
    run.flood();
    run.window.poll_report();
    run.share(3);
    run.answer(6);
    assert_eq!(run.window.poll_report(), None);
    run.answer(1);
    assert_eq!(run.window.poll_report().map(|facts| facts.in_flight), Some(3));
    run.answer(3);
    assert_eq!(run.window.poll_report(), None);
}

#[test]
fn turned_off_it_always_sends_the_share() {
    let mut run = Run::with(ReadyWindow::new(false), 100);
    run.receive(1);
    run.answer(1);
    run.pass(100 * MS);
    run.receive(100);
    run.share(40);
    run.pass(100 * MS);
    run.answer(100);
    run.share(60);
    run.pass(100 * MS);
    assert_eq!(run.commands(), [100, 40, 60]);
}

#[test]
fn early_timeouts_are_harmless() {
    let mut run = Run::new(100);
    run.window.on_timeout(run.now);
    run.flood();
    run.answer(100);
    run.commands();
    for _ in 0..19 {
        run.now += MS / 10;
        run.window.on_timeout(run.now);
        run.poll();
    }
    assert_eq!(run.commands(), [0u32; 0]);
}
