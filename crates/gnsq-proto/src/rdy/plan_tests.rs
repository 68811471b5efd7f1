//! A plan's rules, one by one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{ConnectionId, Demand, Facts, RdyPlan, RdySettings};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

struct Run {
    plan: RdyPlan,
    now: Instant,
    rng: fastrand::Rng,
    facts: BTreeMap<u64, Facts>,
    /// As the changes say.
    shares: BTreeMap<u64, u32>,
    max_in_flight: u32,
}

impl Run {
    fn new(connections: u64, max_in_flight: u32) -> Self {
        let mut run = Self {
            plan: RdyPlan::new(RdySettings::default(), max_in_flight),
            now: Instant::now(),
            rng: fastrand::Rng::with_seed(1),
            facts: BTreeMap::new(),
            shares: BTreeMap::new(),
            max_in_flight,
        };
        for id in 0..connections {
            run.join(id, 2500);
        }
        run.plan();
        run
    }

    fn join(&mut self, id: u64, max_rdy_count: u32) {
        self.plan.join(self.now, ConnectionId(id), max_rdy_count);
        self.facts.insert(id, Facts::default());
        self.shares.insert(id, 0);
    }

    fn leave(&mut self, id: u64) {
        assert!(self.plan.leave(ConnectionId(id)));
        self.facts.remove(&id);
        self.shares.remove(&id);
    }

    fn report(&mut self, id: u64, in_flight: u32, hungry: bool) -> bool {
        let facts = Facts { in_flight, hungry, ..self.facts[&id] };
        self.facts.insert(id, Facts { hungry: false, ..facts });
        self.plan.report(self.now, ConnectionId(id), facts)
    }

    fn receive(&mut self, id: u64, in_flight: u32) {
        let before = self.facts[&id];
        let (most_in_flight, most_at) = if in_flight < before.most_in_flight {
            (before.most_in_flight, before.most_at)
        } else {
            (in_flight, Some(self.now))
        };
        let last_message = Some(self.now);
        self.facts.insert(id, Facts { in_flight, most_in_flight, most_at, last_message, hungry: false });
    }

    /// Plans, and checks the sum after each change.
    fn plan(&mut self) -> Vec<u32> {
        for (id, facts) in &self.facts {
            self.plan.report(self.now, ConnectionId(*id), *facts);
        }
        let lowered_first: Vec<_> = self
            .plan
            .plan(self.now, &mut self.rng)
            .iter()
            .map(|change| {
                let before = self.shares.insert(change.id.0, change.share).unwrap();
                assert_ne!(before, change.share);
                change.share < before
            })
            .collect();
        assert!(lowered_first.is_sorted_by(|a, b| a >= b));
        assert!(self.shares.values().sum::<u32>() <= self.max_in_flight);
        for (id, share) in &self.shares {
            assert_eq!(self.plan.share(ConnectionId(*id)), Some(*share));
        }
        self.shares()
    }

    fn shares(&self) -> Vec<u32> {
        self.shares.values().copied().collect()
    }

    /// Plans whenever the plan wants to, for `time`.
    fn pass(&mut self, time: Duration) -> Vec<u32> {
        let end = self.now + time;
        while let Some(at) = self.plan.next_timeout().filter(|at| *at <= end) {
            assert!(at > self.now, "it would spin");
            self.now = at;
            self.plan();
        }
        self.now = end;
        self.shares()
    }

    fn holder(&self) -> Option<u64> {
        self.shares.iter().find(|(_, share)| **share > 0).map(|(id, _)| *id)
    }
}

#[test]
fn everything_is_divided_evenly_with_the_remainder() {
    assert_eq!(Run::new(6, 9).shares(), [2, 2, 2, 1, 1, 1]);
    assert_eq!(Run::new(1, 200).shares(), [200]);
    assert_eq!(Run::new(3, 10_000).shares(), [2500; 3]);
    assert_eq!(Run::new(3, 0).shares(), [0; 3]);
    assert_eq!(Run::new(0, 9).shares(), [0u32; 0]);
}

