//! Any interleaving of a client's calls with what a server does, against a model of both.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use gnsq_proto::connection::{Event, Loss};
use gnsq_proto::frame::{CLOSE_WAIT, OK};
use gnsq_proto::{Command, Connection, Frame, MessageId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::reader::CommandReader;
use crate::support::{channel, error, heartbeat, id, message_frame, ok, response, topic};

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish {
        millis: Option<u16>,
    },
    Ready,
    Finish(Index),
    Requeue(Index),
    Touch(Index),
    RequeueAll,
    Nop,
    Close,
    /// The client's bytes travel, so many of them.
    Send(usize),
    /// The server's bytes travel.
    Receive(usize),
    /// The server sends a message, unless this one is in flight.
    Deliver(u8),
    Heartbeat,
    /// The server refuses the next publish, with a code that may be unknown.
    RefuseNext(&'static str),
    Wait(u16),
    /// Much time passes, though the server gives a sign of life first.
    Idle(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => proptest::option::of(0_u16..500).prop_map(|millis| Step::Publish { millis }),
        4 => Just(Step::Ready),
        12 => any::<Index>().prop_map(Step::Finish),
        4 => any::<Index>().prop_map(Step::Requeue),
        4 => any::<Index>().prop_map(Step::Touch),
        4 => Just(Step::RequeueAll),
        4 => Just(Step::Nop),
        4 => Just(Step::Close),
        32 => (1_usize..120).prop_map(Step::Send),
        32 => (1_usize..120).prop_map(Step::Receive),
        12 => (0_u8..20).prop_map(Step::Deliver),
        8 => Just(Step::Heartbeat),
        1 => prop_oneof![4 => Just("E_PUB_FAILED no"), 1 => Just("E_TOMORROW no")].prop_map(Step::RefuseNext),
        12 => (0_u16..1500).prop_map(Step::Wait),
        1 => (15_000_u16..29_000).prop_map(Step::Wait),
        12 => (5_000_u16..29_000).prop_map(Step::Idle),
    ]
}

/// What nsqd does, as far as a client can see.
#[derive(Debug, Default)]
struct Server {
    input: BytesMut,
    output: BytesMut,
    in_flight: BTreeSet<MessageId>,
    /// The bodies of the messages it took.
    published: BTreeSet<u32>,
    heartbeats: usize,
    nops: usize,
    refuse_next: Option<&'static str>,
    /// After a fatal error nothing is read.
    dead: bool,
}

impl Server {
    fn send(&mut self, frame: &Frame) {
        if !self.dead {
            frame.encode(&mut self.output);
        }
    }

    fn deliver(&mut self, number: u8) {
        if !self.dead && self.in_flight.insert(id(number)) {
            self.send(&message_frame(number));
        }
    }

    fn beat(&mut self) {
        if !self.dead {
            self.heartbeats += 1;
            self.send(&heartbeat());
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while !self.dead
            && let Some(command) = CommandReader::default().read(&mut self.input).expect("a valid command")
        {
            self.execute(command);
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Sub { .. } => self.send(&ok()),
            Command::Pub { mut body, .. } => self.publish(body.get_u32()),
            Command::Fin(id) => self.answered(id, "FIN"),
            Command::Req { id, .. } => self.answered(id, "REQ"),
            Command::Touch(id) if self.in_flight.contains(&id) => {}
            Command::Touch(id) => self.too_late(id, "TOUCH"),
            Command::Cls => self.send(&response("CLOSE_WAIT")),
            Command::Nop => self.nops += 1,
            Command::Rdy(_) => {}
            other => panic!("nobody asked for {other:?}"),
        }
    }

    fn publish(&mut self, number: u32) {
        if let Some(refusal) = self.refuse_next.take() {
            self.send(&error(refusal));
            self.dead = true;
            return;
        }
        self.published.insert(number);
        self.send(&ok());
    }

    fn answered(&mut self, id: MessageId, word: &str) {
        if !self.in_flight.remove(&id) {
            self.too_late(id, word);
        }
    }

    fn too_late(&mut self, id: MessageId, word: &str) {
        self.send(&error(&format!("E_{word}_FAILED {word} {id} failed ID not in flight")));
    }
}

/// How a waiter's wait ended.
#[derive(Debug, Clone, PartialEq)]
enum End {
    Answered,
    TimedOut,
    Lost(Loss),
}

#[derive(Debug)]
struct World {
    connection: Connection<u32>,
    server: Server,
    now: Instant,
    /// Who asked what, in order, with the answer that has to come.
    asked: VecDeque<(u32, &'static [u8])>,
    deadlines: BTreeMap<u32, Instant>,
    ends: BTreeMap<u32, End>,
    waiters: u32,
    publishes: BTreeSet<u32>,
    in_flight: BTreeMap<MessageId, Times>,
    closing: bool,
    nops: usize,
    failed: bool,
}

#[derive(Debug)]
struct Times {
    deadline: Instant,
    cap: Instant,
}

/// A connection's message timeout, when IDENTIFY named none.
const MSG_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_MSG_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// How late an expired message may be noticed.
const SCAN: Duration = Duration::from_millis(100);

impl World {
    /// Subscribed, as far as the client is concerned.
    fn new() -> Self {
        let now = Instant::now();
        let mut connection = Connection::new(now);
        connection.output().advance(4);
        connection.subscribe(topic(), channel(), 0, None).unwrap();
        Self {
            connection,
            server: Server::default(),
            now,
            asked: VecDeque::from([(0, OK)]),
            deadlines: BTreeMap::new(),
            ends: BTreeMap::new(),
            waiters: 1,
            publishes: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            closing: false,
            nops: 0,
            failed: false,
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Publish { millis } => self.publish(millis),
            Step::Ready => self.connection.ready(5).unwrap(),
            Step::Finish(index) => {
                let id = self.message(index);
                assert_eq!(self.connection.finish(id).unwrap(), self.in_flight.remove(&id).is_some());
            }
            Step::Requeue(index) => {
                let id = self.message(index);
                assert_eq!(self.connection.requeue(id, SCAN).unwrap(), self.in_flight.remove(&id).is_some());
            }
            Step::Touch(index) => self.touch(index),
            Step::RequeueAll => {
                assert_eq!(self.connection.requeue_all(), self.in_flight.len());
                self.in_flight.clear();
            }
            Step::Nop => {
                self.connection.nop().unwrap();
                self.nops += 1;
            }
            Step::Close => self.close(),
            Step::Send(count) => self.send(count),
            Step::Receive(count) => self.receive(count),
            Step::Deliver(number) => self.server.deliver(number),
            Step::Heartbeat => self.server.beat(),
            Step::RefuseNext(refusal) => self.server.refuse_next = Some(refusal),
            Step::Idle(millis) => {
                self.server.beat();
                self.receive(usize::MAX);
                if !self.failed {
                    self.wait(Duration::from_millis(millis.into()));
                }
            }
            Step::Wait(millis) => self.wait(Duration::from_millis(millis.into())),
        }
        assert_eq!(self.connection.in_flight(), self.in_flight.len());
    }

    fn publish(&mut self, millis: Option<u16>) {
        let waiter = self.ask(OK);
        self.publishes.insert(waiter);
        let deadline = millis.map(|millis| self.now + Duration::from_millis(millis.into()));
        self.deadlines.extend(deadline.map(|deadline| (waiter, deadline)));
        let body = waiter.to_be_bytes().to_vec().into();
        self.connection.publish(&Command::Pub { topic: topic(), body }, waiter, deadline).unwrap();
    }

    fn close(&mut self) {
        if self.closing {
            self.connection.start_close(u32::MAX, None).expect_err("CLS goes out once");
        } else {
            let waiter = self.ask(CLOSE_WAIT);
            self.connection.start_close(waiter, None).unwrap();
            self.closing = true;
        }
    }

    fn ask(&mut self, answer: &'static [u8]) -> u32 {
        let waiter = self.waiters;
        self.waiters += 1;
        self.asked.push_back((waiter, answer));
        waiter
    }

    fn touch(&mut self, index: Index) {
        let id = self.message(index);
        let now = self.now;
        let expected = self.in_flight.get_mut(&id).map(|times| {
            times.deadline = (now + MSG_TIMEOUT).min(times.cap);
            times.deadline
        });
        assert_eq!(self.connection.touch(id, now).unwrap(), expected);
    }

    /// One of all messages there are, in flight or not.
    fn message(&self, index: Index) -> MessageId {
        let in_flight: Vec<_> = self.in_flight.keys().collect();
        let number = index.index(in_flight.len() + 1);
        in_flight.get(number).map_or(id(99), |id| **id)
    }

    fn send(&mut self, count: usize) {
        let output = self.connection.output();
        let bytes = output.copy_to_bytes(count.min(output.remaining()));
        self.server.read(&bytes);
    }

    fn receive(&mut self, count: usize) {
        let bytes = self.server.output.split_to(count.min(self.server.output.len()));
        if bytes.is_empty() {
            return;
        }
        self.connection.input().extend_from_slice(&bytes);
        self.connection.received(self.now);
        self.poll();
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.failed |= self.connection.handle_timeout(self.now).is_err();
        self.poll();
        for (waiter, deadline) in &self.deadlines {
            assert!(*deadline > self.now || self.ends.contains_key(waiter), "{waiter} should have timed out");
        }
        for times in self.in_flight.values() {
            assert!(times.deadline + SCAN > self.now, "a message should have expired");
        }
        assert!(self.failed || self.connection.next_timeout().is_none_or(|next| next > self.now), "a busy loop");
    }

    fn poll(&mut self) {
        loop {
            match self.connection.poll_event(self.now) {
                Ok(Some(event)) => self.on_event(event),
                Ok(None) => break,
                Err(_) => self.failed = true,
            }
        }
    }

    fn on_event(&mut self, event: Event<u32>) {
        match event {
            Event::Message { frame, deadline } => {
                assert_eq!(deadline, self.now + MSG_TIMEOUT);
                self.in_flight.insert(frame.id, Times { deadline, cap: self.now + MAX_MSG_TIMEOUT });
            }
            Event::Answer(told, data) => {
                let (waiter, answer) = self.asked.pop_front().expect("an answer to nothing");
                assert_eq!(data, answer);
                match told {
                    Some(told) => {
                        assert_eq!(told, waiter, "out of order");
                        self.end(waiter, End::Answered);
                    }
                    None => assert_eq!(self.ends.get(&waiter), Some(&End::TimedOut)),
                }
            }
            Event::TooLate(error) => assert!(error.message_id().is_some()),
            Event::TimedOut { waiter, sent } => {
                assert!(self.deadlines[&waiter] <= self.now, "too early");
                assert!(sent || !self.server.published.contains(&waiter));
                self.end(waiter, End::TimedOut);
            }
            Event::Expired(id) => {
                let times = self.in_flight.remove(&id).expect("a message in flight");
                assert!(times.deadline <= self.now, "too early");
            }
            Event::Upgrade(_) | Event::Frame(_) => panic!("nobody asked for an upgrade or for frames"),
        }
    }

    fn end(&mut self, waiter: u32, end: End) {
        assert_eq!(self.ends.insert(waiter, end), None, "{waiter} ended twice");
    }

    /// Everything that is on its way arrives.
    fn settle(&mut self) {
        while !self.failed && (self.connection.output().has_remaining() || !self.server.output.is_empty()) {
            self.send(usize::MAX);
            self.receive(usize::MAX);
        }
        if !self.failed {
            assert_eq!((self.asked.len(), self.connection.outstanding()), (0, 0));
            assert_eq!(self.server.nops, self.server.heartbeats + self.nops);
            assert!(self.in_flight.keys().all(|id| self.server.in_flight.contains(id)));
        }
    }

    /// The connection ends here, and everyone has to know.
    fn finish(mut self) {
        for (waiter, loss) in self.connection.fail() {
            self.end(waiter, End::Lost(loss));
        }
        assert_eq!(self.connection.in_flight(), 0);
        assert!(self.ends.keys().copied().eq(0..self.waiters), "some were never told");
        for waiter in &self.publishes {
            let carried_out = self.server.published.contains(waiter);
            match &self.ends[waiter] {
                End::Answered => assert!(carried_out, "{waiter} was not carried out"),
                End::Lost(Loss::NotSent | Loss::Refused(_)) => assert!(!carried_out, "{waiter} was carried out"),
                End::Lost(Loss::Unknown) | End::TimedOut => {}
            }
        }
    }
}

proptest! {
    #[test]
    fn client_and_server_agree_whatever_the_interleaving(steps in vec(step(), 1..80), settles: bool) {
        let mut world = World::new();
        for step in steps {
            if world.failed {
                break;
            }
            world.run(step);
        }
        if settles {
            world.settle();
        }
        world.finish();
    }
}
