//! The threads that do the I/O of all clients in this process.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::errors::Failure;
use crate::process::generation;

/// The runtime of this process, made when it is first wanted. A parent's is left alone: its threads are not here.
///
/// # Errors
///
/// `NSQException` when no thread can be started.
pub(crate) fn handle(_py: Python<'_>) -> PyResult<Handle> {
    // Only with the GIL is it locked, so that no fork can find it locked.
    static SHARED: Mutex<Option<(u32, Runtime)>> = Mutex::new(None);
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, runtime)) = &*shared
        && *of == generation()
    {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_name("gnsq-io")
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("can't start a thread for I/O: {error}")))?;
    let handle = runtime.handle().clone();
    std::mem::forget(shared.replace((generation(), runtime)));
    Ok(handle)
}

/// What looks up names; each thread ends after 10 s without work.
const MAX_BLOCKING_THREADS: usize = 8;