#[test]
fn nobody_gets_more_than_its_nsqd_allows() {
    let mut run = Run::new(0, 100);
    run.join(1, 10);
    run.join(2, 2500);
    run.join(3, 0);
    assert_eq!(run.plan(), [10, 89, 1]);
}

#[test]
fn a_quiet_consumer_wants_no_timeouts() {
    assert_eq!(Run::new(6, 9).plan.next_timeout(), None);
    let mut run = Run::new(6, 3);
    assert!(run.plan.next_timeout().is_some());
    run.plan.set_max_in_flight(0);
    run.plan();
    assert_eq!(run.plan.next_timeout(), None);
}

#[test]
fn what_one_loses_others_get_when_it_has_settled() {
    let mut run = Run::new(1, 10);
    run.join(1, 2500);
    assert_eq!(run.plan(), [5, 0]);
    assert_eq!(run.pass(9 * MS), [5, 0]);
    assert_eq!(run.pass(MS), [5, 5]);
    assert_eq!(run.plan.next_timeout(), None);
}

#[test]
fn what_is_in_flight_counts_until_it_is_answered() {
    let mut run = Run::new(1, 10);
    run.receive(0, 10);
    run.join(1, 2500);
    assert_eq!(run.plan(), [5, 0]);
    assert_eq!(run.pass(S), [5, 0]);
    // Little by little, as of the next slice.
    run.receive(0, 8);
    assert_eq!(run.pass(100 * MS), [5, 2]);
    // All of it, at once.
    assert!(!run.report(0, 6, false));
    assert!(run.report(0, 5, false));
    assert_eq!(run.plan(), [5, 5]);
}

#[test]
fn a_lost_connections_share_is_free_at_once() {
    let mut run = Run::new(3, 9);
    run.receive(1, 3);
    run.leave(1);
    assert_eq!(run.plan(), [5, 4]);
    run.leave(0);
    run.leave(2);
    assert_eq!(run.plan(), [0u32; 0]);
    run.join(7, 2500);
    assert_eq!(run.plan(), [9]);
}

#[test]
fn a_lower_max_in_flight_applies_at_once() {
    let mut run = Run::new(4, 100);
    run.plan.set_max_in_flight(10);
    run.max_in_flight = 10;
    assert_eq!(run.plan(), [3, 3, 2, 2]);
    run.plan.set_max_in_flight(2);
    run.max_in_flight = 2;
    assert_eq!(run.plan(), [1, 1, 0, 0]);
    run.plan.set_max_in_flight(0);
    run.max_in_flight = 0;
    assert_eq!(run.plan(), [0; 4]);
}

#[test]
fn with_more_in_flight_than_allowed_nobody_gets_a_share() {
    let mut run = Run::new(2, 2);
    run.receive(0, 1);
    run.receive(1, 1);
    run.plan.set_max_in_flight(0);
    run.max_in_flight = 0;
    run.plan();
    run.plan.set_max_in_flight(1);
    run.max_in_flight = 1;
    run.plan();
    assert_eq!(run.pass(S), [0, 0]);
    assert!(run.report(0, 0, false));
    // The other's message keeps the only place.
    assert_eq!(run.plan().iter().sum::<u32>(), 0);
    run.report(1, 0, false);
    assert_eq!(run.plan().iter().sum::<u32>(), 1);
}

#[test]
fn pause_takes_all_and_resume_gives_it_back() {
    let mut run = Run::new(4, 100);
    run.plan.set_paused(true);
    assert_eq!(run.plan(), [0; 4]);
    assert_eq!(run.plan.next_timeout(), None);
    run.plan.set_paused(false);
    assert_eq!(run.plan(), [25; 4]);
}

#[test]
fn a_hungry_connection_has_what_others_do_not_use() {
    let mut run = Run::new(4, 100);
    run.pass(20 * S);
    run.receive(3, 1);
    run.receive(2, 10);
    run.receive(2, 0);
    assert_eq!(run.plan(), [25; 4]);
    assert!(run.report(0, 25, true));
    run.plan();
    // A quarter more than it had, and room for one more beside what it works on.
    assert_eq!(run.pass(10 * MS), [85, 1, 12, 2]);

    // It is told hungry from time to time.
    for _ in 0..12 {
        run.receive(0, 85);
        assert!(!run.report(0, 85, true));
        run.pass(S);
    }
    // What was used so long ago doesn't count any more.
    assert_eq!(run.shares(), [96, 1, 1, 2]);
}

