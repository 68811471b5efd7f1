//! NSQ at a terminal.

mod admin;
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
mod server;
mod stat;
mod table;
mod tail;
mod time;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::Command;
use crate::exit::{Exit, Failure};
use crate::server::Daemon;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let exit = match daemon(&arguments) {
        Some((daemon, flags)) => run(server::run(daemon, flags)),
        None => match cli::parse(arguments) {
            Command::Pub(args) => run(publish::run(*args)),
            Command::Tail(args) => run(tail::run(*args)),
            Command::Stat(args) => run(stat::run(*args)),
            Command::Topic(command) => run(admin::topic::run(*command)),
            Command::Channel(command) => run(admin::channel::run(*command)),
            Command::Nodes(args) => run(admin::nodes::run(*args)),
            Command::Tombstone(args) => run(admin::tombstone::run(*args)),
            Command::Dev(args) => run(server::dev::run(args)),
            Command::Completions(args) => completions::run(&args),
        },
    };
    let exit = exit.unwrap_or_else(|failure| {
        output::complain(&failure);
        failure.exit()
    });
    exit.into()
}

/// The server to be, and its flags, which are not this program's: by the first argument, or by the name under which the
/// program was started, so that a link named `nsqd` is one.
fn daemon(arguments: &[OsString]) -> Option<(Daemon, Vec<String>)> {
    let name = Path::new(arguments.first()?).file_stem()?;
    let by_name = |name: &std::ffi::OsStr| Daemon::ALL.into_iter().find(|daemon| name == daemon.name());
    let (daemon, flags) = match by_name(name) {
        Some(daemon) => (daemon, arguments.get(1..)?),
        None => (by_name(arguments.get(1)?)?, arguments.get(2..)?),
    };
    // What isn't UTF-8 is no flag, and is refused by how it looks.
    Some((daemon, flags.iter().map(|flag| flag.to_string_lossy().into_owned()).collect()))
}

fn run(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no threads to run on: {error}")))?;
    let exit = runtime.block_on(command);
    // A read of stdin or a write to stdout that waits for somebody else must not keep the program alive.
    runtime.shutdown_background();
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_the_command_or_by_the_programs_name() {
        let known = |line: &str| daemon(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        let flags = vec!["--tcp-address".to_owned(), "a:1".to_owned()];
        assert_eq!(known("gnsq nsqd --tcp-address a:1"), Some((Daemon::Nsqd, flags.clone())));
        assert_eq!(known("/usr/bin/nsqlookupd --tcp-address a:1"), Some((Daemon::Nsqlookupd, flags)));
        assert_eq!(known("nsqd"), Some((Daemon::Nsqd, vec![])));
        assert_eq!(known("gnsq pub nsqd"), None);
        assert_eq!(known("gnsq"), None);
    }
}
