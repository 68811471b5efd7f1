//! Where the I/O of clients runs.

#[cfg(feature = "blocking")]
use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, Result};

/// Where a client's I/O runs: its sockets, heartbeats, timers and discovery. Handlers always run where
/// [`Consumer::run`](crate::Consumer::run) is awaited.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Io {
    /// On one thread of this crate's own, shared by all clients of the process and started with the first.
    /// Nothing that the program does can delay heartbeats there: a handler may block its thread.
    Dedicated,
    /// On the runtime that builds the client. Saves two changes of thread a round trip, and relies on nobody
    /// blocking that runtime's threads for long. On tokio's multi-threaded runtime a task is woken on the thread that
    /// has its news, while the future of `block_on`, and so of `#[tokio::main]`, has a thread of its own: what
    /// waits for many answers is better [spawned](tokio::spawn).
    Current,
    /// On a given runtime.
    Runtime(Handle),
}

impl Io {
    /// The runtime that is meant.
    ///
    /// # Errors
    ///
    /// When there is no current runtime, or no thread can be started.
    pub(crate) fn handle(&self) -> Result<Handle> {
        match self {
            Self::Dedicated => dedicated(),
            Self::Current => Handle::try_current().map_err(|error| unusable(&error)),
            Self::Runtime(handle) => Ok(handle.clone()),
        }
    }
}

/// The shared runtime, which lives as long as the process.
fn dedicated() -> Result<Handle> {
    static SHARED: Mutex<Option<Runtime>> = Mutex::new(None);
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*shared {
        return Ok(runtime.handle().clone());
    }
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("gnsq-io").enable_all();
    #[cfg(feature = "blocking")]
    builder.on_thread_start(|| IS_SHARED.set(true));
    let runtime = builder.build().map_err(|error| unusable(&error))?;
    Ok(shared.insert(runtime).handle().clone())
}

#[cfg(feature = "blocking")]
thread_local! {
    static IS_SHARED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is the thread that [`Io::Dedicated`] means. Who waits here for I/O waits for himself.
#[cfg(feature = "blocking")]
pub(crate) fn is_shared_thread() -> bool {
    IS_SHARED.get()
}

fn unusable(error: &dyn std::error::Error) -> Error {
    Error::Option { option: "io", reason: error.to_string() }
}
