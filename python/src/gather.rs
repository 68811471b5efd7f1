//! Messages that were finished, whose FINs go out together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Gathers finished messages, for a moment. A FIN of its own for each would wake the I/O for each.
///
/// Who finishes messages sends what is gathered when nothing is left to do; the I/O does it when that takes longer.
#[derive(Debug)]
pub(crate) struct Gather {
    finished: Mutex<Finished>,
    /// The I/O will look here soon.
    is_watched: AtomicBool,
    /// Has the I/O look here soon.
    watch: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Finished {
    messages: Vec<gnsq::Message>,
    /// The I/O looks here no more.
    is_closed: bool,
}

impl Gather {
    /// `watch` is told when messages are gathered and nobody will look.
    pub(crate) fn new(watch: Arc<Notify>) -> Self {
        Self { finished: Mutex::default(), is_watched: AtomicBool::new(false), watch }
    }

    /// Sends FIN for `message` soon.
    pub(crate) fn add(&self, message: gnsq::Message) {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.messages.push(message);
        let is_full = finished.messages.len() >= MOST || finished.is_closed;
        drop(finished);
        if is_full {
            self.flush();
        } else if !self.is_watched.load(Ordering::Relaxed) && !self.is_watched.swap(true, Ordering::AcqRel) {
            self.watch.notify_one();
        }
    }

    /// Sends what is gathered. Returns whether that was anything.
    pub(crate) fn flush(&self) -> bool {
        let messages = {
            let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
            if finished.messages.is_empty() {
                return false;
            }
            let capacity = finished.messages.len();
            std::mem::replace(&mut finished.messages, Vec::with_capacity(capacity))
        };
        // What comes too late was counted, and nsqd delivers it again.
        gnsq::Message::finish_all(messages);
        true
    }

    /// The I/O will look here in a moment.
    pub(crate) fn watched(&self) {
        self.is_watched.store(true, Ordering::Release);
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    /// The I/O has looked here: sends what there is. When there was nothing, it need not look again until it is told.
    pub(crate) fn look(&self) {
        if !self.flush() {
            self.is_watched.store(false, Ordering::Release);
            // What was added just before relied on being seen.
            if self.flush() {
                self.watched();
            }
        }
    }

    /// From here on nothing waits.
    pub(crate) fn close(&self) {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.flush();
    }
}

/// So many don't wait for more.
const MOST: usize = 512;
