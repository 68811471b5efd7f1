//! Where one hub, loop or thread is told of what has happened, all of it with one wake-up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::errors::Failure;
use crate::parker::park;
use crate::process::Owned;
use crate::publish::Slot;
use crate::sleeper::Sleeper;
use crate::wake::WakeFd;

/// Told by the I/O threads, without the GIL.
#[derive(Debug)]
pub(crate) struct Told {
    fd: WakeFd,
    ready: Mutex<Ready>,
}

#[derive(Debug, Default)]
struct Ready {
    tokens: Vec<usize>,
    /// A thread that waits here instead of on the fd.
    waiting: Option<Arc<Sleeper>>,
}

/// Who is to be told that something is ready. Each is told once.
#[derive(Debug)]
pub(crate) enum Waiter {
    Thread(Arc<Sleeper>),
    Mailbox(Arc<Told>, usize),
}

impl Waiter {
    pub(crate) fn tell(self) {
        match self {
            Self::Thread(parker) => parker.wake(),
            Self::Mailbox(told, token) => told.tell(&[token]),
        }
    }

    /// Tells all of them, each mailbox with one wake-up as far as its waiters come one after the other.
    pub(crate) fn tell_all(waiters: impl IntoIterator<Item = Self>) {
        let mut run: Option<(Arc<Told>, Vec<usize>)> = None;
        for waiter in waiters {
            match (waiter, &mut run) {
                (Self::Mailbox(told, token), Some((latest, tokens))) if Arc::ptr_eq(&told, latest) => {
                    tokens.push(token);
                }
                (Self::Mailbox(told, token), _) => {
                    if let Some((told, tokens)) = run.replace((told, vec![token])) {
                        told.tell(&tokens);
                    }
                }
                (Self::Thread(parker), _) => parker.wake(),
            }
        }
        if let Some((told, tokens)) = run {
            told.tell(&tokens);
        }
    }

    /// Whether both would wake the same thread.
    pub(crate) fn is_thread(&self, parker: &Arc<Sleeper>) -> bool {
        matches!(self, Self::Thread(other) if Arc::ptr_eq(other, parker))
    }
}

impl Told {
    fn tell(&self, tokens: &[usize]) {
        if tokens.is_empty() {
            return;
        }
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = ready.tokens.is_empty();
        ready.tokens.extend_from_slice(tokens);
        if !was_empty {
            return;
        }
        let waiting = ready.waiting.take();
        // Whoever is woken wants the lock at once.
        drop(ready);
        match waiting {
            Some(parker) => parker.wake(),
            None => self.fd.wake(),
        }
    }

    fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.ready.lock().unwrap_or_else(PoisonError::into_inner).tokens)
    }
}

/// Gathers what is ready, for one event loop. An object that is armed with it and a target gives the target out of
/// `drain` once it is ready.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct Mailbox {
    told: Owned<Arc<Told>>,
    targets: Mutex<Targets>,
    /// The method of a future that sets its result.
    setter: Py<PyString>,
}

/// What is given out or set, by its token. Locked only with the GIL.
#[derive(Default)]
struct Targets {
    slots: Vec<Option<Target>>,
    free: Vec<usize>,
}

enum Target {
    /// Is given out.
    Given(Py<PyAny>),
    /// A future that has the outcome of a publish set.
    Settled(Py<PyAny>, Arc<Slot>),
}

impl Mailbox {
    /// Who has to be told for `target` to be given out.
    pub(crate) fn waiter(&self, target: Py<PyAny>) -> PyResult<Waiter> {
        self.telling(Target::Given(target))
    }

    /// Who has to be told for `future` to have the outcome that is in the slot.
    pub(crate) fn settling(&self, future: Py<PyAny>, slot: Arc<Slot>) -> PyResult<Waiter> {
        self.telling(Target::Settled(future, slot))
    }

    fn telling(&self, target: Target) -> PyResult<Waiter> {
        let told = self.told.get()?.clone();
        let mut targets = self.targets();
        let token = if let Some(token) = targets.free.pop() {
            targets.slots[token] = Some(target);
            token
        } else {
            targets.slots.push(Some(target));
            targets.slots.len() - 1
        };
        Ok(Waiter::Mailbox(told, token))
    }

