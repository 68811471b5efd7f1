//! `gnsq pub`: publishes messages, each confirmed.

mod batch;
mod destination;
mod failed;
mod input;
mod pace;
mod pump;
mod report;
mod splitter;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use gnsq::{Address, TopicName};

use self::batch::Batch;
use self::destination::{Destination, Settings};
use self::failed::FailedMessages;
use self::input::Input;
use self::pace::Pace;
use self::pump::{End, Pump};
use self::report::Report;
use self::splitter::Splitter;
use crate::escape::Delimiter;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::options::{CommonArgs, Connection, Uses};
use crate::{cluster, duration, output};

/// Publish messages: of the command line, a file or stdin
#[allow(clippy::struct_excessive_bools, reason = "each is an option")]
#[derive(Debug, Args)]
#[command(name = "pub", after_help = AFTER_HELP)]
pub(crate) struct PubArgs {
    /// The topic
    topic: TopicName,

    /// Messages; without any, those of --file or stdin
    #[arg(conflicts_with = "file")]
    message: Vec<String>,

    /// Read messages from this file, - for stdin
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,

    /// What is between messages of a file or stdin; \n, \t, \0 and \xNN are understood
    #[arg(long, value_name = "TEXT", default_value = "\\n")]
    delimiter: Delimiter,

    /// Publish up to this many messages that are there with one command (MPUB)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with = "defer")]
    batch: u32,

    /// Publish at most this many messages a second
    #[arg(long, value_name = "N", value_parser = pace::rate)]
    rate: Option<f64>,

    /// Have nsqd deliver each message only after this time, at most 1h
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    defer: Option<Duration>,

    /// Publish each message to one of the nsqds in turn; one that fails is left out (the default)
    #[arg(long, conflicts_with = "copy")]
    balance: bool,

    /// Publish each message to all of the nsqds
    #[arg(long)]
    copy: bool,

    /// How many messages may be without an answer
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_outstanding: u32,

    /// Publish again what was sent to an nsqd that vanished without an answer; it may then be there twice
    #[arg(long)]
    retry_unknown: bool,

    /// Append what is not published to this file [default: stderr]
    #[arg(long, value_name = "FILE")]
    failed: Option<PathBuf>,

    /// Print lines of JSON to stdout: failures, and a summary at the end
    #[arg(long)]
    json: bool,

    /// Say nothing if all goes well
    #[arg(long, short)]
    quiet: bool,

    #[command(flatten)]
    common: CommonArgs,
}

pub(crate) async fn run(args: PubArgs) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let connection = args.common.begin(Uses::Tcp)?;
    if args.defer.is_some_and(|delay| delay > MAX_DEFER) {
        return Err(Failure::usage("--defer is at most 1h: nsqd would refuse more"));
    }
    let settings = Arc::new(Settings {
        topic: args.topic,
        defer: args.defer,
        copy: args.copy,
        retry_unknown: args.retry_unknown,
        max_outstanding: args.max_outstanding,
        max_outstanding_bytes: MAX_OUTSTANDING_BYTES,
        timeout: connection.timeout,
        has_secret: connection.has_secret(),
    });
    let delimiter = args.delimiter.into_bytes();
    let failed = FailedMessages::open(args.failed.as_deref(), delimiter.clone())?;
    let file = args.file.filter(|path| path != Path::new("-"));
    if file.as_deref().is_some_and(|input| failed.is(input)) {
        return Err(Failure::usage("--file and --failed are the same file: it would never end"));
    }
    let is_watched = !args.quiet && !args.json && args.message.is_empty();
    let input = if args.message.is_empty() {
        let splitter = Splitter::new(delimiter, connection.max_msg_size);
        // Little is read ahead of a slow rate.
        let piece = if args.rate.is_some() { SMALL_PIECE } else { PIECE };
        Input::stream(file.clone(), splitter, piece)?
    } else {
        Input::arguments(args.message.into_iter().map(Into::into).collect(), connection.max_msg_size)
    };
    let connect = connect(&connection, &settings);
    let destination = tokio::select! {
        destination = connect => destination,
        interrupt = interrupts.next() => {
            failed.finish(false);
            return Ok(Exit::Interrupted(interrupt));
        }
    };
    let destination = match destination {
        Ok(destination) => destination,
        Err(failure) => {
            failed.finish(false);
            return Err(failure);
        }
    };
    if is_watched && file.is_none() && io::stdin().is_terminal() {
        output::complain("reading messages from the terminal, one a line; end with Ctrl-D");
    }
    let report = Report::new(input.size(), is_watched, args.json);
    let batch = Batch::new(args.batch as usize, connection.max_body_size);
    let pace = Pace::new(args.rate, Instant::now());
    let mut pump = Pump { input, destination, settings, batch, pace, failed, report };
    let end = pump.run(&mut interrupts).await;
    if !end.given_up {
        tokio::select! {
            () = pump.destination.close() => {}
            // Nothing is outstanding any more.
            _ = interrupts.next() => {}
        }
    }
    finish(pump, &end, args.quiet)
}

async fn connect(connection: &Connection, settings: &Settings) -> Result<Destination, Failure> {
    let mut addresses = connection.tcp_addresses().to_vec();
    let found = cluster::nodes(&connection.lookupds).await?;
    for (_, failure) in found.failures {
        output::complain(failure);
    }
    for node in found.answers {
        if let Some(Ok(address)) = node.producer.tcp_address().map(|address| address.parse::<Address>())
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(Failure::failed("nothing is published: nsqlookupd knows no nsqd"));
    }
    Destination::connect(addresses, &connection.config(), settings).await
}

fn finish(pump: Pump, end: &End, quiet: bool) -> Result<Exit, Failure> {
    let Pump { input, settings, failed, report, .. } = pump;
    let failures = report.counts.failed();
    let stopped = end.interrupt.and(input.size()).and(input.taken());
    let stopped = stopped.map(|taken| format!("stopped after {taken} bytes of the file"));
    report.finish(settings.topic.as_str(), &failed.name(), end.interrupt.is_some(), stopped.as_deref(), quiet);
    let broken = failed.broken;
    failed.finish(failures > 0);
    if let Some(failure) = &end.unreadable {
        return Err(failure.clone());
    }
    Ok(match end.interrupt {
        _ if broken => Exit::Failed,
        _ if failures > 0 => Exit::Partial,
        Some(interrupt) => Exit::Interrupted(interrupt),
        None => Exit::Done,
    })
}

/// nsqd's default `--max-req-timeout`.
const MAX_DEFER: Duration = Duration::from_secs(60 * 60);

/// The pump's own bound is lower.
const MAX_OUTSTANDING_BYTES: u32 = 64 * 1024 * 1024;

const PIECE: usize = 64 * 1024;
const SMALL_PIECE: usize = 4 * 1024;

const AFTER_HELP: &str = "\
Each message is confirmed by nsqd. What is not goes to the file of --failed, or to stderr, from where it can be \
published again; a message that was sent and never confirmed may then be there twice. Ctrl-C ends the reading and \
waits for what was sent. With nsqlookupd, messages go to all nsqds that it knows at the start.

Examples:
  gnsq pub orders 'one coffee' 'two teas' --nsqd-tcp-address localhost
  tail -F app.log | gnsq pub logs --lookupd-http-address localhost
  gnsq pub orders --file orders.jsonl --batch 200 --failed orders.failed
  find . -print0 | gnsq pub files --delimiter '\\0'
  gnsq pub reminders 'tea is ready' --defer 3m
  gnsq pub config 'reload' --copy --nsqd-tcp-address nsqd-1,nsqd-2";
