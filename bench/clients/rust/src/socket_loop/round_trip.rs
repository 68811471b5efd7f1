//! Publishing on one connection and receiving it on another, by one thread.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::publish::{answered, publish};
use super::{Clock, HEAD, Input, MESSAGE, RESPONSE, connect, finish, refused, subscribe};
use crate::TOPIC;
use crate::options::Options;
use crate::stamp::{age, stamped};

pub(super) fn run(options: &Options) {
    let mut producer = connect(options.address());
    let mut receiver = Receiver::new(options);
    for number in 1..=WARM_UP {
        send(&mut producer, options);
        receiver.receive(number);
    }
    receiver.latencies.clear();
    let clock = Clock::started();
    let began = Instant::now();
    for number in 0..options.count {
        if let Some(period) = Duration::from_secs(1).checked_div(options.rate) {
            let due = period * u32::try_from(number).expect("it is a small number");
            receiver.receive_until(began + due);
        }
        send(&mut producer, options);
        if options.rate == 0 {
            receiver.receive(number + 1);
        }
    }
    receiver.receive(options.count);
    clock.stop();
    clock.report(&receiver.latencies, WARM_UP);
}

/// Publishes a message that says when.
fn send(producer: &mut TcpStream, options: &Options) {
    answered(producer, &[publish(TOPIC, &stamped(options))], 1, 1);
}

struct Receiver {
    socket: TcpStream,
    input: Input,
    latencies: Vec<Duration>,
}

impl Receiver {
    fn new(options: &Options) -> Self {
        let mut socket = subscribe(options.address(), TOPIC);
        socket.write_all(format!("RDY {}\n", options.max_in_flight).as_bytes()).expect("nsqd reads");
        let input = Input::new(options.bodies[0].len());
        Self { socket, input, latencies: Vec::new() }
    }

    /// Waits until so many have come in all.
    fn receive(&mut self, count: usize) {
        self.socket.set_read_timeout(None).expect("there is one");
        while self.latencies.len() < count {
            self.read();
        }
    }

    /// Takes what comes until then.
    fn receive_until(&mut self, then: Instant) {
        loop {
            let left = then.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.socket.set_read_timeout(Some(left)).expect("it is not zero");
            self.read();
        }
    }

    fn read(&mut self) {
        let mut answers = Vec::new();
        let read = self.input.read(&self.socket, |kind, data| match (kind, data) {
            (MESSAGE, message) => {
                self.latencies.push(age(&message[HEAD..]));
                finish(&mut answers, message);
            }
            (RESPONSE, b"_heartbeat_") => answers.extend_from_slice(b"NOP\n"),
            _ => refused(data),
        });
        match read {
            Ok(goes_on) => assert!(goes_on, "nsqd closed the connection"),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("nsqd sends: {error}"),
        }
        self.socket.write_all(&answers).expect("nsqd reads");
    }
}

/// So many messages go round before the clock is started.
pub(crate) const WARM_UP: usize = 10;
