//! Does a work so many times, on one thread and on an nsqd in memory: `run`, beside `src`, counts its instructions.
//!
//! `gnsq-instructions WORK TIMES`; without arguments it prints the works, each with how many times are a short run.
#![allow(clippy::print_stdout, reason = "it is a program")]

mod client;
mod parts;

use std::process::ExitCode;

use tokio::runtime::Builder;

/// What is done.
enum Work {
    /// With a client.
    Client(client::Work),
    /// By a function of the protocol alone.
    Part(fn(usize)),
    /// As a part, and it takes long.
    LongPart(fn(usize)),
}

impl Work {
    /// How many times settle all that has to grow first: buffers, tables, queues.
    fn short(&self) -> usize {
        match self {
            Self::Client(_) | Self::Part(_) => 10_000,
            Self::LongPart(_) => 200,
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            for (name, work) in works() {
                println!("{name}\t{}", work.short());
            }
            ExitCode::SUCCESS
        }
        [name, times] => {
            let work = works().into_iter().find(|(known, _)| *known == name);
            let (Some((_, work)), Ok(times)) = (work, times.parse()) else { return usage() };
            match work {
                Work::Client(work) => {
                    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
                    runtime.block_on(work.run(times));
                }
                Work::Part(part) | Work::LongPart(part) => part(times),
            }
            ExitCode::SUCCESS
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    println!("usage: gnsq-instructions [WORK TIMES]");
    ExitCode::from(2)
}

fn works() -> Vec<(&'static str, Work)> {
    use client::Work::{Consume, Multipublish, Publish, Receive};
    vec![
        ("consume", Work::Client(Consume { handlers: 1, wasteful: false })),
        ("consume, 100 handlers", Work::Client(Consume { handlers: 100, wasteful: false })),
        ("receive and finish", Work::Client(Receive)),
        ("publish", Work::Client(Publish { outstanding: 1, batching: true })),
        ("publish, 100 outstanding", Work::Client(Publish { outstanding: 100, batching: true })),
        ("publish, 100 outstanding, no batching", Work::Client(Publish { outstanding: 100, batching: false })),
        ("multipublish 200", Work::Client(Multipublish)),
        ("decode a message", Work::Part(parts::decode_messages)),
        ("decode an answer", Work::Part(parts::decode_answers)),
        ("encode PUB", Work::Part(parts::encode_pubs)),
        ("encode MPUB of 200", Work::Part(parts::encode_mpubs)),
        ("encode FIN", Work::Part(parts::encode_fins)),
        ("plan 100 connections", Work::LongPart(parts::plan)),
        // Shows that growth is found.
        ("wasteful consume", Work::Client(Consume { handlers: 1, wasteful: true })),
    ]
}
