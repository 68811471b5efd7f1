//! Who wants to know how messages are answered.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::message::Message;

/// Told by messages how they were answered, while somebody listens:
/// `finished(message)`, `requeued(message, time_ms, backoff)`.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct Answers {
    finished: Py<PyAny>,
    requeued: Py<PyAny>,
    is_heard: AtomicBool,
}

impl Answers {
    pub(crate) fn is_heard(&self) -> bool {
        self.is_heard.load(Ordering::Relaxed)
    }

    pub(crate) fn finished(&self, message: &Bound<'_, Message>) -> PyResult<()> {
        self.finished.bind(message.py()).call1((message,)).map(drop)
    }

    pub(crate) fn requeued(&self, message: &Bound<'_, Message>, time_ms: i64, backoff: bool) -> PyResult<()> {
        self.requeued.bind(message.py()).call1((message, time_ms, backoff)).map(drop)
    }
}

#[pymethods]
impl Answers {
    #[new]
    #[pyo3(signature = (finished, requeued, is_heard=false))]
    fn new(finished: Py<PyAny>, requeued: Py<PyAny>, is_heard: bool) -> Self {
        Self { finished, requeued, is_heard: AtomicBool::new(is_heard) }
    }

    /// From here on messages tell.
    fn listen(&self) {
        self.is_heard.store(true, Ordering::Relaxed);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.finished)?;
        visit.call(&self.requeued)
    }
}
