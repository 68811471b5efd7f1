//! From the input to the nsqds, within bounds, until the end or a request to stop.

use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::destination::{Destination, Rejection, Settings};
use super::failed::FailedMessages;
use super::input::Input;
use super::pace::Pace;
use super::report::Report;
use super::splitter::Item;
use crate::exit::Failure;
use crate::interrupt::{Interrupt, Interrupts};

/// Publishes an input.
pub(super) struct Pump {
    pub(super) input: Input,
    pub(super) destination: Destination,
    pub(super) settings: Arc<Settings>,
    pub(super) batch: Batch,
    pub(super) pace: Pace,
    pub(super) failed: FailedMessages,
    pub(super) report: Report,
}

/// Why the pump stopped.
#[derive(Debug, Default)]
pub(super) struct End {
    /// Who asked it to.
    pub(super) interrupt: Option<Interrupt>,
    /// It was asked twice, so that answers may still come for which nobody waits.
    pub(super) given_up: bool,
    /// The input could not be read to its end.
    pub(super) unreadable: Option<Failure>,
}

/// What has been sent and not answered.
#[derive(Default)]
struct Outstanding {
    publishes: FuturesUnordered<BoxFuture<'static, Outcome>>,
    messages: usize,
    bytes: usize,
    /// Nobody waits for the answers any more.
    given_up: CancellationToken,
}

struct Outcome {
    messages: Vec<Bytes>,
    failures: Vec<(usize, Rejection)>,
}

impl Pump {
    /// Runs until the input has ended and each message has its outcome. A first interrupt ends the reading; a second one
    /// also the waiting.
    pub(super) async fn run(&mut self, interrupts: &mut Interrupts) -> End {
        let mut end = End::default();
        let mut outstanding = Outstanding::default();
        let mut reading = true;
        // Whether a message is being kept in parts, between which no other may come.
        let mut in_parts = false;
        loop {
            while !self.batch.is_full()
                && let Some(Ok(item)) = self.input.ready()
            {
                in_parts = self.take(item);
            }
            let now = Instant::now();
            let due = self.pace.wait_until(now);
            let room = outstanding.messages < self.settings.max_outstanding as usize && outstanding.bytes < MAX_BYTES;
            if !self.batch.is_empty() && room && due.is_none() {
                self.send(&mut outstanding, now);
                continue;
            }
            // What was read already is published after an interrupt, too.
            if !reading && in_parts {
                self.end_parts();
                in_parts = false;
            }
            if !reading && self.batch.is_empty() && outstanding.publishes.is_empty() {
                break;
            }
            let timer = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                interrupt = interrupts.next() => {
                    if end.interrupt.replace(interrupt).is_some() {
                        end.given_up = true;
                        outstanding.given_up.cancel();
                        self.give_up();
                    } else {
                        self.report.say("stopping: waiting for what was read already; once more to give it up");
                    }
                    reading = false;
                }
                Some(outcome) = outstanding.publishes.next(), if !in_parts => {
                    outstanding.messages -= outcome.messages.len();
                    outstanding.bytes -= size(&outcome.messages);
                    self.settle(&outcome);
                }
                item = self.input.next(), if reading && !self.batch.is_full() => match item {
                    Some(Ok(item)) => in_parts = self.take(item),
                    Some(Err(failure)) => {
                        end.unreadable = Some(failure);
                        reading = false;
                    }
                    None => reading = false,
                },
                () = timer, if room && !self.batch.is_empty() => {}
            }
        }
        if end.interrupt.is_some() || end.unreadable.is_some() {
            self.keep_rest();
        }
        end
    }

    /// Takes one item; returns whether more parts of it follow.
    fn take(&mut self, item: Item) -> bool {
        match item {
            Item::Message(message) => self.batch.push(message),
            Item::Empty => self.report.counts.empty += 1,
            Item::TooLarge { part, size } => {
                self.report.aside(|| self.failed.part(&part));
                let Some(size) = size else { return true };
                self.report.aside(|| self.failed.end());
                self.report.counts.too_large += 1;
                let reason = format!("it has {size} bytes, more than --max-msg-size");
                self.report.reason(1, false, &reason);
            }
        }
        false
    }

    fn send(&mut self, outstanding: &mut Outstanding, now: Instant) {
        let messages = self.batch.take();
        self.pace.sent(messages.len(), now);
        outstanding.messages += messages.len();
        outstanding.bytes += size(&messages);
        let (destination, settings) = (self.destination.clone(), self.settings.clone());
        let given_up = outstanding.given_up.clone();
        outstanding.publishes.push(Box::pin(async move {
            let failures = tokio::select! {
                failures = destination.publish(&settings, &messages) => failures,
                () = given_up.cancelled() => {
                    let rejection = Rejection { reason: "nobody waited for the answer".to_owned(), unknown: true };
                    (0..messages.len()).map(|place| (place, rejection.clone())).collect()
                }
            };
            Outcome { messages, failures }
        }));
    }

    fn settle(&mut self, outcome: &Outcome) {
        let counts = &mut self.report.counts;
        counts.published += (outcome.messages.len() - outcome.failures.len()) as u64;
        counts.bytes += size(&outcome.messages) as u64;
        for (place, rejection) in &outcome.failures {
            counts.bytes -= outcome.messages[*place].len() as u64;
            *(if rejection.unknown { &mut counts.unknown } else { &mut counts.not_published }) += 1;
        }
        for same in outcome.failures.chunk_by(|(_, a), (_, b)| a == b) {
            let (_, rejection) = &same[0];
            self.report.reason(same.len() as u64, rejection.unknown, &rejection.reason);
            self.report.aside(|| {
                for (place, _) in same {
                    self.failed.message(&outcome.messages[*place]);
                }
            });
        }
        self.report.progress(self.input.taken());
    }

    /// Keeps what was read and will not be published.
    fn give_up(&mut self) {
        let mut left = Vec::new();
        while !self.batch.is_empty() {
            left.extend(self.batch.take());
        }
        while let Some(Ok(item)) = self.input.ready() {
            match item {
                Item::Message(message) => left.push(message),
                other => drop(self.take(other)),
            }
        }
        let rejection = Rejection { reason: "stopped before it was sent".to_owned(), unknown: false };
        let failures = (0..left.len()).map(|place| (place, rejection.clone())).collect();
        self.settle(&Outcome { messages: left, failures });
    }

    /// The rest of a message that is too large isn't read any more.
    fn end_parts(&mut self) {
        let rest = self.input.rest();
        self.report.aside(|| {
            self.failed.part(&rest);
            self.failed.end();
        });
        self.report.counts.too_large += 1;
        self.report.reason(1, false, "it is too large, and was not read to its end");
    }

    /// Keeps the beginning of a message whose end wasn't read. A file still has it.
    fn keep_rest(&mut self) {
        let rest = self.input.rest();
        if rest.is_empty() || self.input.size().is_some() {
            return;
        }
        self.report.counts.not_published += 1;
        self.report.reason(1, false, "it was not read to its end");
        self.report.aside(|| self.failed.message(&rest));
    }
}

fn size(messages: &[Bytes]) -> usize {
    messages.iter().map(Bytes::len).sum()
}

/// Enough for the fastest network, and no burden for a small machine.
const MAX_BYTES: usize = 16 * 1024 * 1024;
