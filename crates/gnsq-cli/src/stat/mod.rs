//! `gnsq stat`: topics and channels over all nsqds, live or once.

mod columns;
mod counts;
mod draw;
mod live;
mod model;
mod plain;
mod poll;
mod view;

use std::time::{Duration, Instant};

use clap::Args;
use gnsq::{ChannelName, TopicName};
use tokio::time::{MissedTickBehavior, interval};

use self::model::{Key, Model};
use self::poll::Poller;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::options::{CommonArgs, Uses};
use crate::time::Utc;
use crate::{duration, output};

/// Watch topics and channels over all nsqds
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct StatArgs {
    /// Only this topic
    topic: Option<TopicName>,

    /// Only this channel of it, with its clients
    channel: Option<ChannelName>,

    /// How often to ask
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration::parse)]
    interval: Duration,

    /// Print a table once; there are no rates then
    #[arg(long)]
    once: bool,

    /// Print a line of JSON at each interval, or once
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    common: CommonArgs,
}

pub(crate) async fn run(args: StatArgs) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let connection = args.common.begin(Uses::Http)?;
    let poller = Poller::new(connection, args.topic.as_ref(), args.channel.as_ref());
    let looked_at = args
        .topic
        .zip(args.channel)
        .map(|(topic, channel)| Key { topic: topic.to_string(), channel: Some(channel.to_string()) });
    let every = args.interval.max(SHORTEST_INTERVAL);
    if !args.once && !args.json && output::stdout_is_terminal() {
        return live::run(poller, looked_at, every, &mut interrupts).await;
    }
    let print = Print { looked_at, every, once: args.once, json: args.json };
    tokio::select! {
        exit = print.run(poller) => exit,
        interrupt = interrupts.next() => Ok(Exit::Interrupted(interrupt)),
    }
}

/// Prints rounds, for those who have no terminal.
struct Print {
    looked_at: Option<Key>,
    every: Duration,
    once: bool,
    json: bool,
}

impl Print {
    async fn run(&self, mut poller: Poller) -> Result<Exit, Failure> {
        let mut model = Model::default();
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let poll = poller.poll().await;
            model.update(poll, self.looked_at.as_ref(), Instant::now());
            let mut text =
                if self.json { plain::json(&model, Utc::now()).map_err(Failure::failed)? } else { plain::text(&model) };
            if !self.once && !self.json {
                text.push('\n');
            }
            if let Err(error) = output::print(text) {
                return output::write_failed(&error);
            }
            if self.once {
                return Ok(exit(&model));
            }
        }
    }
}

fn exit(model: &Model) -> Exit {
    let answering = model.nodes.iter().filter(|node| !node.version.is_empty()).count();
    if answering == 0 {
        output::complain("no nsqd answers");
        Exit::Failed
    } else if answering < model.nodes.len() || !model.problems.is_empty() {
        Exit::Partial
    } else {
        Exit::Done
    }
}

/// nsqd stops for a moment for each answer.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

const AFTER_HELP: &str = "\
Keys: q quit, s sort, r reverse the order, / filter, arrows scroll, space freeze. ‖ marks what is paused. \
Without a terminal, a table is printed at each interval.

Examples:
  gnsq stat --lookupd-http-address localhost
  gnsq stat orders billing --nsqd-http-address nsqd-1,nsqd-2 --interval 500ms
  gnsq stat --once --json --lookupd-http-address localhost | jq '.topics[] | {topic, depth}'";
