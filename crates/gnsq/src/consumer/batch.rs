//! What `run` does for one message, for many at once.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use gnsq_proto::MessageId;

use super::ConsumerHandle;
use super::core::Core;
use super::handler::{Seen, failed, panic_text};
use crate::events::{HandlerError, MessageEvent};
use crate::message::{Lender, Loan, Message, Verdict};
use crate::moment::Moment;
use crate::trace::message_event;

/// What a function has made of a batch. Messages that it has answered itself, or [detached](Message::detach), are left
/// alone; no message is finished that isn't meant here.
#[derive(Debug)]
pub enum BatchOutcome {
    /// All messages are done.
    Finish,
    /// One result for each message, in the order of the batch: those with `Ok` are done, the others are requeued, with the
    /// consumer's delay or as a [`Requeue`](crate::Requeue) asks. A message without a result is requeued.
    Each(Vec<Result<(), HandlerError>>),
    /// The function has answered those messages that are done. Others are requeued.
    Answered,
}

/// A message in the function's hands.
struct Lent<'a> {
    loan: Loan<'a>,
    seen: Seen,
}

impl ConsumerHandle {
    /// Calls `function` with the messages, and answers them as it decides.
    pub(crate) async fn work_on_batch<F, E>(&self, mut messages: Vec<Message>, function: impl Fn(Vec<Message>) -> F)
    where
        F: Future<Output = Result<BatchOutcome, E>>,
        E: Into<HandlerError>,
    {
        let core = &*self.core;
        let mut lenders: Vec<_> = messages.iter().map(|_| Lender::default()).collect();
        let mut lent = Vec::with_capacity(messages.len());
        for (lender, message) in lenders.iter_mut().zip(&mut messages) {
            let seen = Seen { id: message.id(), attempts: core.attempts(message), event: core.event(message) };
            lent.push(Lent { loan: lender.lend(message), seen });
        }
        let began = Moment::now();
        let outcome = AssertUnwindSafe(async { function(messages).await }).catch_unwind().await;
        // One call, whatever it was about.
        if let Some(lent) = lent.first() {
            lent.loan.connection().meter().handler.record_time(began, Moment::now());
        }
        match outcome {
            Ok(Ok(BatchOutcome::Finish)) => lent.into_iter().for_each(Lent::finish),
            Ok(Ok(BatchOutcome::Each(results))) => {
                let undecided = Arc::new(HandlerError::from(UNDECIDED));
                let mut results = results.into_iter();
                for lent in lent {
                    match results.next() {
                        Some(Ok(())) => lent.finish(),
                        Some(Err(error)) => lent.fail(core, &Arc::new(error)),
                        None => lent.fail(core, &undecided),
                    }
                }
            }
            Ok(Ok(BatchOutcome::Answered)) => fail(core, lent, UNDECIDED.into()),
            Ok(Err(error)) => fail(core, lent, error.into()),
            Err(panic) => fail(core, lent, panic_text(&*panic).into()),
        }
    }

    /// Gives back what nobody has begun, in a shutdown.
    pub(crate) fn give_back(&self, mut messages: Vec<Message>) {
        let now = Moment::now();
        messages.retain(|message| !message.expired_at(now));
        self.core.counters.dropped.fetch_add(messages.len() as u64, Ordering::Relaxed);
        drop(messages);
    }
}

fn fail(core: &Core, lent: Vec<Lent<'_>>, error: HandlerError) {
    let error = Arc::new(error);
    for lent in lent {
        lent.fail(core, &error);
    }
}

impl Lent<'_> {
    fn finish(self) {
        settle(self.loan, self.seen.id, Verdict::Finish);
    }

    fn fail(self, core: &Core, error: &Arc<HandlerError>) {
        let Self { loan, seen } = self;
        if loan.is_open() {
            let (id, attempts) = (seen.id, seen.attempts);
            let delay = |event: Option<&MessageEvent>| core.requeue_delay(attempts, event);
            let text = "a message of a batch failed and is requeued";
            let verdict = failed(core, loan.connection(), seen, error, text, delay);
            settle(loan, id, verdict);
        }
    }
}

fn settle(loan: Loan<'_>, id: MessageId, verdict: Verdict) {
    let connection = loan.connection();
    if let Err(error) = loan.settle(verdict, Moment::now()) {
        message_event!(WARN, connection, id, %error, "a handled message could not be answered");
    }
}

const UNDECIDED: &str = "the batch's function has taken no decision about the message";
