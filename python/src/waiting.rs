//! What Python waits for, and those who wait for it.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::mailbox::{Mailbox, Waiter, deadline};
use crate::parker::park;
use crate::sleeper::Sleeper;

/// Something that becomes ready, for which a thread blocks, or which a mailbox gives out.
pub(crate) trait Waitable {
    /// What is locked to look whether it is ready, and to wait otherwise.
    type Locked<'a>
    where
        Self: 'a;

    fn locked(&self) -> Self::Locked<'_>;

    /// Whether nobody has to wait for it now.
    fn is_ready_in(&self, locked: &Self::Locked<'_>) -> bool;

    /// Those who are told, each once, when it becomes ready; None where that is for ever.
    fn waiters<'a>(locked: &'a mut Self::Locked<'_>) -> Option<&'a mut Waiters>;

    fn is_ready(&self) -> bool {
        self.is_ready_in(&self.locked())
    }

    /// Has the waiter told when it is ready: at once, if it is.
    fn add(&self, waiter: Waiter) {
        let mut locked = self.locked();
        if !self.is_ready_in(&locked)
            && let Some(waiters) = Self::waiters(&mut locked)
        {
            waiters.add(waiter);
        } else {
            drop(locked);
            waiter.tell();
        }
    }

    /// Blocks this thread until it is ready, for up to `timeout` seconds (None: for ever); tells whether it is.
    ///
    /// # Errors
    ///
    /// As [`park`]; `ValueError` for what is no time.
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let mut me = None;
        let ready = || Ok(self.is_ready().then_some(()));
        let waited = park(py, deadline(timeout)?, ready, |thread| {
            me.get_or_insert_with(|| thread.clone());
            self.add(Waiter::Thread(thread));
        });
        if let Some(me) = me
            && let Some(waiters) = Self::waiters(&mut self.locked())
        {
            waiters.remove(&me);
        }
        Ok(waited?.is_some() || self.is_ready())
    }

    /// Has the mailbox give `target` out when it is ready.
    ///
    /// # Errors
    ///
    /// `NSQException` when the mailbox is another process'.
    fn arm(&self, mailbox: &Mailbox, target: Py<PyAny>) -> PyResult<()> {
        self.add(mailbox.waiter(target)?);
        Ok(())
    }
}

/// Those who wait for one thing, which is one most often.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    first: Option<Waiter>,
    others: Vec<Waiter>,
}

impl Waiters {
    /// Adds one. A thread that waits already stays where it is.
    pub(crate) fn add(&mut self, waiter: Waiter) {
        if let Waiter::Thread(thread) = &waiter
            && self.iter().any(|other| other.is_thread(thread))
        {
            return;
        }
        match &mut self.first {
            Some(_) => self.others.push(waiter),
            first => *first = Some(waiter),
        }
    }

    /// Takes out the latest.
    pub(crate) fn pop(&mut self) -> Option<Waiter> {
        self.others.pop().or_else(|| self.first.take())
    }

    /// Takes out a thread.
    pub(crate) fn remove(&mut self, thread: &Arc<Sleeper>) {
        self.others.retain(|waiter| !waiter.is_thread(thread));
        if self.first.as_ref().is_some_and(|waiter| waiter.is_thread(thread)) {
            self.first = (!self.others.is_empty()).then(|| self.others.remove(0));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.first.iter().chain(&self.others)
    }
}

impl IntoIterator for Waiters {
    type Item = Waiter;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Waiter>, std::vec::IntoIter<Waiter>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.others)
    }
}
