//! A publish that goes on while its caller does something else.

use std::fmt;

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
    Failed(Error),
}

impl Pending {
    pub(super) fn new(runtime: Handle, begun: Result<JoinHandle<Result<()>>>) -> Self {
        Self { state: begun.map_or_else(State::Failed, State::Running), runtime }
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
            State::Failed(error) => Err(error),
        }
    }

    /// Whether the outcome is there, so that [`wait`](Self::wait) wouldn't.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Running(task) => task.is_finished(),
            State::Failed(_) => true,
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("is_done", &self.is_done()).finish_non_exhaustive()
    }
}
