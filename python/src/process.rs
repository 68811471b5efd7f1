//! What belongs to the process that made it: a fork copies the memory, but neither the threads nor the connections.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;

use crate::errors::Failure;
use crate::parker;

/// Counts the forks between the first process and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Which process this is, among those that come from one another by forks.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Called in a child, at once after the fork.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    parker::after_fork_in_child();
    PID.store(std::process::id(), Ordering::Relaxed);
}

/// This process' id. To ask the system each time would be no small part of what a message costs.
fn pid() -> u32 {
    match PID.load(Ordering::Relaxed) {
        0 => {
            let pid = std::process::id();
            PID.store(pid, Ordering::Relaxed);
            pid
        }
        pid => pid,
    }
}

static PID: AtomicU32 = AtomicU32::new(0);

/// A value that works in the process that made it only. In a child its use is refused, and its drop does nothing: both
/// could wait for threads that aren't there.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    generation: u32,
    pid: u32,
    /// Always there, until it is dropped.
    value: Option<T>,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { generation: generation(), pid: pid(), value: Some(value) }
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// `NSQException` in a child of the process that made it.
    pub(crate) fn get(&self) -> PyResult<&T> {
        match &self.value {
            Some(value) if self.is_here() => Ok(value),
            _ => Err(Failure::Forked { pid: self.pid }.into()),
        }
    }

    /// The value, for one who takes it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub(crate) fn into_inner(mut self) -> PyResult<T> {
        match self.value.take() {
            Some(value) if self.is_here() => Ok(value),
            value => {
                std::mem::forget(value);
                Err(Failure::Forked { pid: self.pid }.into())
            }
        }
    }

    pub(crate) fn is_here(&self) -> bool {
        self.generation == generation()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if !self.is_here() {
            std::mem::forget(self.value.take());
        }
    }
}
