//! Finds nsqds through nsqlookupd.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use gnsq_proto::BackoffTimer;

use super::core::Core;
use crate::address::Address;
use crate::http::{HttpError, LookupdClient};

/// Asks all nsqlookupds at once, again and again, and passes the union of what they know on.
pub(super) struct Discovery {
    core: Arc<Core>,
    clients: Vec<LookupdClient>,
    /// The last good answer of each, which holds while it gives none.
    known: Vec<BTreeSet<Address>>,
    interval: Duration,
    jitter: f64,
    rng: fastrand::Rng,
}

impl Discovery {
    pub(super) fn new(core: Arc<Core>, clients: Vec<LookupdClient>, interval: Duration, jitter: f64) -> Self {
        let known = vec![BTreeSet::new(); clients.len()];
        Self { core, clients, known, interval, jitter, rng: fastrand::Rng::new() }
    }

    /// Runs until the consumer shuts down.
    pub(super) async fn run(mut self) {
        let shutdown = self.core.shutdown.requested.clone();
        let mut soon = BackoffTimer::new(SOON, Some(SOONEST), Some(self.interval));
        loop {
            let Some(satisfied) = shutdown.run_until_cancelled(self.round()).await else { return };
            if satisfied {
                soon.reset();
            } else {
                soon.failure();
            }
            let delay = if satisfied { self.next_round() } else { soon.interval(&mut self.rng) };
            if shutdown.run_until_cancelled(tokio::time::sleep(delay)).await.is_none() {
                return;
            }
        }
    }

    /// Asks everyone once, and passes each answer on as it comes: a slow one delays no other. Returns whether all
    /// answered, and an nsqd is known.
    async fn round(&mut self) -> bool {
        let topic = &self.core.settings.topic;
        let asked = self.clients.iter().enumerate();
        let mut answers: FuturesUnordered<_> =
            asked.map(|(index, client)| async move { (index, ask(client, topic).await) }).collect();
        let mut all_answered = true;
        while let Some((index, answer)) = answers.next().await {
            match answer {
                Ok(known) => {
                    self.known[index] = known;
                    let all: BTreeSet<_> = self.known.iter().flatten().cloned().collect();
                    self.core.inbox().found = Some(all.into_iter().collect());
                    self.core.changed.notify_one();
                }
                Err(error) => {
                    all_answered = false;
                    tracing::warn!(lookupd = self.clients[index].address(), %error, "nsqlookupd gives no answer");
                }
            }
        }
        all_answered && self.known.iter().any(|known| !known.is_empty())
    }

    fn next_round(&mut self) -> Duration {
        self.interval.mul_f64(1.0 + self.jitter * (2.0 * self.rng.f64() - 1.0))
    }
}

/// Asks an nsqlookupd at each of its addresses: one name may stand for several.
async fn ask(client: &LookupdClient, topic: &gnsq_proto::TopicName) -> Result<BTreeSet<Address>, HttpError> {
    let clients = client.resolved().await?;
    let answers = join_all(clients.iter().map(|client| client.lookup(topic))).await;
    let mut known = BTreeSet::new();
    let mut failure = None;
    let mut answered = false;
    for answer in answers {
        match answer {
            Ok(lookup) => {
                answered = true;
                for producer in lookup.producers {
                    // One without a port listens on a unix socket, which can't be reached from elsewhere.
                    let address = producer.tcp_address().map(|address| address.parse::<Address>());
                    match address {
                        Some(Ok(address)) => drop(known.insert(address)),
                        Some(Err(error)) => tracing::warn!(lookupd = client.address(), %error, "nsqd can't be used"),
                        None => {}
                    }
                }
            }
            Err(error) => failure = Some(error),
        }
    }
    // Of a name's addresses one may be down for good; what the others say counts.
    match failure {
        Some(error) if !answered => Err(error),
        _ => Ok(known),
    }
}

/// Seconds: the first delays of rounds that are due sooner, within 0.25 s, 0.75 s, 1.75 s…
const SOON: f64 = 0.25;

/// Even a lucky draw asks no more often than this.
const SOONEST: Duration = Duration::from_millis(50);
