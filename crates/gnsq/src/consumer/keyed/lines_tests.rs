//! Lines against an nsqd in simulated time: whatever fails, each key's messages succeed in the order of publishing.

use std::cell::Cell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use gnsq_proto::MessageId;

use super::line::{Rules, Waiting};
use super::lines::{Job, Lines};

/// A message as the consumer has it: its key, its number within all, and when nsqd takes it back.
#[derive(Debug, Clone)]
struct Delivery {
    key: u8,
    number: usize,
    deadline: Rc<Cell<Instant>>,
    cap: Instant,
    connection: Rc<Cell<bool>>,
}

impl Waiting for Delivery {
    fn id(&self) -> MessageId {
        id(self.number)
    }

    fn is_lost(&self, now: Instant) -> bool {
        !self.connection.get() || self.deadline.get() <= now
    }

    fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    fn cap(&self) -> Instant {
        self.cap
    }

    fn msg_timeout(&self) -> Duration {
        MSG_TIMEOUT
    }
}

fn id(number: usize) -> MessageId {
    MessageId(format!("{number:016}").into_bytes().try_into().expect("16 digits"))
}

/// nsqd, its one consumer, and what the consumer's handlers do.
struct World {
    rng: fastrand::Rng,
    now: Instant,
    rules: Rules,
    max_in_flight: usize,
    connection: Rc<Cell<bool>>,
    // nsqd's.
    keys: Vec<u8>,
    queue: VecDeque<usize>,
    deferred: Vec<(Instant, usize, usize)>,
    deferred_count: usize,
    in_flight: HashMap<usize, Delivery>,
    deliveries: HashMap<usize, u16>,
    // The consumer's.
    lines: Lines<u8, Delivery>,
    running: Vec<(Instant, Job<u8, Delivery>)>,
    // What the handlers see.
    tries: HashMap<usize, u16>,
    succeeded: HashMap<u8, Vec<usize>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let rules = Rules { most_waiting: rng.usize(1..6), away: Duration::from_millis(rng.u64(100..2000)) };
        let keys = (0..60).map(|_| rng.u8(0..5)).collect::<Vec<_>>();
        Self {
            now: Instant::now(),
            max_in_flight: rng.usize(1..20),
            connection: Rc::new(Cell::new(true)),
            queue: (0..keys.len()).collect(),
            keys,
            deferred: Vec::new(),
            deferred_count: 0,
            in_flight: HashMap::new(),
            deliveries: HashMap::new(),
            lines: Lines::new(rules),
            rules,
            running: Vec::new(),
            tries: HashMap::new(),
            succeeded: HashMap::new(),
            rng,
        }
    }

    /// Time passes in nsqd: what is due, and what was not answered, joins the queue.
    fn nsqd(&mut self) {
        self.deferred.sort_unstable();
        while let Some((_, _, number)) = self.deferred.first().filter(|(due, ..)| *due <= self.now) {
            self.queue.push_back(*number);
            self.deferred.remove(0);
        }
        let mut late: Vec<_> = self.in_flight.values().filter(|one| one.deadline.get() <= self.now).cloned().collect();
        late.sort_by_key(|one| (one.deadline.get(), one.number));
        for one in late {
            self.in_flight.remove(&one.number);
            self.queue.push_back(one.number);
        }
        while self.in_flight.values().filter(|one| one.connection.get()).count() < self.max_in_flight {
            let Some(number) = self.queue.pop_front() else { break };
            let delivery = Delivery {
                key: self.keys[number],
                number,
                deadline: Rc::new(Cell::new(self.now + MSG_TIMEOUT)),
                cap: self.now + MAX_MSG_TIMEOUT,
                connection: self.connection.clone(),
            };
            self.in_flight.insert(number, delivery.clone());
            let delivered = self.deliveries.entry(number).or_default();
            *delivered += 1;
            self.lines.arrive(delivery.key, delivery, *delivered, self.now);
            self.send_back();
        }
    }

    fn consumer(&mut self) {
        // What is here is touched.
        for one in self.in_flight.values().filter(|one| !one.is_lost(self.now)) {
            one.deadline.set((self.now + MSG_TIMEOUT).min(one.cap));
        }
        let (ended, running) = std::mem::take(&mut self.running).into_iter().partition(|(end, _)| *end <= self.now);
        self.running = running;
        for (_, job) in ended {
            self.handled(job);
        }
        self.lines.on_timeout(self.now);
        self.send_back();
        while self.running.len() < 3 {
            let Some(job) = self.lines.take(self.now) else { break };
            let message = &job.entry.message;
            assert!(self.running.iter().all(|(_, other)| other.key != job.key), "two handlers for a key");
            assert!(!message.is_lost(self.now));
            let tries = self.tries.entry(message.number).or_default();
            *tries += 1;
            assert_eq!(job.entry.attempts(), *tries, "an attempt that was none, or that was forgotten");
            // Sometimes longer than nsqd lets anyone hold a message.
            let longest = if self.rng.u8(..) < 3 { MAX_MSG_TIMEOUT * 2 } else { Duration::from_millis(300) };
            let takes = Duration::from_millis(self.rng.u64(1..=u64::try_from(longest.as_millis()).unwrap()));
            self.running.push((self.now + takes, job));
        }
        self.send_back();
    }

    fn handled(&mut self, job: Job<u8, Delivery>) {
        let (key, extra) = (job.key, job.entry.extra);
        let message = job.entry.message.clone();
        if message.is_lost(self.now) {
            let due = message.deadline().max(self.now);
            self.lines.lost(key, message.id(), extra, due, self.now);
        } else if self.rng.f32() < 0.3 {
            let delay =
                if self.rng.u8(..) < 8 { MAX_MSG_TIMEOUT * 2 } else { Duration::from_millis(self.rng.u64(..2000)) };
            assert!(self.lines.retry(job, self.now + delay, self.now).is_none());
        } else {
            self.in_flight.remove(&message.number);
            self.succeeded.entry(key).or_default().push(message.number);
            self.lines.done(key, self.now);
        }
    }

    fn send_back(&mut self) {
        for (message, delay) in self.lines.outgoing() {
            assert!(self.in_flight.remove(&message.number).is_some(), "it is requeued, and wasn't in flight");
            self.deferred_count += 1;
            self.deferred.push((self.now + delay, self.deferred_count, message.number));
        }
    }

    fn run(mut self, disconnects: bool) {
        let mut steps = 0;
        while self.succeeded.values().map(Vec::len).sum::<usize>() < self.keys.len() {
            self.nsqd();
            self.consumer();
            if disconnects && self.rng.u16(..) < 100 {
                self.connection.set(false);
                self.connection = Rc::new(Cell::new(true));
            }
            self.now += Duration::from_millis(self.rng.u64(1..100));
            steps += 1;
            assert!(steps < 500_000, "it comes to no end, {:?}: {:?}", self.rules, self.lines);
        }
        for (key, numbers) in &self.succeeded {
            assert!(numbers.is_sorted(), "key {key}: {numbers:?}");
            assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len());
        }
        // Nothing is left behind, once what was still waited for has come or is known to come no more.
        assert!(self.in_flight.is_empty() && self.deferred.is_empty());
        assert_eq!(self.lines.len(), 0);
    }
}

