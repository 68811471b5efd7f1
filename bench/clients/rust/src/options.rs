//! What a program is asked to do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// One message a command, each confirmed.
    Publish,
    /// Many messages a command, each command confirmed.
    Multipublish,
    /// Take messages and finish each.
    Consume,
    /// Publish, and receive what was published.
    RoundTrip,
    /// So many consumers with nothing to do.
    Idle,
    /// Receive one message, as soon as can be.
    First,
    /// Publish so many messages a second, each with the time.
    Pace,
    /// Time what `Pace` publishes in another process.
    Latency,
}

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) work: Work,
    pub(crate) count: usize,
    pub(crate) addresses: Vec<SocketAddr>,
    /// What is published, one after the other and from the first again.
    pub(crate) bodies: Vec<Bytes>,
    /// How many commands are without an answer at once.
    pub(crate) outstanding: usize,
    /// How many messages a command has, where it has many.
    pub(crate) batch: usize,
    /// Whether single publishes may share a command.
    pub(crate) batching: bool,
    pub(crate) max_in_flight: u32,
    /// How many messages are handled at once.
    pub(crate) handlers: usize,
    /// Messages a second that are published; 0: each when the one before was received, or as many as nsqd takes.
    pub(crate) rate: u32,
    /// How long they are published.
    pub(crate) lasts: Duration,
    pub(crate) low_latency: bool,
    /// A file with the certificate to trust.
    pub(crate) tls: Option<PathBuf>,
    pub(crate) snappy: bool,
    pub(crate) deflate: Option<u8>,
    /// How many topics there are: one is `bench`, several are `bench-0`, `bench-1`, …
    pub(crate) topics: usize,
    /// How many connections consume each topic.
    pub(crate) consumers: usize,
}

impl Options {
    /// `WORK COUNT ADDRESS[,ADDRESS…] --NAME VALUE…`; the error is to be shown.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let [work, count, addresses, options @ ..] = arguments else { return Err(crate::USAGE.to_owned()) };
        let mut parsed = Self {
            work: work_named(work)?,
            count: number("COUNT", count)?,
            addresses: addresses.split(',').map(|address| number("ADDRESS", address)).collect::<Result<_, _>>()?,
            bodies: Vec::new(),
            outstanding: 100,
            batch: 200,
            batching: true,
            max_in_flight: 2500,
            handlers: 1,
            rate: 0,
            lasts: Duration::from_secs(1),
            low_latency: true,
            tls: None,
            snappy: false,
            deflate: None,
            topics: 1,
            consumers: 1,
        };
        let (mut body, mut file) = (200, None);
        for option in options.chunks(2) {
            let [name, value] = option else { return Err(format!("{} has no value", option[0])) };
            match name.as_str() {
                "--body" => body = number(name, value)?,
                "--bodies" => file = Some(value),
                "--outstanding" => parsed.outstanding = number(name, value)?,
                "--batch" => parsed.batch = number(name, value)?,
                "--batching" => parsed.batching = yes(value),
                "--max-in-flight" => parsed.max_in_flight = number(name, value)?,
                "--handlers" => parsed.handlers = number(name, value)?,
                "--rate" => parsed.rate = number(name, value)?,
                "--seconds" => parsed.lasts = Duration::from_secs_f64(number(name, value)?),
                "--low-latency" => parsed.low_latency = yes(value),
                "--tls" => parsed.tls = Some(value.into()),
                "--snappy" => parsed.snappy = yes(value),
                "--deflate" => parsed.deflate = Some(number(name, value)?),
                "--topics" => parsed.topics = number(name, value)?,
                "--consumers" => parsed.consumers = number(name, value)?,
                _ => return Err(format!("{name} is unknown")),
            }
        }
        parsed.bodies = match file {
            Some(path) => {
                let whole = Bytes::from(std::fs::read(path).map_err(|error| format!("{path}: {error}"))?);
                (0..whole.len() / body).map(|at| whole.slice(at * body..(at + 1) * body)).collect()
            }
            None => vec![Bytes::from(vec![b'x'; body])],
        };
        Ok(parsed)
    }

    /// The topics' names.
    pub(crate) fn topics(&self) -> Vec<String> {
        match self.topics {
            1 => vec![crate::TOPIC.to_owned()],
            count => (0..count).map(|number| format!("{}-{number}", crate::TOPIC)).collect(),
        }
    }

    /// The first nsqd: the only one, for who publishes to one.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }
}

fn work_named(name: &str) -> Result<Work, String> {
    Ok(match name {
        "publish" => Work::Publish,
        "multipublish" => Work::Multipublish,
        "consume" => Work::Consume,
        "round-trip" => Work::RoundTrip,
        "idle" => Work::Idle,
        "first" => Work::First,
        "pace" => Work::Pace,
        "latency" => Work::Latency,
        _ => return Err(format!("{name} is no work")),
    })
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} can't be {value}"))
}

fn yes(value: &str) -> bool {
    value == "yes"
}
