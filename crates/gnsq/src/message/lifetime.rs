//! How long a message may be held, and whether it was answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::connection::Handle;

/// What is known of a message beside its content.
#[derive(Debug, Default)]
pub(crate) struct Lifetime {
    pub(super) answered: AtomicBool,
    /// Whether its fate is in the user's hands, not in those of the handler's caller.
    pub(super) detached: AtomicBool,
    /// When nsqd gives it to someone else, in the connection's nanoseconds.
    pub(super) deadline: AtomicU64,
    /// Touches move the deadline no further.
    pub(super) cap: u64,
}

/// The times of messages that were received together, in their connection's nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(super) deadline: u64,
    pub(super) cap: u64,
}

impl Times {
    pub(crate) fn new(connection: &Handle, received: Instant, deadline: Instant) -> Self {
        let (_, longest) = connection.msg_timeouts();
        Self { deadline: connection.nanos(deadline), cap: connection.nanos(received + longest) }
    }
}

impl Lifetime {
    pub(super) fn is_over(&self, connection: &Handle, now: Instant) -> bool {
        connection.nanos(now) >= self.deadline.load(Ordering::Relaxed)
    }
}
