//! What a work is given.

use std::net::SocketAddr;
use std::time::Duration;

/// The options of all works; each takes those that it has a use for.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where nsqds listen.
    pub(crate) nsqd: Vec<SocketAddr>,
    /// How many messages there are, on all nsqds and of all topics together.
    pub(crate) messages: usize,
    /// A body's size in bytes.
    pub(crate) body: usize,
    /// How many topics they are published to, in turn.
    pub(crate) topics: usize,
    /// How many publishes wait for their answer at once.
    pub(crate) outstanding: usize,
    pub(crate) batching: bool,
    pub(crate) max_in_flight: u32,
    pub(crate) low_latency: bool,
    /// How many messages are published a second; 0 for as many as nsqd takes.
    pub(crate) rate: u32,
    pub(crate) lasts: Duration,
    /// How many nsqds are started.
    pub(crate) servers: usize,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            options.set(&name, &value).ok_or_else(|| format!("{name} {value} is no option"))?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "--nsqd" => self.nsqd = value.split(',').map(str::parse).collect::<Result<_, _>>().ok()?,
            "--messages" => self.messages = value.parse().ok()?,
            "--body" => self.body = value.parse().ok()?,
            "--topics" => self.topics = value.parse().ok().filter(|topics| *topics > 0)?,
            "--outstanding" => self.outstanding = value.parse().ok().filter(|outstanding| *outstanding > 0)?,
            "--batching" => self.batching = value.parse().ok()?,
            "--max-in-flight" => self.max_in_flight = value.parse().ok()?,
            "--low-latency" => self.low_latency = value.parse().ok()?,
            "--rate" => self.rate = value.parse().ok()?,
            "--seconds" => self.lasts = Duration::try_from_secs_f64(value.parse().ok()?).ok()?,
            "--servers" => self.servers = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    /// The topics' names, as `bench/harness/server.py` has them.
    pub(crate) fn names(&self) -> Vec<String> {
        match self.topics {
            1 => vec!["bench".to_owned()],
            topics => (0..topics).map(|topic| format!("bench-{topic}")).collect(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nsqd: Vec::new(),
            messages: 100_000,
            body: 200,
            topics: 1,
            outstanding: 100,
            batching: true,
            max_in_flight: 2500,
            low_latency: true,
            rate: 1000,
            lasts: Duration::from_secs(1),
            servers: 1,
        }
    }
}

pub(crate) const CHANNEL: &str = "bench";
