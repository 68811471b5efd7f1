//! What the program tells of its own work, on stderr.

use std::io::{self, IsTerminal};

use clap::{ArgAction, Args};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::output;

/// How much to log.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LogArgs {
    /// Log more to stderr: -v what happens, -vv details, -vvv everything [env: GNSQ_LOG]
    #[arg(short, long, action = ArgAction::Count, help_heading = "General options")]
    verbose: u8,
}

impl LogArgs {
    /// Begins to log: warnings, or more with each `-v`. The environment's `GNSQ_LOG` has the last word.
    pub(crate) fn start(self) {
        start(self.verbose);
    }
}

fn start(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // The libraries below speak to developers.
    let others = if verbose > 2 { "debug" } else { "error" };
    let directives = std::env::var("GNSQ_LOG").unwrap_or_else(|_| format!("{others},gnsq={level},gnsq_server={level}"));
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::ERROR.into()).parse_lossy(directives);
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && output::may_colour())
        .with_target(verbose > 1);
    // It fails only if there is a log already.
    let _ = if verbose == 0 { logs.without_time().try_init() } else { logs.try_init() };
}
