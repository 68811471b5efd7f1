//! Something that was begun and has one outcome, which Python waits for in its own ways.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::errors::Failure;
use crate::mailbox::{Mailbox, Waiter};
use crate::process::Owned;
use crate::runtime;
use crate::waiting::{Waitable, Waiters};

/// What an operation gives: made into a Python object when Python asks, since the I/O knows none.
pub(crate) enum Value {
    None,
    Made(Make),
}

/// Makes an object of what was received.
type Make = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// The outcome of an operation.
pub(crate) type Outcome = Result<Value, Failure>;

/// The I/O's side of an operation: whoever has it completes it. Dropped before, the operation fails.
pub(crate) struct Completer(Option<Arc<Shared>>);

struct Shared(Mutex<State>);

enum State {
    Pending(Waiters),
    Done(Option<Outcome>),
}

/// Something that was begun and will have one outcome.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct Operation {
    shared: Owned<Arc<Shared>>,
    /// What Python was given, which it may ask for again.
    outcome: OnceLock<Result<Py<PyAny>, PyErr>>,
    task: OnceLock<AbortHandle>,
}

impl Value {
    pub(crate) fn made<F>(make: F) -> Self
    where
        F: FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static,
    {
        Self::Made(Box::new(make))
    }

    fn into_object(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::None => Ok(py.None()),
            Self::Made(make) => make(py),
        }
    }
}

impl Operation {
    /// One that someone else completes.
    pub(crate) fn new() -> (Self, Completer) {
        let shared = Arc::new(Shared(Mutex::new(State::Pending(Waiters::default()))));
        let operation = Self { shared: Owned::new(shared.clone()), outcome: OnceLock::new(), task: OnceLock::new() };
        (operation, Completer(Some(shared)))
    }

    /// One that a task of the shared runtime carries out.
    pub(crate) fn spawn<F>(py: Python<'_>, work: F) -> PyResult<Self>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let runtime = runtime::handle(py)?;
        let (operation, completer) = Self::new();
        let task = runtime.spawn(async move { completer.complete(work.await) });
        // It is new, and has none.
        let _ = operation.task.set(task.abort_handle());
        Ok(operation)
    }

    fn is_done(&self) -> PyResult<bool> {
        Ok(self.outcome.get().is_some() || self.shared.get()?.is_ready())
    }
}

#[pymethods]
impl Operation {
    /// One that has no work: `set` completes it.
    #[staticmethod]
    fn manual() -> Self {
        let (operation, completer) = Self::new();
        completer.leave();
        operation
    }

    /// Completes it, with None for its result, unless it is done.
    fn set(&self) -> PyResult<()> {
        self.shared.get()?.complete(Ok(Value::None));
        Ok(())
    }

    /// Whether the outcome is there.
    fn done(&self) -> PyResult<bool> {
        self.is_done()
    }

    /// The outcome: returned or raised, as often as it is asked for.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let outcome = loop {
            if let Some(outcome) = self.outcome.get() {
                break outcome;
            }
            if let Some(outcome) = self.shared.get()?.take() {
                let outcome = outcome.map_err(PyErr::from).and_then(|value| value.into_object(py));
                break self.outcome.get_or_init(|| outcome);
            }
            if !self.is_done()? {
                return Err(PyRuntimeError::new_err("the operation has no outcome yet"));
            }
            // Another thread has taken it, and makes an object of it.
            py.detach(std::thread::yield_now);
        };
        match outcome {
            Ok(value) => Ok(value.clone_ref(py)),
            Err(error) => Err(error.clone_ref(py)),
        }
    }

    /// Blocks this thread until the outcome is there, for up to `timeout` seconds (None: for ever); tells whether it is.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.shared.get()?.wait(py, timeout)
    }

    /// Has the mailbox give `target` out when the outcome is there.
    fn arm(&self, mailbox: &Mailbox, target: Py<PyAny>) -> PyResult<()> {
        self.shared.get()?.arm(mailbox, target)
    }

    /// Stops the work, if it has not ended. It may have been done nevertheless.
    fn cancel(&self) -> PyResult<()> {
        self.shared.get()?;
        if let Some(task) = self.task.get() {
            task.abort();
        }
        Ok(())
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<gnsq._core.Operation {}>", if self.is_done()? { "done" } else { "pending" }))
    }
}

impl Completer {
    pub(crate) fn complete(mut self, outcome: Outcome) {
        if let Some(shared) = self.0.take() {
            shared.complete(outcome);
        }
    }

    /// Leaves the completion to someone else.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.complete(Err(Failure::Cancelled));
        }
    }
}

impl Waitable for Shared {
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

impl Shared {
    fn take(&self) -> Option<Outcome> {
        match &mut *self.lock() {
            State::Pending(_) => None,
            State::Done(outcome) => outcome.take(),
        }
    }

    fn complete(&self, outcome: Outcome) {
        let mut state = self.lock();
        let State::Pending(waiters) = &mut *state else { return };
        let waiters = std::mem::take(waiters);
        *state = State::Done(Some(outcome));
        drop(state);
        waiters.into_iter().for_each(Waiter::tell);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
