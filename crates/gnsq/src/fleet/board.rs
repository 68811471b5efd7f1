//! What nsqlookupds have told, for all who want to know.

use std::collections::BTreeSet;
use std::time::Instant;

use tokio::sync::{Notify, watch};

/// Where a [`Discovery`](super::Discovery) posts what it finds.
#[derive(Debug)]
pub(crate) struct Board<F> {
    known: watch::Sender<Known<F>>,
    hurry: Notify,
    ask: Notify,
}

/// All that is known at one moment.
#[derive(Debug)]
pub(crate) struct Known<F> {
    pub(crate) found: BTreeSet<F>,
    /// When the last round began in which every nsqlookupd has told what it knows, or failed to: then what it told
    /// before holds.
    pub(crate) as_of: Option<Instant>,
}

impl<F: Ord> Board<F> {
    /// What is known, and a notice of each change: the first one at once, since something may have been posted already.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Known<F>> {
        let mut known = self.known.subscribe();
        known.mark_changed();
        known
    }

    /// Waits until a round that has begun after `since` has found this.
    pub(crate) async fn found_since(&self, wanted: &F, since: Instant) {
        let mut known = self.known.subscribe();
        let found = |known: &Known<F>| known.as_of.is_some_and(|as_of| since < as_of) && known.found.contains(wanted);
        if known.wait_for(found).await.is_err() {
            // The sender lives as long as this board.
            std::future::pending::<()>().await;
        }
    }

    /// Has nsqlookupds asked sooner for a while: what they know has probably changed.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Waits until there is a reason to hurry.
    pub(super) async fn hurried(&self) {
        self.hurry.notified().await;
    }

    /// Has nsqlookupds asked now, once.
    pub(crate) fn ask(&self) {
        self.ask.notify_one();
    }

    /// Waits until they are to be asked now.
    pub(super) async fn asked(&self) {
        self.ask.notified().await;
    }

    pub(super) fn post(&self, found: BTreeSet<F>) {
        self.known.send_modify(|known| known.found = found);
    }

    /// The round that began then is complete, and this is what is known.
    pub(super) fn complete(&self, found: BTreeSet<F>, began: Instant) {
        self.known.send_modify(|known| *known = Known { found, as_of: Some(began) });
    }
}

impl<F> Default for Board<F> {
    fn default() -> Self {
        Self {
            known: watch::Sender::new(Known { found: BTreeSet::new(), as_of: None }),
            hurry: Notify::new(),
            ask: Notify::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_posted_before_is_news_to_who_comes_later() {
        let board = Board::default();
        board.post(BTreeSet::from(["nsqd"]));
        let mut known = board.subscribe();
        assert!(known.has_changed().unwrap());
        assert!(known.borrow_and_update().found.contains("nsqd"));
        assert!(!known.has_changed().unwrap());
        board.post(BTreeSet::new());
        assert!(known.has_changed().unwrap());
    }
}
