//! `gnsq tail`: prints messages as they come.

mod line;
mod pretty;
mod topics;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use futures_util::stream::{self, SelectAll};
use futures_util::{FutureExt, Stream, StreamExt};
use gnsq::{ChannelName, ConnectionConfig, Consumer, ConsumerHandle, Message, TopicName};
use regex::Regex;
use tokio::time::timeout;

use self::line::{Shown, Style};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::options::{CommonArgs, Connection, Uses};
use crate::{duration, output};

/// Print the messages of topics as they come
#[allow(clippy::struct_excessive_bools, reason = "each is an option")]
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct TailArgs {
    /// The topics
    #[arg(required_unless_present = "topic_regex")]
    topic: Vec<TopicName>,

    /// Also all topics that nsqlookupd knows, now and later, whose names match; use ^ and $ for whole names
    #[arg(long, value_name = "REGEX")]
    topic_regex: Option<Regex>,

    /// The channel [default: tailNNNNNN#ephemeral, NNNNNN being random]
    #[arg(long, value_name = "NAME")]
    channel: Option<ChannelName>,

    /// End after this many messages, all topics together
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    number: Option<u64>,

    /// How many messages of a topic may be on their way
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_in_flight: u32,

    /// How often nsqlookupd is asked for nsqds and new topics
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration::parse)]
    refresh: Duration,

    /// Print the topic before each message
    #[arg(long)]
    print_topic: bool,

    /// Print when nsqd received each message, in UTC
    #[arg(long)]
    timestamps: bool,

    /// Print how often each message was delivered
    #[arg(long)]
    attempts: bool,

    /// Print the id of each message
    #[arg(long)]
    id: bool,

    /// Print JSON over several lines
    #[arg(long, conflicts_with = "json")]
    pretty: bool,

    /// Print each message as a line of JSON: topic, id, attempts, timestamp (ns), nsqd, encoding (utf-8, or base64 for
    /// other bytes) and body
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    common: CommonArgs,
}

pub(crate) async fn run(args: TailArgs) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let terminal = output::stdout_is_terminal();
    let style = Style {
        json: args.json,
        pretty: args.pretty,
        topic: args.print_topic,
        timestamp: args.timestamps,
        attempts: args.attempts,
        id: args.id,
        harmless: terminal,
        colour: output::colours_stdout(),
    };
    let connection = args.common.begin(Uses::Tcp)?;
    let mut readers = Readers {
        config: connection.config(),
        channel: match args.channel {
            Some(channel) => channel,
            None => random_channel()?,
        },
        max_in_flight: args
            .number
            .map_or(args.max_in_flight, |number| args.max_in_flight.min(u32::try_from(number).unwrap_or(u32::MAX))),
        refresh: args.refresh.max(SHORTEST_REFRESH),
        connection,
        messages: SelectAll::new(),
        handles: Vec::new(),
    };
    let mut found = tokio::select! {
        found = readers.begin(args.topic, args.topic_regex) => pin!(found?),
        interrupt = interrupts.next() => return Ok(Exit::Interrupted(interrupt)),
    };
    let mut left = args.number.unwrap_or(u64::MAX);
    let exit = loop {
        let (topic, message) = tokio::select! {
            biased;
            interrupt = interrupts.next() => break Ok(Exit::Interrupted(interrupt)),
            Some(topics) = found.next() => {
                for topic in topics {
                    readers.add(&topic)?;
                }
                continue;
            }
            Some(message) = readers.messages.next() => message,
            else => break Err(Failure::failed("there is nothing left to read")),
        };
        // What is there already goes with it, in one write.
        let mut batch = Batch::default();
        batch.add(style, &topic, message);
        while (batch.messages.len() as u64) < left
            && batch.text.len() < MAX_WRITE
            && let Some(Some((topic, message))) = readers.messages.next().now_or_never()
        {
            batch.add(style, &topic, message);
        }
        let mut writing = pin!(write(batch.text));
        let mut interrupted = None;
        let written = tokio::select! {
            biased;
            written = &mut writing => written,
            interrupt = interrupts.next() => {
                interrupted = Some(interrupt);
                // What is printed is to be finished; a reader who takes nothing is not waited for.
                match timeout(WRITE_GRACE, writing).await {
                    Ok(written) => written,
                    Err(_) => break Ok(Exit::Interrupted(interrupt)),
                }
            }
        };
        if let Err(error) = written {
            break output::write_failed(&error);
        }
        left -= batch.messages.len() as u64;
        for message in batch.messages {
            let id = message.id();
            if let Err(error) = message.finish() {
                tracing::warn!(%id, %error, "printed, and not finished");
            }
        }
        if left == 0 {
            break Ok(Exit::Done);
        }
        if let Some(interrupt) = interrupted {
            break Ok(Exit::Interrupted(interrupt));
        }
    };
    tokio::select! {
        () = readers.end() => {}
        _ = interrupts.next() => {}
    }
    exit
}

