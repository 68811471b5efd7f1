//! A publish that was begun on the thread that submitted it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use crate::submissions::{Done, Submissions};

/// It is polled first by who submits it, so that a lone message goes to the socket from there, and then by the task of its
/// producer, which it wakes when it can go on.
pub(crate) struct Begun {
    publish: Mutex<Option<Publish>>,
    submissions: Weak<Submissions>,
    /// The task has been told, and has not polled it since.
    is_woken: AtomicBool,
}

type Publish = Pin<Box<dyn Future<Output = Done> + Send>>;

impl Begun {
    pub(crate) fn new(
        publish: impl Future<Output = Done> + Send + 'static,
        submissions: &Arc<Submissions>,
    ) -> Arc<Self> {
        let (publish, submissions) = (Mutex::new(Some(Box::pin(publish) as Publish)), Arc::downgrade(submissions));
        Arc::new(Self { publish, submissions, is_woken: AtomicBool::new(false) })
    }

    /// Goes on with it; returns its end, once.
    pub(crate) fn poll(self: &Arc<Self>) -> Option<Done> {
        self.is_woken.store(false, Ordering::Release);
        // Nobody has it for longer than a poll.
        let mut publish = self.publish.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = Waker::from(self.clone());
        match publish.as_mut()?.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => {
                *publish = None;
                Some(done)
            }
            Poll::Pending => None,
        }
    }

    /// Nobody goes on with it: whoever waits for it is told.
    pub(crate) fn give_up(&self) {
        // Who has it now is polling it, and no publish wakes itself.
        let publish = self.publish.try_lock().ok().and_then(|mut publish| publish.take());
        drop(publish);
    }
}

impl Wake for Begun {
    fn wake(self: Arc<Self>) {
        if self.is_woken.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(submissions) = self.submissions.upgrade() {
            submissions.go_on(self);
        }
    }
}
