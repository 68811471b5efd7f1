//! Where the messages go.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use gnsq::{Address, ConnectionConfig, Error, Io, NsqdTcpClient, Producer, TopicName};

use crate::exit::Failure;
use crate::output;

/// The nsqds, and how the messages are spread over them.
#[derive(Debug, Clone)]
pub(super) enum Destination {
    /// Each message goes to one of them.
    Balance(Producer),
    /// Each message goes to each of them.
    Copy(Vec<(Address, Producer)>),
}

/// What is published with each message.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) topic: TopicName,
    pub(super) defer: Option<Duration>,
    pub(super) copy: bool,
    pub(super) retry_unknown: bool,
    pub(super) max_outstanding: u32,
    pub(super) max_outstanding_bytes: u32,
    pub(super) timeout: Duration,
    /// Whether there is a secret for AUTH.
    pub(super) has_secret: bool,
}

/// Why a message is not published, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) reason: String,
    /// Whether it may have been published nevertheless.
    pub(super) unknown: bool,
}

impl Destination {
    /// Connects to the nsqds, to make sure that there is one (or all of them, for copies) before anything is read.
    pub(super) async fn connect(
        addresses: Vec<Address>,
        config: &ConnectionConfig,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let mut problems = Vec::new();
        for (address, reached) in join_all(addresses.iter().map(|address| reach(address, config, settings))).await {
            if let Err(error) = reached {
                // Nothing was published on this connection whose outcome could be unknown.
                let text = match &error {
                    Error::Lost { cause, .. } => cause.to_string(),
                    error => error.to_string(),
                };
                // Most errors name it.
                let name = address.to_string();
                problems.push(if text.contains(&name) { text } else { format!("{name}: {text}") });
            }
        }
        if problems.len() == addresses.len() || (settings.copy && !problems.is_empty()) {
            return Err(Failure::failed(format!("nothing is published: {}", problems.join("; "))));
        }
        let reached = addresses.len() - problems.len();
        for problem in problems {
            output::complain(format!("{problem}; it gets messages as soon as it can be reached"));
        }
        let producer = |addresses: &[Address]| {
            Producer::builder()
                .nsqds(addresses)
                .connection(config.clone())
                .publish_timeout(settings.timeout)
                .retry_unknown(settings.retry_unknown)
                .max_outstanding(settings.max_outstanding)
                .max_outstanding_bytes(settings.max_outstanding_bytes)
                .build()
                .map_err(Failure::usage)
        };
        if !settings.copy {
            let producer = producer(&addresses)?;
            all_connected(&producer, reached).await;
            return Ok(Self::Balance(producer));
        }
        let each = addresses.into_iter().map(|address| Ok((address.clone(), producer(&[address])?)));
        each.collect::<Result<_, _>>().map(Self::Copy)
    }

    /// Publishes the messages, and tells for each of them that isn't published why, by its place among them.
    pub(super) async fn publish(&self, settings: &Settings, messages: &[Bytes]) -> Vec<(usize, Rejection)> {
        match self {
            Self::Balance(producer) => publish(producer, settings, messages).await,
            Self::Copy(producers) => {
                let copies = producers.iter().map(|(_, producer)| publish(producer, settings, messages));
                let failures = join_all(copies).await;
                merge(producers.iter().map(|(address, _)| address).zip(failures))
            }
        }
    }

    /// Closes the connections.
    pub(super) async fn close(&self) {
        match self {
            // What was not published, each publish has told.
            Self::Balance(producer) => drop(producer.close().await),
            Self::Copy(producers) => {
                join_all(producers.iter().map(|(_, producer)| producer.close())).await;
            }
        }
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self { unknown: error.outcome_unknown(), reason: error.to_string() }
    }
}

async fn reach<'a>(
    address: &'a Address,
    config: &ConnectionConfig,
    settings: &Settings,
) -> (&'a Address, Result<(), Error>) {
    let reach = async {
        let client = NsqdTcpClient::connect_with(address, config.clone(), &Io::Current).await?;
        let identified = client.identify().await?;
        client.close().await;
        if identified.auth_required && !settings.has_secret {
            return Err(Error::AuthRequired { address: address.clone() });
        }
        Ok(())
    };
    (address, reach.await)
}

/// Waits, but not for ever, until the nsqds that can be reached are connected: the first messages would all go to the
/// fastest of them.
async fn all_connected(producer: &Producer, reached: usize) {
    let wait = async {
        while producer.connections() < reached {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), wait).await;
}

async fn publish(producer: &Producer, settings: &Settings, messages: &[Bytes]) -> Vec<(usize, Rejection)> {
    let topic = &settings.topic;
    let one = async |message: &Bytes| match settings.defer {
        None => producer.publish(topic, message.clone()).await,
        Some(delay) => producer.publish_deferred(topic, message.clone(), delay).await,
    };
    let all_fail = |error: Error| {
        let rejection = Rejection::from(error);
        (0..messages.len()).map(|place| (place, rejection.clone())).collect()
    };
    match messages {
        [] => Vec::new(),
        [message] => one(message).await.err().map(|error| (0, error.into())).into_iter().collect(),
        _ => match producer.multipublish(topic, messages.iter().cloned()).await {
            Ok(()) => Vec::new(),
            // One of them may be to blame for all.
            Err(error @ Error::Refused { .. }) if !error.outcome_unknown() => {
                let mut failures = Vec::new();
                for (place, message) in messages.iter().enumerate() {
                    if let Err(error) = one(message).await {
                        failures.push((place, error.into()));
                    }
                }
                failures
            }
            Err(error) => all_fail(error),
        },
    }
}

/// One reason for each message that any nsqd lacks.
fn merge<'a>(failures: impl Iterator<Item = (&'a Address, Vec<(usize, Rejection)>)>) -> Vec<(usize, Rejection)> {
    let mut merged: Vec<(usize, Rejection)> = Vec::new();
    for (address, failures) in failures {
        for (place, rejection) in failures {
            if let Some((_, all)) = merged.iter_mut().find(|(other, _)| *other == place) {
                let _ = write!(all.reason, "; {address}: {}", rejection.reason);
                all.unknown |= rejection.unknown;
            } else {
                let reason = format!("{address}: {}", rejection.reason);
                merged.push((place, Rejection { reason, ..rejection }));
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_several_nsqds_lack_is_told_once_with_all_reasons() {
        let [a, b]: [Address; 2] = ["a:1", "b:2"].map(|address| address.parse().unwrap());
        let rejection = |reason: &str, unknown| Rejection { reason: reason.to_owned(), unknown };
        let merged = merge(
            [
                (&a, vec![(0, rejection("down", false)), (2, rejection("lost", true))]),
                (&b, vec![(0, rejection("lost", true))]),
            ]
            .into_iter(),
        );
        assert_eq!(merged, [(0, rejection("a:1: down; b:2: lost", true)), (2, rejection("a:1: lost", true))]);
    }
}
