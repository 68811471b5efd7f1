//! `gnsq topic`: makes, deletes, empties and pauses topics.

use clap::{Args, Subcommand};
use gnsq::TopicName;

use super::change;
use crate::cluster::{Target, Verb};
use crate::exit::{Exit, Failure};
use crate::options::CommonArgs;

/// Create, delete, empty, pause or unpause a topic
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct TopicCommand {
    #[command(subcommand)]
    action: TopicAction,
}

#[derive(Debug, Subcommand)]
enum TopicAction {
    /// Make a topic known to every nsqlookupd, and make it on the nsqds that are named
    #[command(after_help = "Example:\n  gnsq topic create orders --lookupd-http-address localhost")]
    Create(TopicArgs),
    /// Delete a topic with its channels and messages, everywhere
    #[command(after_help = "Example:\n  gnsq topic delete orders --lookupd-http-address localhost")]
    Delete(TopicArgs),
    /// Drop the messages that wait in the topic itself; those in its channels stay
    #[command(after_help = "Example:\n  gnsq topic empty orders --lookupd-http-address localhost")]
    Empty(TopicArgs),
    /// Hold messages back from the topic's channels, on every nsqd that has it
    #[command(after_help = "Example:\n  gnsq topic pause orders --lookupd-http-address localhost")]
    Pause(TopicArgs),
    /// Let messages go to the topic's channels again
    #[command(after_help = "Example:\n  gnsq topic unpause orders --lookupd-http-address localhost")]
    Unpause(TopicArgs),
}

#[derive(Debug, Args)]
struct TopicArgs {
    /// The topic
    topic: TopicName,

    /// Print a line of JSON for each server
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    common: CommonArgs,
}

pub(crate) async fn run(command: TopicCommand) -> Result<Exit, Failure> {
    let (verb, args) = match command.action {
        TopicAction::Create(args) => (Verb::Create, args),
        TopicAction::Delete(args) => (Verb::Delete, args),
        TopicAction::Empty(args) => (Verb::Empty, args),
        TopicAction::Pause(args) => (Verb::Pause, args),
        TopicAction::Unpause(args) => (Verb::Unpause, args),
    };
    change::run(verb, &Target::Topic(args.topic), args.common, args.json).await
}

const AFTER_HELP: &str = "\
Each server is told one by one; when some fail, the others are told nevertheless, and the exit code is 3.

Examples:
  gnsq topic create orders --lookupd-http-address localhost
  gnsq topic pause orders --nsqd-http-address nsqd-1,nsqd-2 --json";
