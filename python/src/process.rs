//! What belongs to the process that made it: a fork copies the memory, but neither the threads nor the connections.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;

use crate::errors::Failure;

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
}

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
        Self { generation: generation(), pid: std::process::id(), value: Some(value) }
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
