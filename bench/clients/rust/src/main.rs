//! gnsq and the least loops, as programs that `bench/run` starts; embedded nsqds for it to measure; a certificate.
//!
//! `gnsq-bench CLIENT WORK COUNT ADDRESS[,ADDRESS…] --NAME VALUE…` does the work and prints one line of JSON.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

mod certificate;
mod clock;
mod gnsq_client;
mod options;
mod serve;
mod socket_loop;
mod stamp;
mod tokio_loop;

use std::process::ExitCode;

use options::Options;

pub(crate) const TOPIC: &str = "bench";
pub(crate) const CHANNEL: &str = "bench";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((program, arguments)) = arguments.split_first() else { return usage(USAGE) };
    match program.as_str() {
        "serve" => match arguments {
            [] => serve::run(1),
            [count] => count.parse().map_or_else(|_| usage(USAGE), serve::run),
            _ => usage(USAGE),
        },
        "certificate" => match arguments {
            [directory] => certificate::write(directory.as_ref()),
            _ => usage(USAGE),
        },
        "socket-loop" => client(arguments, socket_loop::run),
        "tokio-loop" => client(arguments, tokio_loop::run_in_one_task),
        "tokio-task" => client(arguments, tokio_loop::run_in_tasks),
        "gnsq" => client(arguments, |options| gnsq_client::run(options, gnsq_client::Threads::Default)),
        "gnsq-one-thread" => client(arguments, |options| gnsq_client::run(options, gnsq_client::Threads::One)),
        _ => usage(USAGE),
    }
}

fn client(arguments: &[String], run: impl FnOnce(&Options)) -> ExitCode {
    match Options::parse(arguments) {
        Ok(options) => {
            run(&options);
            ExitCode::SUCCESS
        }
        Err(problem) => usage(&problem),
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::from(2)
}

const USAGE: &str = "usage: gnsq-bench CLIENT WORK COUNT ADDRESS[,ADDRESS...] [--NAME VALUE]...
       gnsq-bench serve [COUNT]
       gnsq-bench certificate DIRECTORY
clients: socket-loop, tokio-loop, tokio-task, gnsq, gnsq-one-thread
works: publish, multipublish, consume, round-trip, idle, first, pace, latency";
