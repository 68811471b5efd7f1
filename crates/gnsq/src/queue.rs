//! Messages that were received and are not yet in anyone's hands.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::message::Message;
use crate::moment::Moment;

/// Filled by connections in batches, emptied by workers or a stream. What RDY allows bounds it, and each connection
/// sends back what comes beyond twice that; what has lain there until its time was over makes room.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    /// Tells one who waits. Who takes a message and finds more tells the next: as many run as there is work for.
    filled: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Inner {
    messages: VecDeque<Message>,
    closed: bool,
}

/// A place in the line before a [`Queue`], taken by waiting. Who drops it leaves the line; a message that it was told
/// of goes to the next.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<Pin<Box<OwnedNotified>>>);

impl Queue {
    /// Takes in a batch. In a closed queue the messages are dropped, which requeues them. Returns how many were.
    pub(crate) fn push(&self, batch: &mut Vec<Message>) -> usize {
        {
            let mut inner = self.lock();
            if !inner.closed {
                // While nobody takes messages, nsqd sends them again and again.
                let now = Moment::now();
                while inner.messages.front().is_some_and(|message| message.expired_at(now)) {
                    inner.messages.pop_front();
                }
                inner.messages.extend(batch.drain(..));
                drop(inner);
                self.filled.notify_one();
            }
        }
        let dropped = batch.len();
        batch.clear();
        dropped
    }

    /// The oldest message; `None` when the queue is closed.
    pub(crate) fn poll_pop(&self, place: &mut Place, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        loop {
            let waits = place.poll(cx);
            let mut inner = self.lock();
            if let Some(message) = inner.messages.pop_front() {
                let more = !inner.messages.is_empty();
                drop(inner);
                // Whoever stays in line while busy would be told in place of one who is free.
                place.leave();
                if more {
                    self.filled.notify_one();
                }
                return Poll::Ready(Some(message));
            }
            if inner.closed {
                return Poll::Ready(None);
            }
            drop(inner);
            if waits {
                return Poll::Pending;
            }
            place.enter(&self.filled);
        }
    }

    /// Moves up to `limit` messages into `into`, the oldest first, as long as they are `wanted`. Never waits.
    pub(crate) fn take_while(&self, into: &mut Vec<Message>, limit: usize, wanted: impl Fn(&Message) -> bool) {
        let mut inner = self.lock();
        let count = inner.messages.iter().take(limit).take_while(|message| wanted(message)).count();
        into.extend(inner.messages.drain(..count));
        let more = !inner.messages.is_empty();
        drop(inner);
        if more {
            self.filled.notify_one();
        }
    }

    /// Takes in nothing more; what is there can still be taken.
    pub(crate) fn end(&self) {
        self.lock().closed = true;
        self.filled.notify_waiters();
    }

    /// Takes in nothing more; returns what nobody has begun.
    pub(crate) fn close(&self) -> VecDeque<Message> {
        let messages = {
            let mut inner = self.lock();
            inner.closed = true;
            std::mem::take(&mut inner.messages)
        };
        self.filled.notify_waiters();
        messages
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().messages.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(crate) fn leave(&mut self) {
        self.0 = None;
    }

    fn enter(&mut self, filled: &Arc<Notify>) {
        self.0 = Some(Box::pin(filled.clone().notified_owned()));
    }

    /// Whether it is in line and was not told of a message yet.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let waits = self.0.as_mut().is_some_and(|told| told.as_mut().poll(cx).is_pending());
        if !waits {
            self.leave();
        }
        waits
    }
}