    /// Sets the futures among the targets, and gives out the others. What a future raises leaves those behind it to the
    /// next time.
    fn given<'py>(&self, py: Python<'py>, tokens: Vec<usize>) -> PyResult<Bound<'py, PyList>> {
        let mut given = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let target = self.targets().take(*token);
            let failed = match target {
                Some(Target::Given(target)) => {
                    given.push(target);
                    continue;
                }
                // Without the lock: it may call whom it likes.
                Some(Target::Settled(future, slot)) => self.settle(future.bind(py), &slot),
                None => continue,
            };
            if let Err(error) = failed {
                self.keep(given, &tokens[at + 1..])?;
                return Err(error);
            }
        }
        PyList::new(py, given)
    }

    fn settle(&self, future: &Bound<'_, PyAny>, slot: &Slot) -> PyResult<()> {
        let py = future.py();
        let set = match slot.outcome(py) {
            Ok(answer) => future.call_method1(&self.setter, (answer,)),
            Err(failure) => future.call_method1(intern!(py, "set_exception"), (failure.into_value(py),)),
        };
        match set {
            // One that was cancelled can't be set, and need not.
            Err(error) if error.is_instance_of::<PyException>(py) && is_done(future) => Ok(()),
            set => set.map(drop),
        }
    }

    /// Has all of it given out later.
    fn keep(&self, given: Vec<Py<PyAny>>, tokens: &[usize]) -> PyResult<()> {
        for target in given {
            self.waiter(target)?.tell();
        }
        self.told.get()?.tell(tokens);
        Ok(())
    }

    fn targets(&self) -> MutexGuard<'_, Targets> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Targets {
    fn take(&mut self, token: usize) -> Option<Target> {
        let target = self.slots.get_mut(token)?.take()?;
        self.free.push(token);
        Some(target)
    }
}

fn is_done(future: &Bound<'_, PyAny>) -> bool {
    let done = future.call_method0(intern!(future.py(), "done"));
    done.and_then(|done| done.extract()).unwrap_or(false)
}

#[pymethods]
impl Mailbox {
    /// `setter` is the method by which futures have their result set.
    #[new]
    #[pyo3(signature = (setter="set_result"))]
    fn new(py: Python<'_>, setter: &str) -> PyResult<Self> {
        let fd = WakeFd::new().map_err(|error| Failure::Other(format!("can't make a file descriptor: {error}")))?;
        let told = Owned::new(Arc::new(Told { fd, ready: Mutex::default() }));
        Ok(Self { told, targets: Mutex::default(), setter: PyString::intern(py, setter).unbind() })
    }

    /// Readable while `drain` has something to do.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.told.get()?.fd.raw())
    }

    /// Whether anything is armed that has not been given out or set.
    fn is_armed(&self) -> bool {
        let targets = self.targets();
        targets.slots.len() > targets.free.len()
    }

    /// Sets the futures of what is ready, and returns the other targets; never waits.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let told = self.told.get()?;
        // Cleared before: what is told from here on makes it readable again, at worst for nothing.
        told.fd.clear();
        self.given(py, told.take())
    }

    /// As `drain`, but waits for up to `timeout` seconds (None: for ever) until there is something. For one thread at a
    /// time.
    #[pyo3(signature = (timeout=None))]
    fn wait<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyList>> {
        let told = self.told.get()?;
        let ready = || {
            let tokens = told.take();
            Ok((!tokens.is_empty()).then_some(tokens))
        };
        let register = |parker| {
            let mut ready = told.ready.lock().unwrap_or_else(PoisonError::into_inner);
            ready.waiting = Some(parker);
        };
        let tokens = park(py, deadline(timeout)?, ready, register);
        told.ready.lock().unwrap_or_else(PoisonError::into_inner).waiting = None;
        self.given(py, tokens?.unwrap_or_default())
    }
}

/// The moment that is `timeout` seconds from now.
///
/// # Errors
///
/// `ValueError` for what is no time.
pub(crate) fn deadline(timeout: Option<f64>) -> PyResult<Option<Instant>> {
    let Some(timeout) = timeout else { return Ok(None) };
    if timeout.is_nan() {
        return Err(PyValueError::new_err("timeout is not a number"));
    }
    // What is too far to be told is as good as for ever.
    Ok(Duration::try_from_secs_f64(timeout.max(0.0)).ok().and_then(|timeout| Instant::now().checked_add(timeout)))
}
