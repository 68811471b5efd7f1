//! A publish that goes on while its caller does something else.

use std::fmt;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::wait::wait;
use crate::error::{Error, Result};

/// The outcome to come of a [publish in the background](super::Producer::publish_background). Dropping it stops nothing:
/// only the outcome is lost.
#[must_use = "a publish may fail: wait for its outcome, or drop it knowingly"]
pub struct Pending {
    state: State,
    runtime: Handle,
}

enum State {
    Running(JoinHandle<Result<()>>),
    Done(Result<()>),
}

impl Pending {
    /// Begins at once, so that what is published on one thread goes out in order, and leaves the rest to the runtime.
    pub(super) fn begin(runtime: &Handle, publish: impl Future<Output = Result<()>> + Send + 'static) -> Self {
        let mut publish = Box::pin(publish);
        let begun = {
            let _entered = runtime.enter();
            tokio::task::unconstrained(publish.as_mut()).now_or_never()
        };
        let state = begun.map_or_else(|| State::Running(runtime.spawn(publish)), State::Done);
        Self { state, runtime: runtime.clone() }
    }

    pub(super) fn failed(runtime: &Handle, error: Error) -> Self {
        Self { state: State::Done(Err(error)), runtime: runtime.clone() }
    }

    /// Waits for the outcome.
    ///
    /// # Errors
    ///
    /// As [`Producer::publish`](super::Producer::publish).
    pub fn wait(self) -> Result<()> {
        match self.state {
            // The shared runtime lasts as long as the process, so the task does until it is done.
            State::Running(task) => wait(&self.runtime, task)?.unwrap_or(Err(Error::Closed)),
            State::Done(outcome) => outcome,
        }
    }

    /// Whether the outcome is there, so that [`wait`](Self::wait) wouldn't.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Running(task) => task.is_finished(),
            State::Done(_) => true,
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("is_done", &self.is_done()).finish_non_exhaustive()
    }
}
