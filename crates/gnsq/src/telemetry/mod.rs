//! What the clients tell a recorder of metrics. Without the feature `metrics` all of this is empty.

#[cfg(feature = "metrics")]
mod instruments;
#[cfg(not(feature = "metrics"))]
#[path = "nothing.rs"]
mod instruments;

use std::time::Instant;

use gnsq_proto::{ChannelName, TopicName};

use self::instruments::{Counter, Histogram, Labels, Level};
use crate::address::Address;
use crate::error::{Error, Result};

/// Declares the names, and describes them to the recorder. `crate::metrics` documents them.
macro_rules! names {
    ($($kind:ident $constant:ident = $name:literal, $unit:ident, $help:literal;)*) => {
        $(const $constant: &str = $name;)*

        /// Gives the recorder the units and meanings.
        fn describe() {
            #[cfg(feature = "metrics")]
            {
                $(metrics::$kind!($name, metrics::Unit::$unit, $help);)*
            }
        }

        #[cfg(all(test, feature = "metrics"))]
        const ALL: &[&str] = &[$($name),*];
    };
}

names! {
    describe_counter RECEIVED = "gnsq_consumer_messages_received_total", Count, "Messages received, each delivery counted";
    describe_counter FINISHED = "gnsq_consumer_messages_finished_total", Count, "Messages finished";
    describe_counter REQUEUED = "gnsq_consumer_messages_requeued_total", Count, "Messages requeued";
    describe_counter EXPIRED = "gnsq_consumer_messages_expired_total", Count, "Messages whose time ran out unanswered";
    describe_counter TOO_LATE = "gnsq_consumer_messages_too_late_total", Count, "Answers that nsqd refused as too late";
    describe_counter GIVEN_UP = "gnsq_consumer_messages_given_up_total", Count, "Messages given up after too many attempts";
    describe_counter FAILURES = "gnsq_consumer_handler_failures_total", Count, "Messages on which handlers failed or panicked";
    describe_histogram HANDLER = "gnsq_consumer_handler_seconds", Seconds, "How long handlers took";
    describe_gauge IN_FLIGHT = "gnsq_consumer_in_flight", Count, "Messages received and not answered yet";
    describe_gauge READY = "gnsq_consumer_ready", Count, "The RDY that nsqd was told last";
    describe_gauge BACKING_OFF = "gnsq_consumer_backing_off", Count, "Consumers that backoff holds back";
    describe_gauge CONSUMER_CONNECTED = "gnsq_consumer_connections", Count, "Connections to nsqds in use";
    describe_counter CONSUMER_CONNECTS = "gnsq_consumer_connects_total", Count, "Connections that came into use";
    describe_counter CONSUMER_CONNECT_FAILURES = "gnsq_consumer_connect_failures_total", Count, "Attempts to connect that failed";
    describe_counter LOOKUPD_FAILURES = "gnsq_lookupd_failures_total", Count, "Questions to nsqlookupd without an answer";
    describe_counter PUBLISHES = "gnsq_producer_publishes_total", Count, "Publishes, by how they ended";
    describe_histogram PUBLISH = "gnsq_producer_publish_seconds", Seconds, "How long publishes took, retries included";
    describe_histogram BATCH = "gnsq_producer_batch_messages", Count, "Messages that went out with one command";
    describe_gauge PRODUCER_CONNECTED = "gnsq_producer_connections", Count, "Connections to nsqds in use";
    describe_counter PRODUCER_CONNECTS = "gnsq_producer_connects_total", Count, "Connections that came into use";
    describe_counter PRODUCER_CONNECT_FAILURES = "gnsq_producer_connect_failures_total", Count, "Attempts to connect that failed";
}

/// What a consumer tells as a whole.
#[derive(Debug)]
pub(crate) struct ConsumerMeter {
    pub(crate) backing_off: Level,
}

impl ConsumerMeter {
    /// `topics`: the names, or the pattern.
    pub(crate) fn new(topics: &impl ToString, channel: &ChannelName) -> Self {
        describe();
        let labels = Labels::default().with("topic", topics).with("channel", channel);
        Self { backing_off: Level::new(BACKING_OFF, &labels) }
    }
}

