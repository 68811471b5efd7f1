//! The embedded nsqd beside the real one: the same load, each server in a process of its own.

mod load;
mod server;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use load::Load;
pub(crate) use server::serve;
use server::{Kind, Server};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// One by one, 100 unanswered, in turn to so many topics.
    Publish { topics: usize },
    /// 200 with a command, one unanswered, in turn to so many topics.
    Multipublish { topics: usize },
    /// RDY 2500 on so many connections, each message finished; topics with so many consumers each.
    Consume { topics: usize, consumers: usize },
}

struct Run {
    wall: Duration,
    cpu: Duration,
    messages: usize,
}

pub(crate) fn run() -> ExitCode {
    println!("| work | server | messages/s | server CPU, us a message | messages a CPU second, of nsqd's |");
    println!("|---|---|---|---|---|");
    for work in WORKS {
        let mut runs = Kind::ALL.map(|_| Vec::new());
        for _ in 0..ROUNDS {
            for (kind, runs) in Kind::ALL.into_iter().zip(&mut runs) {
                runs.push(once(work, kind));
            }
        }
        let reference = median(&runs[0], Run::cpu_micros);
        for (kind, runs) in Kind::ALL.into_iter().zip(&runs) {
            let cpu = median(runs, Run::cpu_micros);
            println!(
                "| {} | {} | {:.0} | {cpu:.2} | {:.2} |",
                work.name(),
                kind.name(),
                median(runs, Run::rate),
                reference / cpu,
            );
        }
    }
    println!();
    println!("| server | memory a queued message of {} bytes, bytes | start to first message, ms |", crate::BODY);
    println!("|---|---|---|");
    for kind in Kind::ALL {
        let first: Vec<_> = (0..FIRST_ROUNDS).map(|_| first_message(kind)).collect();
        println!("| {} | {:.0} | {:.1} |", kind.name(), memory(kind), median(&first, |time| time.as_secs_f64() * 1e3));
    }
    ExitCode::SUCCESS
}

impl Work {
    fn name(self) -> String {
        match self {
            Self::Publish { topics } => format!("PUB, 100 unanswered, topics: {topics}"),
            Self::Multipublish { topics } => format!("MPUB of 200, topics: {topics}"),
            Self::Consume { topics, consumers } => format!("consume, topics: {topics}, consumers of each: {consumers}"),
        }
    }

    fn messages(self) -> usize {
        let default = match self {
            Self::Publish { .. } => 400_000,
            Self::Multipublish { .. } => 2_000_000,
            Self::Consume { .. } => 1_000_000,
        };
        std::env::var("BENCH_MESSAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(default)
    }
}

impl Run {
    #[allow(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
    fn rate(&self) -> f64 {
        self.messages as f64 / self.wall.as_secs_f64()
    }

    #[allow(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
    fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.messages as f64
    }
}

fn once(work: Work, kind: Kind) -> Run {
    let server = Server::start(kind);
    let load = Load::new(server.address());
    let messages = work.messages();
    let (began, cpu) = match work {
        Work::Publish { topics } => {
            load.create(topics);
            let start = (Instant::now(), server.cpu_time());
            load.publish(messages, topics);
            start
        }
        Work::Multipublish { topics } => {
            load.create(topics);
            let start = (Instant::now(), server.cpu_time());
            load.multipublish(messages, topics);
            start
        }
        Work::Consume { topics, consumers } => {
            load.create(topics);
            load.multipublish(messages, topics);
            let start = (Instant::now(), server.cpu_time());
            load.consume(messages, topics, consumers);
            start
        }
    };
    Run { wall: began.elapsed(), cpu: server.cpu_time().saturating_sub(cpu), messages }
}

/// Bytes of resident memory for each message that is queued.
#[allow(clippy::cast_precision_loss, reason = "memory is far below 2^52")]
fn memory(kind: Kind) -> f64 {
    let server = Server::start(kind);
    let load = Load::new(server.address());
    load.create(1);
    load.multipublish(crate::BATCH, 1);
    let before = server.memory_kib();
    load.multipublish(QUEUED, 1);
    (server.memory_kib().saturating_sub(before)) as f64 * 1024.0 / QUEUED as f64
}

/// From starting the process until a message that was published has been received.
fn first_message(kind: Kind) -> Duration {
    let began = Instant::now();
    let server = Server::start(kind);
    let load = Load::new(server.address());
    load.publish(1, 1);
    load.consume(1, 1, 1);
    began.elapsed()
}

fn median<T>(runs: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    let mut figures: Vec<f64> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

const WORKS: [Work; 7] = [
    Work::Publish { topics: 1 },
    Work::Publish { topics: 100 },
    Work::Multipublish { topics: 1 },
    Work::Multipublish { topics: 100 },
    Work::Consume { topics: 1, consumers: 1 },
    Work::Consume { topics: 1, consumers: 10 },
    Work::Consume { topics: 100, consumers: 1 },
];
const ROUNDS: usize = 3;
const FIRST_ROUNDS: usize = 11;
const QUEUED: usize = 1_000_000;
