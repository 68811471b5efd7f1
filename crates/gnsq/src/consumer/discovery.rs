//! Finds nsqds through nsqlookupd.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use gnsq_proto::BackoffTimer;

use super::core::Core;
use crate::address::Address;
use crate::http::{HttpError, LookupdClient};

/// Asks all nsqlookupds at once, again and again, and passes the union of what they know on.
pub(super) struct Discovery {
    core: Arc<Core>,
    lookupds: Vec<Lookupd>,
    interval: Duration,
    jitter: f64,
    rng: fastrand::Rng,
}

struct Lookupd {
    client: LookupdClient,
    /// Its last good answer, which holds while it gives none.
    known: BTreeSet<Address>,
}

impl Discovery {
    pub(super) fn new(core: Arc<Core>, clients: Vec<LookupdClient>, interval: Duration, jitter: f64) -> Self {
        let lookupds = clients.into_iter().map(|client| Lookupd { client, known: BTreeSet::new() }).collect();
        Self { core, lookupds, interval, jitter, rng: fastrand::Rng::new() }
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

    /// Asks everyone once. Returns whether all answered, and an nsqd is known.
    async fn round(&mut self) -> bool {
        let topic = &self.core.settings.topic;
        let answers = join_all(self.lookupds.iter().map(|lookupd| async {
            let answer = ask(&lookupd.client, topic).await;
            if let Err(error) = &answer {
                tracing::warn!(lookupd = lookupd.client.address(), %error, "nsqlookupd gives no answer");
            }
            answer
        }))
        .await;
        let all_answered = answers.iter().all(Result::is_ok);
        for (lookupd, answer) in self.lookupds.iter_mut().zip(answers) {
            if let Ok(known) = answer {
                lookupd.known = known;
            }
        }
        let all: BTreeSet<_> = self.lookupds.iter().flat_map(|lookupd| lookupd.known.iter().cloned()).collect();
        let satisfied = all_answered && !all.is_empty();
        self.core.inbox().found = Some(all.into_iter().collect());
        self.core.changed.notify_one();
        satisfied
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
