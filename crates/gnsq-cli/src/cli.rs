//! The command line.

use std::ffi::OsString;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::admin::{ChannelCommand, NodesArgs, TombstoneArgs, TopicCommand};
use crate::completions::CompletionsArgs;
use crate::exit::EXIT_CODES;
use crate::publish::PubArgs;
use crate::server::Daemon;
use crate::server::dev::DevArgs;
use crate::server::flags::Flag;
use crate::stat::StatArgs;
use crate::tail::TailArgs;

/// NSQ at a terminal: publish, read, watch, administer and serve
#[derive(Debug, Parser)]
#[command(name = "gnsq", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"), max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pub(Box<PubArgs>),
    Tail(Box<TailArgs>),
    Stat(Box<StatArgs>),
    Topic(Box<TopicCommand>),
    Channel(Box<ChannelCommand>),
    Nodes(Box<NodesArgs>),
    Tombstone(Box<TombstoneArgs>),
    Dev(DevArgs),
    Completions(CompletionsArgs),
}

/// Reads the command line, beginning with the program's name. Ends the program if it asks for help, or is wrong.
pub(crate) fn parse(arguments: Vec<OsString>) -> Command {
    let matches = command().get_matches_from(arguments);
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command
}

/// All of the command line, for help and completions. The servers' flags are read elsewhere, as Go reads them.
pub(crate) fn command() -> clap::Command {
    let mut command = Cli::command();
    for daemon in Daemon::ALL {
        let about = match daemon {
            Daemon::Nsqd => "Run an nsqd in memory, with nsqd's own flags",
            Daemon::Nsqlookupd => "Run an nsqlookupd in memory, with nsqlookupd's own flags",
        };
        let flags = daemon.flags().iter().map(argument);
        let server = clap::Command::new(daemon.name()).about(about).after_help(daemon_examples(daemon)).args(flags);
        command = command.subcommand(server.disable_version_flag(true));
    }
    command
}

/// What `--help` tells of a server.
pub(crate) fn daemon_help(daemon: Daemon) -> String {
    let mut command = command();
    command.build();
    match command.find_subcommand_mut(daemon.name()) {
        Some(server) => server.render_help().to_string(),
        None => String::new(),
    }
}

fn argument(flag: &Flag) -> Arg {
    let default = if flag.default.is_empty() { String::new() } else { format!(" [default: {}]", flag.default) };
    let idle = if flag.idle { "without effect: " } else { "" };
    let arg = Arg::new(flag.name).long(flag.name).help(format!("{idle}{}{default}", flag.help));
    let arg = arg.value_name(flag.kind.word()).hide(flag.idle);
    if flag.kind.is_switch() { arg.num_args(0..=1).require_equals(true) } else { arg.num_args(1) }
}

fn daemon_examples(daemon: Daemon) -> &'static str {
    match daemon {
        Daemon::Nsqd => {
            "\
Flags have one dash or two, and their values behind = or a space. All of nsqd 1.3.0's are taken; those without effect \
on a server in memory are named once in the log.

Examples:
  gnsq nsqd
  gnsq nsqd --tcp-address=127.0.0.1:0 --lookupd-tcp-address=127.0.0.1:4160 --msg-timeout=90s"
        }
        Daemon::Nsqlookupd => {
            "\
Flags have one dash or two, and their values behind = or a space.

Examples:
  gnsq nsqlookupd
  gnsq nsqlookupd -tcp-address 127.0.0.1:0 -http-address 127.0.0.1:0"
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  gnsq dev
  gnsq pub orders 'one coffee' --nsqd-tcp-address localhost
  gnsq tail orders --lookupd-http-address localhost
  gnsq help pub";

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command().debug_assert();
    }
}