#[test]
fn a_connection_that_becomes_hungry_has_its_share_back_in_four_steps() {
    let mut run = Run::new(4, 200);
    run.report(0, 50, true);
    run.plan();
    assert_eq!(run.pass(10 * MS), [197, 1, 1, 1]);
    let mut shares = Vec::new();
    for _ in 0..4 {
        run.receive(0, run.shares[&0]);
        run.receive(2, run.shares[&2]);
        run.report(0, run.shares[&0], true);
        assert!(run.report(2, run.shares[&2], true));
        run.plan();
        run.receive(0, run.shares[&0]);
        shares.push(run.pass(10 * MS)[2]);
    }
    assert_eq!(shares, [4, 16, 64, 99]);
    // It can't have more.
    assert!(!run.report(2, 99, true));
}

#[test]
fn who_was_hungry_by_chance_takes_little_and_not_for_long() {
    let mut run = Run::new(3, 200);
    run.report(0, 50, true);
    run.plan();
    run.pass(10 * MS);
    run.receive(1, 1);
    run.report(1, 1, true);
    run.plan();
    run.receive(0, 190);
    run.receive(1, 0);
    assert_eq!(run.pass(10 * MS), [195, 4, 1]);
    for _ in 0..2 {
        run.report(0, 190, true);
        run.plan();
        run.pass(S);
    }
    assert_eq!(run.shares(), [198, 1, 1]);
}

#[test]
fn what_nobody_wants_is_divided_nevertheless() {
    let mut run = Run::new(4, 100);
    run.report(0, 25, true);
    run.plan();
    run.receive(0, 50);
    run.receive(0, 0);
    assert_eq!(run.pass(10 * MS), [97, 1, 1, 1]);
    // It isn't hungry any more. It keeps what it used.
    let shares = run.pass(3 * S);
    assert_eq!((shares[0] >= 62, shares.iter().sum::<u32>()), (true, 100), "{shares:?}");
    assert_eq!(run.pass(20 * S), [25; 4]);
    assert_eq!(run.plan.next_timeout(), None);
}

#[test]
fn the_remainder_moves_on_while_someone_wants_more() {
    let mut run = Run::new(4, 6);
    assert_eq!(run.shares(), [2, 2, 1, 1]);
    assert_eq!(run.pass(60 * S), [2, 2, 1, 1]);
    let mut twos = [0; 4];
    for _ in 0..8 {
        for _ in 0..10 {
            for id in 0..4 {
                run.receive(id, 1);
                run.report(id, 1, true);
            }
            run.plan();
            run.pass(S);
        }
        let shares = run.pass(10 * MS);
        assert_eq!(shares.iter().sum::<u32>(), 6);
        for (twos, share) in twos.iter_mut().zip(shares) {
            *twos += u32::from(share == 2);
        }
    }
    assert_eq!(twos, [4; 4]);
}

#[test]
fn too_many_connections_take_turns() {
    let mut run = Run::new(5, 2);
    let mut turns = [0; 5];
    for _ in 0..20 {
        let shares = run.pass(110 * MS);
        for (turns, share) in turns.iter_mut().zip(shares) {
            *turns += share;
        }
    }
    assert_eq!(turns, [8; 5]);
}

#[test]
fn a_turn_with_messages_lasts_longer_but_ends() {
    let mut run = Run::new(3, 1);
    assert_eq!(run.shares(), [1, 0, 0]);
    for _ in 0..99 {
        run.receive(0, 0);
        assert_eq!(run.pass(10 * MS), [1, 0, 0]);
    }
    run.receive(0, 0);
    assert_eq!(run.pass(10 * MS), [0; 3]);
    assert_eq!(run.pass(10 * MS), [0, 1, 0]);
    run.receive(1, 0);
    assert_eq!(run.pass(99 * MS), [0, 1, 0]);
    run.pass(MS);
    assert_eq!(run.pass(10 * MS), [0, 0, 1]);
    run.pass(100 * MS);
    assert_eq!(run.pass(10 * MS), [1, 0, 0]);
}

