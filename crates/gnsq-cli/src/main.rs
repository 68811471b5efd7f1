//! NSQ at a terminal.

#![allow(dead_code, reason = "the servers and the client's TLS, which use the rest, come next")]

mod admin;
mod base64;
mod cli;
mod cluster;
mod completions;
mod duration;
mod escape;
mod exit;
mod interrupt;
mod logging;
mod options;
mod output;
mod publish;
mod stat;
mod table;
mod tail;
mod time;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.verbose);
    let exit = run(cli).unwrap_or_else(|failure| {
        output::complain(&failure);
        failure.exit()
    });
    exit.into()
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    if let Command::Completions(args) = cli.command {
        return completions::run(&args);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no threads to run on: {error}")))?;
    let config = cli.config.as_deref();
    let exit = runtime.block_on(async {
        match cli.command {
            Command::Pub(args) => publish::run(args, config).await,
            Command::Tail(args) => tail::run(args, config).await,
            Command::Stat(args) => stat::run(args, config).await,
            Command::Topic(command) => admin::topic::run(command, config).await,
            Command::Channel(command) => admin::channel::run(command, config).await,
            Command::Nodes(args) => admin::nodes::run(args, config).await,
            Command::Tombstone(args) => admin::tombstone::run(args, config).await,
            Command::Completions(args) => completions::run(&args),
        }
    });
    // A read of stdin or a write to stdout that waits for somebody else must not keep the program alive.
    runtime.shutdown_background();
    exit
}

/// What the program does waits for the network most of the time.
const WORKERS: usize = 2;
