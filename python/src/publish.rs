//! One publish, from its submission to its outcome.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

use crate::errors::Failure;
use crate::mailbox::{Mailbox, Waiter, deadline};
use crate::parker::park;
use crate::process::Owned;

/// A publish that was begun, and will have one outcome: nsqd's `OK` or a failure. It is a leaner `Operation`: there are
/// many of them.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct Publish(Owned<Arc<Slot>>);

/// The I/O's side of a publish: whoever has it sets the outcome. Dropped before, the publish fails.
#[derive(Debug)]
pub(crate) struct Promise(Arc<Slot>);

/// Where the outcome goes.
#[derive(Debug)]
pub(crate) struct Slot(Mutex<State>);

#[derive(Debug)]
enum State {
    Pending {
        first: Option<Waiter>,
        /// Few publishes are waited for twice.
        others: Vec<Waiter>,
    },
    Done(Result<(), Failure>),
}

impl Publish {
    pub(crate) fn new(slot: Arc<Slot>) -> Self {
        Self(Owned::new(slot))
    }
}

#[pymethods]
impl Publish {
    /// Whether the outcome is there.
    fn done(&self) -> PyResult<bool> {
        Ok(self.0.get()?.is_done())
    }

    /// The outcome: b"OK" is returned, a failure raised, as often as it is asked for.
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.0.get()?.outcome(py)?.ok_or_else(|| PyRuntimeError::new_err("the publish has no outcome yet"))
    }

    /// As `result`, but None while there is no outcome.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.0.get()?.outcome(py)
    }

    /// Blocks this thread until the outcome is there, for up to `timeout` seconds (None: for ever); tells whether it is.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.0.get()?.wait(py, timeout)
    }

    /// Has the mailbox give `target` out when the outcome is there.
    fn arm(&self, mailbox: &Mailbox, target: Py<PyAny>) -> PyResult<()> {
        let slot = self.0.get()?;
        slot.add(mailbox.waiter(target)?);
        Ok(())
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<gnsq._core.Publish {}>", if self.done()? { "done" } else { "pending" }))
    }
}

impl Slot {
    pub(crate) fn new() -> (Arc<Self>, Promise) {
        let slot = Arc::new(Self(Mutex::new(State::Pending { first: None, others: Vec::new() })));
        (slot.clone(), Promise(slot))
    }

    fn complete(&self, outcome: Result<(), Failure>, told: &mut Vec<Waiter>) {
        let mut state = self.lock();
        if matches!(*state, State::Done(_)) {
            return;
        }
        let before = std::mem::replace(&mut *state, State::Done(outcome));
        drop(state);
        if let State::Pending { first, others } = before {
            told.extend(first);
            told.extend(others);
        }
    }

    /// Blocks this thread until the outcome is there, or the time is over; tells whether it is there.
    pub(crate) fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let ready = || Ok(self.is_done().then_some(()));
        let done = park(py, deadline(timeout)?, ready, |parker| {
            if !self.has(|waiter| waiter.is_thread(&parker)) {
                self.add(Waiter::Thread(parker));
            }
        })?;
        Ok(done.is_some())
    }

    /// The outcome as Python has it; None while there is none.
    pub(crate) fn outcome<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let failure = match &*self.lock() {
            State::Pending { .. } => return Ok(None),
            State::Done(Ok(())) => return Ok(Some(ok(py).clone())),
            State::Done(Err(failure)) => failure.clone(),
        };
        Err(failure.into())
    }

    fn is_done(&self) -> bool {
        matches!(*self.lock(), State::Done(_))
    }

    fn has(&self, is_it: impl Fn(&Waiter) -> bool) -> bool {
        match &*self.lock() {
            State::Pending { first, others } => first.iter().chain(others).any(is_it),
            State::Done(_) => false,
        }
    }

    fn add(&self, waiter: Waiter) {
        let mut state = self.lock();
        match &mut *state {
            State::Pending { first: first @ None, .. } => *first = Some(waiter),
            State::Pending { others, .. } => others.push(waiter),
            State::Done(_) => {
                drop(state);
                waiter.tell();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promise {
    /// Sets the outcome. Those who wait for it go into `told`, for the caller to tell.
    pub(crate) fn keep(self, outcome: Result<(), Failure>, told: &mut Vec<Waiter>) {
        self.0.complete(outcome, told);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut told = Vec::new();
        self.0.complete(Err(Failure::Cancelled), &mut told);
        Waiter::tell_all(told);
    }
}

/// nsqd's answer to what it has done: the same object each time.
fn ok(py: Python<'_>) -> &Bound<'_, PyBytes> {
    static OK: PyOnceLock<Py<PyBytes>> = PyOnceLock::new();
    OK.get_or_init(py, || PyBytes::new(py, b"OK").unbind()).bind(py)
}