/// What a producer tells.
#[derive(Debug)]
pub(crate) struct ProducerMeter {
    ok: Counter,
    refused: Counter,
    not_sent: Counter,
    unknown: Counter,
    time: Histogram,
}

impl ProducerMeter {
    pub(crate) fn new() -> Self {
        describe();
        let publishes = |outcome| Counter::new(PUBLISHES, &Labels::default().with("outcome", outcome));
        Self {
            ok: publishes("ok"),
            refused: publishes("refused"),
            not_sent: publishes("not_sent"),
            unknown: publishes("unknown"),
            time: Histogram::new(PUBLISH, &Labels::default()),
        }
    }

    /// A publish has ended.
    pub(crate) fn published(&self, outcome: &Result<()>, began: Instant) {
        let ending = match outcome {
            Ok(()) => &self.ok,
            Err(error) if error.outcome_unknown() => &self.unknown,
            Err(Error::Refused { .. }) => &self.refused,
            Err(_) => &self.not_sent,
        };
        ending.add(1);
        self.time.record_since(began);
    }
}

/// What is told of one nsqd's connection, and of those that follow it. The default tells nothing.
#[derive(Debug, Default)]
pub(crate) struct ConnectionMeter {
    pub(crate) connects: Counter,
    pub(crate) connect_failures: Counter,
    pub(crate) connected: Level,
    pub(crate) in_flight: Level,
    pub(crate) ready: Level,
    pub(crate) received: Counter,
    pub(crate) finished: Counter,
    pub(crate) requeued: Counter,
    pub(crate) expired: Counter,
    pub(crate) too_late: Counter,
    pub(crate) given_up: Counter,
    pub(crate) handler_failures: Counter,
    pub(crate) handler: Histogram,
    pub(crate) batches: Histogram,
}

impl ConnectionMeter {
    pub(crate) fn of_consumer(topic: &TopicName, channel: &ChannelName, nsqd: &Address) -> Self {
        let all = Labels::default().with("topic", topic).with("channel", channel);
        let one = all.with("nsqd", nsqd);
        let counter = |name| Counter::new(name, &all);
        Self {
            connects: Counter::new(CONSUMER_CONNECTS, &one),
            connect_failures: Counter::new(CONSUMER_CONNECT_FAILURES, &one),
            connected: Level::new(CONSUMER_CONNECTED, &one),
            in_flight: Level::new(IN_FLIGHT, &one),
            ready: Level::new(READY, &one),
            received: counter(RECEIVED),
            finished: counter(FINISHED),
            requeued: counter(REQUEUED),
            expired: counter(EXPIRED),
            too_late: counter(TOO_LATE),
            given_up: counter(GIVEN_UP),
            handler_failures: counter(FAILURES),
            handler: Histogram::new(HANDLER, &all),
            batches: Histogram::default(),
        }
    }

    pub(crate) fn of_producer(nsqd: &Address) -> Self {
        let labels = Labels::default().with("nsqd", nsqd);
        Self {
            connects: Counter::new(PRODUCER_CONNECTS, &labels),
            connect_failures: Counter::new(PRODUCER_CONNECT_FAILURES, &labels),
            connected: Level::new(PRODUCER_CONNECTED, &labels),
            batches: Histogram::new(BATCH, &Labels::default()),
            ..Self::default()
        }
    }
}

/// A question to an nsqlookupd came to nothing.
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "nobody asks without"))]
pub(crate) fn lookupd_failed(lookupd: &str) {
    Counter::new(LOOKUPD_FAILURES, &Labels::default().with("lookupd", lookupd)).add(1);
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::ALL;

    #[test]
    fn every_name_is_documented_and_no_other() {
        let documented: Vec<_> = include_str!("../metrics.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `gnsq_")?.split_once('`'))
            .map(|(name, _)| format!("gnsq_{name}"))
            .collect();
        assert_eq!(documented, ALL);
    }
}
