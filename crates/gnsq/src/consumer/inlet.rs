//! The way out of the queue: what is too old or was tried too often stays behind.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::core::Core;
use crate::events::MessageEvent;
use crate::message::Message;
use crate::moment::Moment;
use crate::queue::Place;
use crate::trace::message_event;

/// Hands out messages that are worth an attempt.
pub(crate) struct Inlet {
    core: Arc<Core>,
    place: Place,
    /// A message being given up.
    giving_up: Option<BoxFuture<'static, ()>>,
    touches: bool,
    /// The time, while nothing has been waited for since it was read: the clock is no small part of a message's cost.
    now: Option<Moment>,
    handed_out: Moment,
}

impl Inlet {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let (touches, handed_out) = (core.settings.auto_touch, Moment::now());
        Self { core, place: Place::default(), giving_up: None, touches, now: None, handed_out }
    }

    /// One that has messages touched from here on, whatever the option says.
    pub(super) fn touching(core: Arc<Core>) -> Self {
        Self { touches: true, ..Self::new(core) }
    }

    /// The next message; `None` when the consumer has shut down.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        loop {
            if let Some(giving_up) = &mut self.giving_up {
                ready!(giving_up.as_mut().poll(cx));
                self.giving_up = None;
            }
            let Some(message) = ready!(self.poll_fresh(cx)) else { return Poll::Ready(None) };
            if self.core.is_exhausted(&message) {
                self.giving_up = Some(give_up(self.core.clone(), message).boxed());
            } else {
                return Poll::Ready(Some(message));
            }
        }
    }

    /// The next message whose time isn't over, however often it was attempted.
    #[inline]
    fn poll_fresh(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        loop {
            let polled = self.core.queue.poll_pop(&mut self.place, cx);
            let now = self.now.take().filter(|_| polled.is_ready()).unwrap_or_else(Moment::now);
            let Some(mut message) = ready!(polled) else { return Poll::Ready(None) };
            if message.expired_at(now) {
                // nsqd has given it to someone else by now.
                drop(message);
                continue;
            }
            if self.touches {
                self.core.touching.keep(&mut message, now.instant());
            }
            self.handed_out = now;
            return Poll::Ready(Some(message));
        }
    }

    /// When the last message was handed out.
    pub(super) fn handed_out(&self) -> Moment {
        self.handed_out
    }

    /// Tells the time to the call of [`next`](Self::next) that follows at once.
    pub(super) fn set_now(&mut self, now: Moment) {
        self.now = Some(now);
    }

    /// No longer waits for a message, if it did. What it is giving up it goes on with at the next call.
    pub(crate) fn leave(&mut self) {
        self.place.leave();
    }

    /// No longer waits for a message, if it did. Returns what is left to do.
    pub(crate) fn rest(&mut self) -> Option<BoxFuture<'static, ()>> {
        self.place.leave();
        self.giving_up.take()
    }

    /// As [`next`](Self::next), but nothing is given up: that is the caller's.
    pub(super) async fn next_fresh(&mut self) -> Option<Message> {
        std::future::poll_fn(|cx| self.poll_fresh(cx)).await
    }

    pub(crate) async fn next(&mut self) -> Option<Message> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Inlet {
    /// Adds to `into`, without waiting, up to `limit` messages that are worth an attempt.
    pub(super) fn take(&mut self, into: &mut Vec<Message>, limit: usize) {
        let before = into.len();
        // One that is to be given up waits for the next call that may wait.
        self.core.queue.take_while(into, limit, |message| !self.core.is_exhausted(message));
        let now = Moment::now();
        // nsqd has given those to someone else by now.
        let mut index = 0;
        into.retain(|message| {
            index += 1;
            index <= before || !message.expired_at(now)
        });
        if self.touches {
            for message in &mut into[before..] {
                self.core.touching.keep(message, now.instant());
            }
        }
    }
}

/// The give-up handler has the message first; then it is finished. Without its consent it isn't.
async fn give_up(core: Arc<Core>, message: Message) {
    let (id, attempts, connection) = (message.id(), core.attempts(&message), message.connection().clone());
    let answered = match consent(&core, &message, attempts).await {
        Ok(()) => message.finish(),
        Err(event) => {
            let delay = core.requeue_delay(attempts, Some(&event));
            message.requeue(delay)
        }
    };
    if let Err(error) = answered {
        message_event!(WARN, connection, id, attempts, %error, "a message given up could not be answered");
    }
}

/// Shows the message to the give-up handler; gives it back, to look at, when that fails.
pub(super) async fn consent(core: &Core, message: &Message, attempts: u16) -> Result<(), MessageEvent> {
    let event = MessageEvent::new(message);
    let id = event.id;
    core.signals.on_giving_up.emit(|| event.clone());
    let consent = match &core.settings.give_up {
        None => Ok(()),
        Some(handler) => {
            let event = event.clone();
            let outcome = AssertUnwindSafe(async { handler(event).await }).catch_unwind().await;
            outcome.unwrap_or_else(|_| Err("the give-up handler panicked".into()))
        }
    };
    match consent {
        Ok(()) => {
            message_event!(WARN, message.connection(), id, attempts, "message given up");
            core.counters.given_up.fetch_add(1, Ordering::Relaxed);
            message.connection().meter().given_up.add(1);
            Ok(())
        }
        Err(error) => {
            message_event!(
                WARN,
                message.connection(),
                id,
                attempts,
                %error,
                "the give-up handler failed, the message will come to it again"
            );
            Err(event)
        }
    }
}
