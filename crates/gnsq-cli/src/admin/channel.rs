//! `gnsq channel`: makes, deletes, empties and pauses channels.

use clap::{Args, Subcommand};
use gnsq::{ChannelName, TopicName};

use super::change;
use crate::cluster::{Target, Verb};
use crate::exit::{Exit, Failure};
use crate::options::CommonArgs;

/// Create, delete, empty, pause or unpause a channel
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ChannelCommand {
    #[command(subcommand)]
    action: ChannelAction,
}

#[derive(Debug, Subcommand)]
enum ChannelAction {
    /// Make a channel known to every nsqlookupd, and make it on every nsqd that has the topic
    #[command(after_help = "Example:\n  gnsq channel create orders billing --lookupd-http-address localhost")]
    Create(ChannelArgs),
    /// Delete a channel with its messages, everywhere
    #[command(after_help = "Example:\n  gnsq channel delete orders billing --lookupd-http-address localhost")]
    Delete(ChannelArgs),
    /// Drop the channel's messages, also those in flight and deferred
    #[command(after_help = "Example:\n  gnsq channel empty orders billing --lookupd-http-address localhost")]
    Empty(ChannelArgs),
    /// Hold messages back from the channel's consumers
    #[command(after_help = "Example:\n  gnsq channel pause orders billing --lookupd-http-address localhost")]
    Pause(ChannelArgs),
    /// Let messages go to the channel's consumers again
    #[command(after_help = "Example:\n  gnsq channel unpause orders billing --lookupd-http-address localhost")]
    Unpause(ChannelArgs),
}

#[derive(Debug, Args)]
struct ChannelArgs {
    /// The topic
    topic: TopicName,

    /// The channel
    channel: ChannelName,

    /// Print a line of JSON for each server
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    common: CommonArgs,
}

pub(crate) async fn run(command: ChannelCommand) -> Result<Exit, Failure> {
    let (verb, args) = match command.action {
        ChannelAction::Create(args) => (Verb::Create, args),
        ChannelAction::Delete(args) => (Verb::Delete, args),
        ChannelAction::Empty(args) => (Verb::Empty, args),
        ChannelAction::Pause(args) => (Verb::Pause, args),
        ChannelAction::Unpause(args) => (Verb::Unpause, args),
    };
    let target = Target::Channel(args.topic, args.channel);
    change::run(verb, &target, args.common, args.json).await
}

const AFTER_HELP: &str = "\
Each server is told one by one; when some fail, the others are told nevertheless, and the exit code is 3.

Examples:
  gnsq channel create orders billing --lookupd-http-address localhost
  gnsq channel empty orders billing --nsqd-http-address nsqd-1,nsqd-2 --json";
