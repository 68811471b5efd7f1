//! One publish, from its submission to its outcome.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

use crate::errors::Failure;
use crate::mailbox::{Mailbox, Waiter};
use crate::process::Owned;
use crate::waiting::{Waitable, Waiters};

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
pub(crate) enum State {
    Pending(Waiters),
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
        Ok(self.0.get()?.is_ready())
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
        self.0.get()?.arm(mailbox, target)
    }

    /// Has the mailbox give the outcome to `future` when it is there.
    fn settle(&self, mailbox: &Mailbox, future: Py<PyAny>) -> PyResult<()> {
        let slot = self.0.get()?;
        slot.add(mailbox.settling(future, slot.clone())?);
        Ok(())
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<gnsq._core.Publish {}>", if self.done()? { "done" } else { "pending" }))
    }
}

impl Slot {
    pub(crate) fn new() -> (Arc<Self>, Promise) {
        let slot = Arc::new(Self(Mutex::new(State::Pending(Waiters::default()))));
        (slot.clone(), Promise(slot))
    }

    fn complete(&self, outcome: Result<(), Failure>, told: &mut Vec<Waiter>) {
        let mut state = self.lock();
        if matches!(*state, State::Done(_)) {
            return;
        }
        let before = std::mem::replace(&mut *state, State::Done(outcome));
        drop(state);
        if let State::Pending(waiters) = before {
            told.extend(waiters);
        }
    }

    /// The outcome as Python has it; None while there is none.
    pub(crate) fn outcome<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let failure = match &*self.lock() {
            State::Pending(_) => return Ok(None),
            State::Done(Ok(())) => return Ok(Some(ok(py).clone())),
            State::Done(Err(failure)) => failure.clone(),
        };
        Err(failure.into())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waitable for Slot {
    type Locked<'a> = MutexGuard<'a, State>;

    fn locked(&self) -> Self::Locked<'_> {
        self.lock()
    }

    fn is_ready_in(&self, state: &Self::Locked<'_>) -> bool {
        matches!(**state, State::Done(_))
    }

    fn waiters<'a>(state: &'a mut Self::Locked<'_>) -> Option<&'a mut Waiters> {
        match &mut **state {
            State::Pending(waiters) => Some(waiters),
            State::Done(_) => None,
        }
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
