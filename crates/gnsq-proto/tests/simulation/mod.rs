//! A cluster in simulated time: models of nsqd, links with latency, and a consumer made of the policies under test.
//!
//! Everything that happens is an event with a time, and the same seed gives the same run. After each event the
//! promises that hold at every moment are checked (`promises.rs`).

mod consumer;
mod nsqd;
mod promises;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use gnsq_proto::{Backoff, ExponentialBackoff, RdyPlan, RdySettings};

pub(crate) use consumer::{Connection, Handlers};
pub(crate) use nsqd::{Message, Node};
pub(crate) use promises::Promises;

pub(crate) struct World {
    /// Since the start.
    pub(crate) now: Duration,
    start: Instant,
    pub(crate) rng: fastrand::Rng,
    events: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    pub(crate) nodes: Vec<Node>,

    // The consumer.
    pub(crate) plan: RdyPlan,
    pub(crate) settings: RdySettings,
    pub(crate) backoff: Backoff,
    pub(crate) max_in_flight: u32,
    pub(crate) paused: bool,
    /// Whether windows are used, or RDY is always the share.
    pub(crate) windows: bool,
    pub(crate) connections: Vec<Option<Connection>>,
    pub(crate) handlers: Handlers,
    waiting: VecDeque<Job>,
    running: usize,
    plan_timer: Option<Duration>,
    backoff_timer: Option<Duration>,

    pub(crate) counts: Counts,
    pub(crate) promises: Promises,
}

/// What happened so far.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    /// Those to come included.
    pub(crate) published: u64,
    /// To the consumer, repetitions included.
    pub(crate) delivered: u64,
    pub(crate) finished: u64,
    pub(crate) failed: u64,
    pub(crate) rdy_commands: u64,
    pub(crate) plans: u64,
    pub(crate) window_timeouts: u64,
    /// From being published to being delivered, the worst.
    pub(crate) latency: Duration,
    /// The sum of all latencies.
    pub(crate) latencies: Duration,
}

/// A message in a handler's hands, or waiting for one.
#[derive(Debug, Clone, Copy)]
struct Job {
    node: usize,
    connection: u64,
    message: Message,
}

#[derive(Debug)]
enum Command {
    Rdy(u32),
    Finish,
    Requeue(Message),
}

#[derive(Debug)]
enum Event {
    Publish { node: usize, count: usize },
    ToNsqd { node: usize, connection: u64, commands: Vec<Command> },
    Flush { node: usize, connection: u64 },
    ToConsumer { node: usize, connection: u64, messages: Vec<Message> },
    Handled(Job),
    WindowTimeout { node: usize, connection: u64 },
    PlanTimeout,
    BackoffTimeout,
}

impl World {
    pub(crate) fn new(seed: u64, max_in_flight: u32) -> Self {
        let settings = RdySettings::default();
        Self {
            now: Duration::ZERO,
            start: Instant::now(),
            rng: fastrand::Rng::with_seed(seed),
            events: BinaryHeap::new(),
            scheduled: 0,
            nodes: Vec::new(),
            plan: RdyPlan::new(settings, max_in_flight),
            settings,
            backoff: Backoff::new(ExponentialBackoff { base: Duration::from_millis(100), max: Duration::from_secs(2) }),
            max_in_flight,
            paused: false,
            windows: true,
            connections: Vec::new(),
            handlers: Handlers::default(),
            waiting: VecDeque::new(),
            running: 0,
            plan_timer: None,
            backoff_timer: None,
            counts: Counts::default(),
            promises: Promises::default(),
        }
    }

    /// Adds an nsqd that nobody is connected to yet.
    pub(crate) fn add_node(&mut self, latency: Duration) -> usize {
        let first_tick = self.now + Duration::from_micros(self.rng.u64(..250_000));
        self.nodes.push(Node::new(latency, first_tick));
        self.connections.push(None);
        self.nodes.len() - 1
    }

    /// Adds `count` nsqds and connects to them.
    pub(crate) fn connect_to_new(&mut self, count: usize, latency: Duration) {
        for _ in 0..count {
            let node = self.add_node(latency);
            self.connect(node);
        }
    }

    pub(crate) fn publish(&mut self, node: usize, count: usize) {
        self.publish_at(self.now, node, count);
    }

    pub(crate) fn publish_at(&mut self, at: Duration, node: usize, count: usize) {
        self.counts.published += count as u64;
        self.schedule(at, Event::Publish { node, count });
    }

    /// Runs for `time`.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.next_event_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
        self.check();
    }

    /// Runs until `done`, and fails after `limit`. Returns how long it took.
    pub(crate) fn run_until(&mut self, limit: Duration, what: &str, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            let next = self.next_event_at();
            assert!(
                next.is_some_and(|at| at <= start + limit),
                "{what}: not after {limit:?}, next event {next:?}, now {:?}, {:?}, {:?}",
                self.now,
                self.counts,
                self.plan,
            );
            self.step();
        }
        self.since(start)
    }

    /// Runs until every message was finished.
    pub(crate) fn drain(&mut self, limit: Duration) -> Duration {
        // What was finished just before its connection was lost is finished again.
        let empty = |node: &Node| node.queue.is_empty() && node.in_flight.is_empty();
        self.run_until(limit, "drained", |world| {
            world.counts.finished >= world.counts.published && world.nodes.iter().all(empty)
        })
    }

    pub(crate) fn since(&self, start: Duration) -> Duration {
        self.now.checked_sub(start).expect("time goes on")
    }

    pub(crate) fn instant(&self) -> Instant {
        self.start + self.now
    }

    pub(crate) fn next_event_at(&self) -> Option<Duration> {
        self.events.peek().map(|Reverse(next)| next.at)
    }

    fn step(&mut self) {
        let Some(Reverse(next)) = self.events.pop() else { return };
        self.now = next.at;
        match next.event {
            Event::Publish { node, count } => self.on_publish(node, count),
            Event::ToNsqd { node, connection, commands } => self.on_commands(node, connection, commands),
            Event::Flush { node, connection } => self.on_flush(node, connection),
            Event::ToConsumer { node, connection, messages } => self.on_read(node, connection, &messages),
            Event::Handled(job) => self.on_handled(job),
            Event::WindowTimeout { node, connection } => self.on_window_timeout(node, connection),
            Event::PlanTimeout => self.on_plan_timeout(),
            Event::BackoffTimeout => self.on_backoff_timeout(),
        }
        self.check();
    }

    fn schedule(&mut self, at: Duration, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse(Scheduled { at, order: self.scheduled, event }));
    }
}

#[derive(Debug)]
struct Scheduled {
    at: Duration,
    /// What was scheduled first happens first.
    order: u64,
    event: Event,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}