#[test]
fn a_busy_handler_keeps_the_turn_until_it_is_done() {
    let mut run = Run::new(2, 1);
    run.receive(0, 1);
    assert_eq!(run.pass(999 * MS), [1, 0]);
    // Over, but it still uses up what there is.
    assert_eq!(run.pass(S), [0, 0]);
    assert!(run.report(0, 0, false));
    assert_eq!(run.plan(), [0, 1]);
}

#[test]
fn backoff_blocks_all_and_probes_one() {
    let mut run = Run::new(5, 100);
    run.plan.set_demand(Demand::Blocked);
    assert_eq!(run.plan(), [0; 5]);
    assert_eq!(run.plan.next_timeout(), None);
    assert_eq!(run.pass(S), [0; 5]);

    run.plan.set_demand(Demand::Probe);
    assert_eq!(run.plan().iter().sum::<u32>(), 1);

    run.plan.set_demand(Demand::Running);
    run.plan();
    assert_eq!(run.pass(10 * MS), [20; 5]);
}

#[test]
fn a_probe_without_messages_goes_on_to_all_others() {
    let mut run = Run::new(5, 100);
    run.plan.set_demand(Demand::Probe);
    run.plan();
    let mut probed: Vec<_> = (0..5)
        .map(|_| {
            run.pass(10 * MS);
            let holder = run.holder().unwrap();
            run.pass(100 * MS);
            holder
        })
        .collect();
    probed.sort_unstable();
    assert_eq!(probed, [0, 1, 2, 3, 4]);
}

#[test]
fn a_probe_with_a_message_waits_for_its_outcome() {
    let mut run = Run::new(5, 100);
    run.plan.set_demand(Demand::Probe);
    run.plan();
    run.pass(20 * MS);
    let probed = run.holder().unwrap();
    run.receive(probed, 1);
    run.pass(60 * S);
    assert_eq!(run.holder(), Some(probed));
    run.leave(probed);
    assert_eq!(run.plan().iter().sum::<u32>(), 1);
}

#[test]
fn probes_are_random() {
    let mut run = Run::new(5, 100);
    let mut probed = [0; 5];
    for _ in 0..200 {
        run.plan.set_demand(Demand::Blocked);
        run.plan();
        run.pass(S);
        run.plan.set_demand(Demand::Probe);
        run.plan();
        probed[usize::try_from(run.holder().unwrap()).unwrap()] += 1;
    }
    assert!(probed.iter().all(|times| (20..60).contains(times)), "{probed:?}");
}

#[test]
fn a_lone_connection_keeps_its_probe() {
    let mut run = Run::new(1, 100);
    run.plan.set_demand(Demand::Probe);
    assert_eq!(run.plan(), [1]);
    assert_eq!(run.plan.next_timeout(), None);
}

#[test]
fn a_connection_that_joins_again_begins_anew() {
    let mut run = Run::new(2, 10);
    run.join(0, 2500);
    assert_eq!(run.plan(), [5, 5]);
    assert_eq!((run.plan.len(), run.plan.is_empty(), run.plan.total()), (2, false, 10));
    assert!(!run.plan.leave(ConnectionId(9)));
}

#[test]
fn times_of_zero_do_not_spin() {
    let settings = RdySettings {
        low_ready_idle_timeout: Duration::ZERO,
        slice: Duration::ZERO,
        longest_turn: Duration::ZERO,
        settle: Duration::ZERO,
    };
    for max_in_flight in [2, 7] {
        let mut run = Run::new(0, max_in_flight);
        run.plan = RdyPlan::new(settings, max_in_flight);
        for id in 0..5 {
            run.join(id, 10);
            run.report(id, 1, true);
        }
        run.plan();
        run.pass(S);
    }
}
