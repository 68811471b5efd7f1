//! Asks nsqlookupds again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use gnsq_proto::BackoffTimer;
use tokio_util::sync::CancellationToken;

use super::source::Sourced;
use super::{Board, LookupdOptions, Question};
use crate::http::{HttpError, LookupdClient};

/// Asks all nsqlookupds at once, again and again, and posts the union of what they know.
pub(crate) struct Discovery<Q: Question> {
    question: Q,
    options: LookupdOptions,
    sourced: Sourced,
    /// The last good answer of each nsqlookupd, which holds while it gives none.
    known: BTreeMap<String, BTreeSet<Q::Found>>,
    /// Those that gave no answer when they were asked last.
    silent: BTreeSet<String>,
    board: Arc<Board<Q::Found>>,
    rng: fastrand::Rng,
}

impl<Q: Question> Discovery<Q> {
    pub(crate) fn new(question: Q, options: LookupdOptions, board: Arc<Board<Q::Found>>) -> Self {
        let sourced = Sourced::new(options.source.clone());
        let (known, silent) = (BTreeMap::new(), BTreeSet::new());
        Self { question, options, sourced, known, silent, board, rng: fastrand::Rng::new() }
    }

    /// Runs until `stop`. `posted` is called when there is something new on the board.
    pub(crate) async fn run(mut self, stop: CancellationToken, posted: impl Fn() + Send) {
        let board = self.board.clone();
        let mut soon = BackoffTimer::new(SOON, Some(SOONEST), Some(self.options.interval));
        let mut hurried_rounds = 0;
        loop {
            let Some(satisfied) = stop.run_until_cancelled(self.round(&posted)).await else { return };
            let mut delay = if satisfied && hurried_rounds == 0 {
                soon.reset();
                self.next_round()
            } else {
                soon.failure().interval(&mut self.rng)
            };
            hurried_rounds = u32::saturating_sub(hurried_rounds, 1);
            let asked = Instant::now();
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep_until((asked + delay).into()) => break,
                    () = board.asked() => break,
                    () = board.hurried() => {
                        if hurried_rounds == 0 {
                            soon.reset();
                        }
                        hurried_rounds = HURRIED_ROUNDS;
                        delay = delay.min(asked.elapsed() + soon.failure().interval(&mut self.rng));
                    }
                }
            }
        }
    }

    /// Asks everyone once, and posts each answer as it comes: a slow one delays no other. Returns whether all
    /// answered, and something is known.
    async fn round(&mut self, posted: &(impl Fn() + Send)) -> bool {
        let began = Instant::now();
        let Self { question, options, sourced, known, silent, board, .. } = self;
        let question = &*question;
        let ask = |client: LookupdClient| async move {
            let answer = ask(question, &client).await;
            (client, answer)
        };
        let mut answers: FuturesUnordered<_> = options.clients.iter().cloned().map(ask).collect();
        let mut refresh = pin!(sourced.refresh());
        let mut refreshed = false;
        let mut all_answered = true;
        let mut asked = BTreeSet::new();
        loop {
            tokio::select! {
                (current, clients) = &mut refresh, if !refreshed => {
                    refreshed = true;
                    all_answered &= current;
                    answers.extend(clients.into_iter().map(ask));
                }
                Some((client, answer)) = answers.next() => {
                    match answer {
                        Ok(found) => {
                            if silent.remove(client.address()) {
                                tracing::info!(lookupd = client.address(), "nsqlookupd answers again");
                            }
                            known.insert(client.address().to_owned(), found);
                            board.post(known.values().flatten().cloned().collect());
                            posted();
                        }
                        Err(error) => {
                            all_answered = false;
                            crate::telemetry::lookupd_failed(client.address());
                            if silent.insert(client.address().to_owned()) {
                                tracing::warn!(lookupd = client.address(), %error, "nsqlookupd gives no answer");
                            } else {
                                tracing::debug!(lookupd = client.address(), %error, "nsqlookupd still gives no answer");
                            }
                        }
                    }
                    asked.insert(client.address().to_owned());
                }
                else => break,
            }
        }
        // What those knew that are no longer asked counts no more.
        known.retain(|address, _| asked.contains(address));
        silent.retain(|address| asked.contains(address));
        board.complete(known.values().flatten().cloned().collect(), began);
        posted();
        all_answered && known.values().any(|known| !known.is_empty())
    }

    fn next_round(&mut self) -> Duration {
        self.options.interval.mul_f64(1.0 + self.options.jitter * (2.0 * self.rng.f64() - 1.0))
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

/// How many rounds are due sooner where one has to hurry: those of 15 s, about.
const HURRIED_ROUNDS: u32 = 6;
