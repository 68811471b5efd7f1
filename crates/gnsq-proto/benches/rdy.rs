//! Who may be sent how many messages: the plan for a consumer, and one connection's window.

use std::time::{Duration, Instant};

use divan::{Bencher, black_box};
use gnsq_proto::{ConnectionId, Facts, RdyPlan, RdySettings, ReadyWindow};

fn main() {
    divan::main();
}

const CONNECTIONS: [u64; 4] = [1, 10, 100, 500];
const MAX_IN_FLIGHT: u32 = 2500;

/// Each plan has another hungry connection, and all others have a message.
#[divan::bench(args = CONNECTIONS)]
fn plan_by_demand(bencher: Bencher<'_, '_>, connections: u64) {
    let mut turn = 0;
    plan(bencher, connections, MAX_IN_FLIGHT, |_, id| {
        turn += 1;
        turn / connections % connections == id
    });
}

/// A tenth of the connections can have a message at once.
#[divan::bench(args = CONNECTIONS)]
fn plan_turns(bencher: Bencher<'_, '_>, connections: u64) {
    let places = u32::try_from(connections / 10).unwrap_or(1).max(1);
    plan(bencher, connections, places, |plan, id| plan.share(ConnectionId(id)).is_some_and(|share| share > 0));
}

fn plan(
    bencher: Bencher<'_, '_>,
    connections: u64,
    max_in_flight: u32,
    mut is_hungry: impl FnMut(&RdyPlan, u64) -> bool,
) {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut now = Instant::now();
    let mut plan = RdyPlan::new(RdySettings::default(), max_in_flight);
    (0..connections).for_each(|id| plan.join(now, ConnectionId(id), MAX_IN_FLIGHT));
    bencher.bench_local(|| {
        now += Duration::from_millis(100);
        for id in 0..connections {
            let hungry = is_hungry(&plan, id);
            let in_flight = if hungry { plan.share(ConnectionId(id)).unwrap_or(0) } else { 1 };
            let (most_at, last_message) = (Some(now), Some(now));
            let facts = Facts { in_flight, most_in_flight: in_flight, most_at, last_message, hungry };
            plan.report(now, ConnectionId(id), facts);
        }
        black_box(plan.plan(now, &mut rng).len())
    });
}

/// A read of so many messages and their answers, in a flood.
#[divan::bench(args = [1, 100])]
fn window(bencher: Bencher<'_, '_>, messages: u32) {
    let mut now = Instant::now();
    let mut window = ReadyWindow::new(true);
    window.set_share(now, MAX_IN_FLIGHT);
    bencher.bench_local(|| {
        now += Duration::from_micros(100);
        window.on_messages(now, messages, messages);
        black_box(window.poll_rdy());
        window.on_answered(now, 0);
        if window.next_timeout().is_some_and(|timeout| timeout <= now) {
            window.on_timeout(now);
        }
        black_box((window.poll_rdy(), window.poll_report()));
    });
}
