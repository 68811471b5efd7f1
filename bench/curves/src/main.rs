//! The works whose cost and latency are measured against what changes in them; `bench/run --suite growth` and
//! `--suite latency` start them, each in a process of its own.
//!
//! `gnsq-curves WORK --option value …`, the options being those of [`Options`]. Each work but `serve` prints one line of
//! JSON at its end.
#![allow(clippy::print_stdout, reason = "it is a program")]

mod growth;
mod latency;
mod options;
mod pace;
mod serve;
mod usage;
mod wire;

use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let work = arguments.next().unwrap_or_default();
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(wrong) => {
            println!("{wrong}");
            return ExitCode::from(2);
        }
    };
    match work.as_str() {
        "serve" => serve::serve(options.servers),
        "fill" => growth::fill(&options),
        "publish" => growth::publish(&options),
        "consume" => growth::consume(&options),
        "pace" => pace::pace(&options),
        "latency" => latency::latency(&options),
        _ => {
            println!("usage: gnsq-curves serve|fill|publish|consume|pace|latency [--option value]…");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
