//! How fast gnsq is, beside a plain socket loop that does the same work on the same nsqd.
//!
//! `cargo run --release -p gnsq-bench` runs each work with each client in turn, three rounds, each run in a process
//! of its own on an nsqd of its own, and prints the medians. `… -p gnsq-bench -- WORK CLIENT ADDRESS` is one such run.
//! `… -p gnsq-bench -- servers` compares the embedded nsqd with the real one, `… -- security` compression and TLS with none.
#![allow(clippy::print_stdout, reason = "it is a program")]

mod gnsq_client;
mod security;
mod servers;
mod socket_loop;
mod suite;
mod usage;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Take messages with `max_in_flight` 2500 and finish each.
    Consume,
    /// Publish one by one, confirmed, 100 outstanding (or as many as the environment's `BENCH_OUTSTANDING` says).
    Publish,
    /// Publish by 200 with one command, one outstanding.
    Multipublish,
}

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// The least that a program can do: blocking reads and writes on a socket.
    SocketLoop,
    /// gnsq with its defaults, on tokio's multi-threaded runtime.
    Gnsq,
    /// gnsq with its I/O on the current runtime, which has one thread.
    GnsqOneThread,
}

impl Work {
    pub(crate) const ALL: [Self; 3] = [Self::Consume, Self::Publish, Self::Multipublish];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Consume => "consume",
            Self::Publish => "publish",
            Self::Multipublish => "multipublish",
        }
    }

    /// How many messages a run has: a few seconds' worth.
    pub(crate) fn messages(self) -> usize {
        let default = match self {
            Self::Consume => 2_000_000,
            Self::Publish => 400_000,
            Self::Multipublish => 3_000_000,
        };
        from_environment("BENCH_MESSAGES").unwrap_or(default)
    }
}

impl Client {
    pub(crate) const ALL: [Self; 3] = [Self::SocketLoop, Self::Gnsq, Self::GnsqOneThread];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SocketLoop => "socket-loop",
            Self::Gnsq => "gnsq",
            Self::GnsqOneThread => "gnsq-one-thread",
        }
    }
}

pub(crate) const TOPIC: &str = "bench";
pub(crate) const CHANNEL: &str = "bench";
pub(crate) const BODY: usize = 200;
pub(crate) const MAX_IN_FLIGHT: u32 = 2500;
const OUTSTANDING: usize = 100;
pub(crate) const BATCH: usize = 200;

/// How many messages are published at once.
pub(crate) fn outstanding() -> usize {
    from_environment("BENCH_OUTSTANDING").unwrap_or(OUTSTANDING)
}

fn from_environment(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok().filter(|number| *number > 0)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => suite::run(),
        ["servers"] => servers::run(),
        ["serve"] => servers::serve(),
        ["security"] => security::run(),
        ["security", ref run @ ..] => security::child(run).map_or_else(usage_error, |()| ExitCode::SUCCESS),
        [work, client, address] => {
            let work = Work::ALL.into_iter().find(|known| known.name() == work);
            let client = Client::ALL.into_iter().find(|known| known.name() == client);
            let (Some(work), Some(client), Ok(address)) = (work, client, address.parse()) else { return usage_error() };
            let (wall, cpu) = measure(work, client, address);
            println!("{} {} {}", wall.as_secs_f64(), cpu.as_secs_f64(), usage::peak_memory_kib());
            ExitCode::SUCCESS
        }
        _ => usage_error(),
    }
}

fn measure(work: Work, client: Client, address: SocketAddr) -> (Duration, Duration) {
    let (began, cpu) = (Instant::now(), usage::cpu_time());
    match client {
        Client::SocketLoop => socket_loop::run(work, address),
        Client::Gnsq | Client::GnsqOneThread => gnsq_client::run(work, client, address),
    }
    (began.elapsed(), usage::cpu_time().saturating_sub(cpu))
}

fn usage_error() -> ExitCode {
    println!(
        "usage: gnsq-bench [servers | security | consume|publish|multipublish socket-loop|gnsq|gnsq-one-thread HOST:PORT]"
    );
    ExitCode::from(2)
}