#[test]
fn each_key_succeeds_in_order_whatever_fails() {
    for seed in 0..400 {
        World::new(seed).run(false);
    }
}

#[test]
fn each_key_succeeds_in_order_also_when_connections_end() {
    for seed in 0..400 {
        World::new(seed).run(true);
    }
}

#[test]
fn what_comes_no_more_is_not_waited_for() {
    let now = Instant::now();
    let rules = Rules { most_waiting: 1, away: Duration::from_secs(1) };
    let mut lines = Lines::new(rules);
    let connection = Rc::new(Cell::new(true));
    let arrive = |lines: &mut Lines<u8, Delivery>, number, delivered, now: Instant| {
        let deadline = Rc::new(Cell::new(now + MSG_TIMEOUT));
        let delivery =
            Delivery { key: 1, number, deadline, cap: now + MAX_MSG_TIMEOUT, connection: connection.clone() };
        lines.arrive(1, delivery, delivered, now);
        lines.outgoing().len()
    };
    assert_eq!(arrive(&mut lines, 1, 1, now), 0);
    let job = lines.take(now).unwrap();
    lines.retry(job, now + Duration::from_secs(2), now);
    // The line is full, then the first is done.
    assert_eq!((arrive(&mut lines, 2, 1, now), arrive(&mut lines, 3, 1, now)), (1, 1));
    let now = now + Duration::from_secs(2);
    lines.on_timeout(now);
    assert_eq!(lines.take(now).unwrap().entry.message.number, 1);
    lines.done(1, now);
    // Message 2 should have come before 3. It may only be late, so that 3 is asked to come once more.
    assert_eq!(arrive(&mut lines, 3, 2, now), 1);
    let now = now + Duration::from_secs(1);
    assert_eq!(arrive(&mut lines, 3, 3, now), 0);
    let job = lines.take(now).unwrap();
    assert_eq!((job.entry.message.number, job.entry.attempts()), (3, 1));
    lines.done(1, now);
    assert_eq!(lines.len(), 0);
}

#[test]
fn behind_a_stuck_message_only_so_many_wait() {
    let now = Instant::now();
    let mut lines = Lines::new(Rules { most_waiting: 2, away: Duration::from_secs(1) });
    let connection = Rc::new(Cell::new(true));
    let delivery = |number| Delivery {
        key: 1,
        number,
        deadline: Rc::new(Cell::new(now + MAX_MSG_TIMEOUT)),
        cap: now + MAX_MSG_TIMEOUT,
        connection: connection.clone(),
    };
    // While the first is well, all may wait.
    for number in 0..6 {
        lines.arrive(1, delivery(number), 1, now);
    }
    let job = lines.take(now).unwrap();
    assert!(lines.outgoing().is_empty() && lines.take(now).is_none());
    lines.retry(job, now + Duration::from_millis(5), now);
    let back: Vec<_> = lines.outgoing().iter().map(|(message, _)| message.number).collect();
    assert_eq!(back, [3, 4, 5]);
    assert_eq!(lines.close().iter().map(|entry| entry.message.number).collect::<Vec<_>>(), [0, 1, 2]);
}

const MSG_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_MSG_TIMEOUT: Duration = Duration::from_secs(15);
