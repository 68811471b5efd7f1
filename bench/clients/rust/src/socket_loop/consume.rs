//! Taking messages and finishing each, one thread a connection.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{Clock, Input, MESSAGE, RESPONSE, finish, refused, subscribe};
use crate::options::Options;

pub(super) fn run(options: &Options) {
    let sockets = subscribe_all(options);
    let ready = format!("RDY {}\n", (options.max_in_flight / u32::try_from(sockets.len()).unwrap_or(1)).max(1));
    let body = options.bodies[0].len();
    let finished = AtomicUsize::new(0);
    let clock = Clock::started();
    thread::scope(|scope| {
        for mut socket in &sockets {
            let (finished, sockets, clock) = (&finished, &sockets, &clock);
            socket.write_all(ready.as_bytes()).expect("nsqd reads");
            scope.spawn(move || {
                finish_all(socket, body, |count| {
                    let before = finished.fetch_add(count, Ordering::Relaxed);
                    let done = before + count >= options.count;
                    if done && before < options.count {
                        clock.stop();
                        // What was answered last is read by nsqd before it sees the end of the stream.
                        for socket in sockets {
                            drop(socket.shutdown(Shutdown::Write));
                        }
                    }
                });
            });
        }
    });
    assert_eq!(finished.into_inner(), options.count, "each message comes once");
    clock.report(&[], 0);
}

/// One message.
pub(super) fn first(options: &Options) {
    let clock = Clock::started();
    let mut socket = subscribe_all(options).remove(0);
    socket.write_all(b"RDY 1\n").expect("nsqd reads");
    finish_all(&socket, options.bodies[0].len(), |count| {
        if count > 0 {
            clock.stop();
            clock.report(&[], 0);
            drop(socket.shutdown(Shutdown::Write));
        }
    });
}

/// Consumers that have nothing to do.
pub(super) fn idle(options: &Options) {
    let sockets: Vec<_> = (0..options.count).map(|_| subscribe_all(options).remove(0)).collect();
    let clock = Clock::started();
    thread::sleep(IDLING);
    clock.stop();
    clock.report(&[], 0);
    drop(sockets);
}

fn subscribe_all(options: &Options) -> Vec<TcpStream> {
    let topics = options.topics();
    let each = topics.iter().flat_map(|topic| (0..options.consumers).map(move |_| topic));
    each.flat_map(|topic| options.addresses.iter().map(move |address| subscribe(*address, topic))).collect()
}

/// Finishes every message that comes, tells how many were finished together, and ends when nsqd closes the connection.
fn finish_all(mut socket: &TcpStream, body: usize, mut finished: impl FnMut(usize)) {
    let mut input = Input::new(body);
    let mut answers = Vec::new();
    loop {
        let mut count = 0;
        let goes_on = input.read(socket, |kind, data| match (kind, data) {
            (MESSAGE, message) => {
                finish(&mut answers, message);
                count += 1;
            }
            (RESPONSE, b"_heartbeat_") => answers.extend_from_slice(b"NOP\n"),
            _ => refused(data),
        });
        if !goes_on.expect("nsqd sends") {
            return;
        }
        if !answers.is_empty() {
            // Nothing is left to be answered where this end was closed.
            let _ = socket.write_all(&answers);
            answers.clear();
        }
        finished(count);
    }
}

pub(crate) const IDLING: Duration = Duration::from_secs(10);
