//! Threads of Python that wait for the I/O, without the GIL.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::errors::Failure;
use crate::process::generation;
use crate::sleeper::{Sleeper, Slept};

/// Waits until `ready` has something, without the GIL in between; `None` when the time is over. Whoever makes it ready
/// must wake the parker that `register` is given, which is called again after each wake-up that was in vain.
///
/// # Errors
///
/// What a handler of a signal raises: `KeyboardInterrupt` for one. `NSQException` when the interpreter exits.
pub(crate) fn park<T>(
    py: Python<'_>,
    deadline: Option<Instant>,
    mut ready: impl FnMut() -> PyResult<Option<T>>,
    mut register: impl FnMut(Arc<Sleeper>),
) -> PyResult<Option<T>> {
    if let Some(ready) = ready()? {
        return Ok(Some(ready));
    }
    let parker = current(py)?;
    let mut looks = LOOKS.iter();
    loop {
        parker.clear();
        register(parker.clone());
        if let Some(ready) = ready()? {
            return Ok(Some(ready));
        }
        if EXITING.load(Ordering::Acquire) {
            return Err(Failure::Other("the interpreter is exiting".to_owned()).into());
        }
        let look = looks.next().map(|after| Instant::now() + *after);
        let look = look.filter(|look| deadline.is_none_or(|deadline| *look < deadline));
        let slept = py.detach(|| {
            PARKED.fetch_add(1, Ordering::AcqRel);
            parker.sleep(look.or(deadline))
        });
        PARKED.fetch_sub(1, Ordering::AcqRel);
        // Before it registers again, which what is ready would answer by waking it again.
        if let Some(ready) = ready()? {
            return Ok(Some(ready));
        }
        match slept {
            Slept::Woken => {}
            Slept::TimedOut if look.is_none() => return Ok(None),
            Slept::TimedOut | Slept::Interrupted => py.check_signals()?,
        }
    }
}

/// A signal that comes just before a wait interrupts nothing: so long after its beginning each wait looks for one, and then
/// never again.
const LOOKS: [Duration; 3] = [Duration::from_millis(5), Duration::from_millis(50), Duration::from_millis(500)];

/// This thread's parker, for as long as it lives and isn't forked.
fn current(_py: Python<'_>) -> PyResult<Arc<Sleeper>> {
    thread_local! {
        static CURRENT: RefCell<Option<(u32, Arc<Sleeper>)>> = const { RefCell::new(None) };
    }
    CURRENT.with_borrow_mut(|current| {
        if let Some((of, parker)) = current
            && *of == generation()
        {
            return Ok(parker.clone());
        }
        let sleeper = Sleeper::new();
        let sleeper = sleeper.map_err(|error| Failure::Other(format!("can't make a file descriptor: {error}")))?;
        let parker = Arc::new(sleeper);
        *current = Some((generation(), parker.clone()));
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|parker| parker.strong_count() > 0);
        all.push(Arc::downgrade(&parker));
        Ok(parker)
    })
}

/// Has every thread that waits return to Python, and waits until they have, for as long as that may take: one that came
/// back while the interpreter is being taken down could not be ended cleanly.
#[pyfunction]
pub(crate) fn release_threads(py: Python<'_>, timeout: f64) {
    EXITING.store(true, Ordering::Release);
    let deadline = Instant::now() + Duration::try_from_secs_f64(timeout).unwrap_or(Duration::from_secs(1));
    while PARKED.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
        for parker in ALL.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade) {
            parker.wake();
        }
        // Those that come back need the GIL.
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    }
}

/// In a child of a fork no thread waits but those that begin to. The parent's must not be woken from here: they share
/// their file descriptors with this process.
pub(crate) fn after_fork_in_child() {
    PARKED.store(0, Ordering::Release);
    ALL.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

static EXITING: AtomicBool = AtomicBool::new(false);

/// How many threads are on their way into or out of a wait.
static PARKED: AtomicUsize = AtomicUsize::new(0);

/// Locked only with the GIL, so that no fork can find it locked.
static ALL: Mutex<Vec<Weak<Sleeper>>> = Mutex::new(Vec::new());
