//! Publishes so many messages a second, each with the time at which it was sent, by plain sockets.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::usage::{Clock, machine_time};
use crate::wire;

/// To the nsqds in turn, for as long as the options say. What nsqd is too slow for is left out, and the count that was
/// sent is printed.
pub(crate) fn pace(options: &Options) {
    let [topic] = &options.names()[..] else { return };
    let mut sockets: Vec<_> = options.nsqd.iter().map(|address| wire::connect(*address)).collect();
    let answered = Arc::new(AtomicU64::new(0));
    for socket in &sockets {
        let socket = socket.try_clone().expect("a socket can be shared");
        let answered = answered.clone();
        thread::spawn(move || count_answers(socket, &answered));
    }
    let mut outputs: Vec<Vec<u8>> = sockets.iter().map(|_| Vec::new()).collect();
    let mut body = vec![b'x'; options.body.max(TIME)];
    let clock = Clock::start();
    let began = Instant::now();
    let mut sent = 0_u64;
    let mut due = due_at(0, options.rate);
    while began.elapsed() < options.lasts {
        let now = began.elapsed();
        while due <= now && sent - answered.load(Ordering::Acquire) < OUTSTANDING {
            body[..TIME].copy_from_slice(&machine_time().to_ne_bytes());
            let index = usize::try_from(sent).unwrap_or(0) % outputs.len();
            wire::put_pub(topic, &body, &mut outputs[index]);
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
    println!("{{\"sent\": {sent}, {}}}", clock.stop());
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

fn count_answers(mut socket: TcpStream, answered: &AtomicU64) {
    loop {
        wire::expect_ok(&mut socket, 1);
        answered.fetch_add(1, Ordering::Release);
    }
}

/// A body begins with its time.
pub(crate) const TIME: usize = 8;
/// How many messages may be unanswered.
const OUTSTANDING: u64 = 1000;
/// Shorter sleeps are longer.
const SHORT: Duration = Duration::from_micros(50);
const PATIENCE: Duration = Duration::from_secs(10);
