//! Publishes so many messages a second, each with the time at which it was sent.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::publish::publish;
use super::{Clock, Input, RESPONSE, connect, refused};
use crate::TOPIC;
use crate::options::Options;
use crate::stamp::stamp;

/// To the nsqds in turn, for as long as the options say. What nsqd is too slow for is left out, and the count that was
/// sent is printed.
pub(super) fn run(options: &Options) {
    let mut sockets: Vec<_> = options.addresses.iter().map(|address| connect(*address)).collect();
    let answered = Arc::new(AtomicU64::new(0));
    for socket in &sockets {
        let socket = socket.try_clone().expect("a socket can be shared");
        let answered = answered.clone();
        thread::spawn(move || count_answers(&socket, &answered));
    }
    let mut outputs: Vec<Vec<u8>> = sockets.iter().map(|_| Vec::new()).collect();
    let mut body = options.bodies[0].to_vec();
    let clock = Clock::started();
    let began = Instant::now();
    let mut sent = 0_u64;
    let mut due = due_at(0, options.rate);
    while began.elapsed() < options.lasts {
        let now = began.elapsed();
        while due <= now && sent - answered.load(Ordering::Acquire) < OUTSTANDING {
            stamp(&mut body);
            let index = usize::try_from(sent).unwrap_or(0) % outputs.len();
            outputs[index].extend(publish(TOPIC, &body));
            sent += 1;
            due = due_at(sent, options.rate);
        }
        for (socket, output) in sockets.iter_mut().zip(&mut outputs).filter(|(_, output)| !output.is_empty()) {
            socket.write_all(output).expect("nsqd reads");
            output.clear();
        }
        // At least a moment, so that others can run.
        let wait = due.min(options.lasts).saturating_sub(began.elapsed());
        thread::sleep(wait.max(SHORT));
    }
    while answered.load(Ordering::Acquire) < sent {
        assert!(began.elapsed() < options.lasts + PATIENCE, "nsqd owes answers");
        thread::sleep(SHORT);
    }
    clock.stop();
    clock.report_more(&format!(r#""sent": {sent}"#));
}

/// When message number `number` is due, from the beginning on: somewhere within its part of the time, as nsqd would be in
/// step with what is regular.
#[allow(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
fn due_at(number: u64, rate: u32) -> Duration {
    if rate == 0 {
        return Duration::ZERO;
    }
    let somewhere = fastrand::Rng::with_seed(number).f64();
    Duration::from_secs_f64((number as f64 + somewhere) / f64::from(rate))
}

fn count_answers(mut socket: &TcpStream, answered: &AtomicU64) {
    let mut input = Input::new(0);
    loop {
        let mut heartbeat = false;
        let goes_on = input.read(socket, |kind, data| match (kind, data) {
            (RESPONSE, b"OK") => {
                answered.fetch_add(1, Ordering::Release);
            }
            (RESPONSE, b"_heartbeat_") => heartbeat = true,
            _ => refused(data),
        });
        if !goes_on.expect("nsqd answers") {
            return;
        }
        if heartbeat {
            socket.write_all(b"NOP\n").expect("nsqd reads");
        }
    }
}

/// How many messages may be unanswered.
const OUTSTANDING: u64 = 1000;
/// Shorter sleeps are longer.
const SHORT: Duration = Duration::from_micros(50);
const PATIENCE: Duration = Duration::from_secs(10);
