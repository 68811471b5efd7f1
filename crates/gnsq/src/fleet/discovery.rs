//! Asks nsqlookupds again and again.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use gnsq_proto::BackoffTimer;
use tokio_util::sync::CancellationToken;

use super::{LookupdOptions, Question};
use crate::http::{HttpError, LookupdClient};

/// Asks all nsqlookupds at once, again and again, and tells the union of what they know.
pub(crate) struct Discovery<Q: Question> {
    question: Q,
    clients: Vec<LookupdClient>,
    /// The last good answer of each, which holds while it gives none.
    known: Vec<BTreeSet<Q::Found>>,
    interval: Duration,
    jitter: f64,
    rng: fastrand::Rng,
}

impl<Q: Question> Discovery<Q> {
    pub(crate) fn new(question: Q, options: LookupdOptions) -> Self {
        let LookupdOptions { clients, interval, jitter, .. } = options;
        let known = vec![BTreeSet::new(); clients.len()];
        Self { question, clients, known, interval, jitter, rng: fastrand::Rng::new() }
    }

    /// Runs until `stop`. `tell` is given all that is known, whenever it may have changed.
    pub(crate) async fn run(mut self, stop: CancellationToken, tell: impl Fn(BTreeSet<Q::Found>) + Send) {
        let mut soon = BackoffTimer::new(SOON, Some(SOONEST), Some(self.interval));
        loop {
            let Some(satisfied) = stop.run_until_cancelled(self.round(&tell)).await else { return };
            if satisfied {
                soon.reset();
            } else {
                soon.failure();
            }
            let delay = if satisfied { self.next_round() } else { soon.interval(&mut self.rng) };
            if stop.run_until_cancelled(tokio::time::sleep(delay)).await.is_none() {
                return;
            }
        }
    }

    /// Asks everyone once, and passes each answer on as it comes: a slow one delays no other. Returns whether all
    /// answered, and something is known.
    async fn round(&mut self, tell: &(impl Fn(BTreeSet<Q::Found>) + Send)) -> bool {
        let question = &self.question;
        let asked = self.clients.iter().enumerate();
        let mut answers: FuturesUnordered<_> =
            asked.map(|(index, client)| async move { (index, ask(question, client).await) }).collect();
        let mut all_answered = true;
        while let Some((index, answer)) = answers.next().await {
            match answer {
                Ok(known) => {
                    self.known[index] = known;
                    tell(self.known.iter().flatten().cloned().collect());
                }
                Err(error) => {
                    all_answered = false;
                    crate::telemetry::lookupd_failed(self.clients[index].address());
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
async fn ask<Q: Question>(question: &Q, client: &LookupdClient) -> Result<BTreeSet<Q::Found>, HttpError> {
    let clients = client.resolved().await?;
    let answers = join_all(clients.iter().map(|client| question.ask(client))).await;
    let mut known = BTreeSet::new();
    let mut failure = None;
    let mut answered = false;
    for answer in answers {
        match answer {
            Ok(found) => {
                answered = true;
                known.extend(found);
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
