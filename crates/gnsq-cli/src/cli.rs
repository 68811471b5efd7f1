//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

use crate::admin::{ChannelCommand, NodesArgs, TombstoneArgs, TopicCommand};
use crate::completions::CompletionsArgs;
use crate::exit::EXIT_CODES;
use crate::publish::PubArgs;
use crate::stat::StatArgs;
use crate::tail::TailArgs;

/// NSQ at a terminal: publish, read, watch and administer
#[derive(Debug, Parser)]
#[command(name = "gnsq", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"), max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Read connection options from this TOML file [env: GNSQ_CONFIG] [default: ~/.config/gnsq.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,

    /// Log more to stderr: -v what happens, -vv details, -vvv everything [env: GNSQ_LOG]
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pub(PubArgs),
    Tail(TailArgs),
    Stat(StatArgs),
    Topic(TopicCommand),
    Channel(ChannelCommand),
    Nodes(NodesArgs),
    Tombstone(TombstoneArgs),
    Completions(CompletionsArgs),
}

const EXAMPLES: &str = "\
Examples:
  gnsq pub orders 'one coffee' --nsqd-tcp-address localhost
  gnsq tail orders --lookupd-http-address localhost
  gnsq help pub";