/// The consumers, one a topic.
struct Readers {
    connection: Connection,
    config: ConnectionConfig,
    channel: ChannelName,
    max_in_flight: u32,
    refresh: Duration,
    messages: SelectAll<stream::BoxStream<'static, (TopicName, Message)>>,
    handles: Vec<ConsumerHandle>,
}

/// Messages that are printed together.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    messages: Vec<Message>,
}

impl Readers {
    /// Begins to read the topics that are named and those that match now; returns those that will match later.
    async fn begin(
        &mut self,
        topics: Vec<TopicName>,
        regex: Option<Regex>,
    ) -> Result<impl Stream<Item = Vec<TopicName>> + use<>, Failure> {
        let lookupds = self.connection.lookupds.clone();
        if regex.is_some() && lookupds.is_empty() {
            return Err(Failure::usage("--topic-regex needs --lookupd-http-address, to know the topics"));
        }
        let mut seen: BTreeSet<_> = topics.into_iter().collect();
        for topic in &seen {
            self.add(topic)?;
        }
        if lookupds.is_empty() {
            return Ok(stream::pending().left_stream());
        }
        let known = match topics::known(&lookupds).await {
            // The consumers go on asking, about the topics that are named.
            Err(failure) if regex.is_none() => {
                output::complain(failure);
                return Ok(stream::pending().left_stream());
            }
            known => known?,
        };
        if self.connection.tcp_addresses().is_empty() {
            for topic in seen.difference(&known) {
                output::complain(format!("topic {topic} is not known to nsqlookupd yet: waiting for it"));
            }
        }
        let Some(regex) = regex else { return Ok(stream::pending().left_stream()) };
        let matching = topics::unseen(known, &regex, &mut seen);
        for topic in &matching {
            self.add(topic)?;
        }
        if seen.is_empty() {
            output::complain(format!("no topic matches {regex} yet: waiting for one"));
        }
        Ok(topics::matching(lookupds, regex, self.refresh, seen).right_stream())
    }

    fn add(&mut self, topic: &TopicName) -> Result<(), Failure> {
        let mut builder = Consumer::builder(topic, &self.channel)
            .nsqds(self.connection.tcp_addresses())
            .connection(self.config.clone())
            .lookupd_poll_interval(self.refresh)
            .max_in_flight(self.max_in_flight)
            // To give a message up would be to drop it unseen.
            .max_attempts(0)
            .shutdown_timeout(SHUTDOWN_TIMEOUT);
        for lookupd in &self.connection.lookupds {
            builder = builder.lookupd_client(lookupd.clone());
        }
        let consumer = builder.build().map_err(Failure::usage)?;
        self.handles.push(consumer.handle().clone());
        let topic = topic.clone();
        self.messages.push(consumer.map(move |message| (topic.clone(), message)).boxed());
        Ok(())
    }

    /// Requeues what was not printed, and sends what was not sent yet.
    async fn end(self) {
        drop(self.messages);
        join_all(self.handles.iter().map(ConsumerHandle::shutdown)).await;
    }
}

impl Batch {
    fn add(&mut self, style: Style, topic: &TopicName, message: Message) {
        let shown = Shown {
            topic: topic.as_str(),
            id: &message.id().to_string(),
            attempts: message.attempts(),
            timestamp: message.timestamp(),
            nsqd: &message.nsqd().to_string(),
            body: message.body(),
        };
        style.print(shown, &mut self.text);
        self.messages.push(message);
    }
}

/// Writes on a thread of its own: a reader that takes its time must not keep signals waiting.
async fn write(text: Vec<u8>) -> io::Result<()> {
    let write = move || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&text)?;
        stdout.flush()
    };
    tokio::task::spawn_blocking(write).await?
}

fn random_channel() -> Result<ChannelName, Failure> {
    ChannelName::new(format!("tail{:06}#ephemeral", fastrand::u32(0..1_000_000))).map_err(Failure::failed)
}

/// More would only delay the first line.
const MAX_WRITE: usize = 64 * 1024;

/// A write that nobody holds up has ended by then.
const WRITE_GRACE: Duration = Duration::from_secs(1);

/// An nsqlookupd shared by many is not to be asked all the time.
const SHORTEST_REFRESH: Duration = Duration::from_millis(100);

/// Nothing is in hand by then.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

const AFTER_HELP: &str = "\
A message is finished when its line is written; all others are requeued at the end. Without --channel, a channel of \
its own is made and goes with the program, so that no other consumer misses a message.

Examples:
  gnsq tail orders --nsqd-tcp-address localhost
  gnsq tail orders payments --print-topic --timestamps --lookupd-http-address localhost
  gnsq tail --topic-regex '^log\\.' --json --lookupd-http-address localhost | jq .body
  gnsq tail orders --channel audit -n 10 --pretty";
