//! Messages that were received and are not yet in anyone's hands.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::message::Message;

/// Filled by connections in batches, emptied by workers or a stream. What RDY allows bounds it, and each connection
/// sends back what comes beyond twice that.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    messages: VecDeque<Message>,
    waiting: VecDeque<Waker>,
    closed: bool,
}

impl Queue {
    /// Takes in a batch. In a closed queue the messages are dropped, which requeues them.
    pub(crate) fn push(&self, batch: &mut Vec<Message>) {
        let waker = {
            let mut inner = self.lock();
            if inner.closed {
                None
            } else {
                inner.messages.extend(batch.drain(..));
                inner.waiting.pop_front()
            }
        };
        batch.clear();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The oldest message; `None` when the queue is closed.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let mut inner = self.lock();
        if let Some(message) = inner.messages.pop_front() {
            // One wake-up for a batch, and each who finds more wakes another: as many run as there is work for.
            let next = if inner.messages.is_empty() { None } else { inner.waiting.pop_front() };
            drop(inner);
            if let Some(waker) = next {
                waker.wake();
            }
            return Poll::Ready(Some(message));
        }
        if inner.closed {
            return Poll::Ready(None);
        }
        if !inner.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.waiting.push_back(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Takes in nothing more; what is there can still be taken.
    pub(crate) fn end(&self) {
        let waiting = {
            let mut inner = self.lock();
            inner.closed = true;
            std::mem::take(&mut inner.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Takes in nothing more; returns what nobody has begun.
    pub(crate) fn close(&self) -> VecDeque<Message> {
        let mut inner = self.lock();
        inner.closed = true;
        let waiting = std::mem::take(&mut inner.waiting);
        let messages = std::mem::take(&mut inner.messages);
        drop(inner);
        waiting.into_iter().for_each(Waker::wake);
        messages
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().messages.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
