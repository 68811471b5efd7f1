//! What keeps a message alive while somebody works on it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use gnsq_proto::MessageId;

use super::Message;
use super::lifetime::Lifetime;
use crate::connection::{Handle, Op};
use crate::moment::Moment;

/// Touches one message whenever its time is nearly over. It keeps nobody from dropping the message.
#[derive(Debug)]
pub(crate) struct Pulse {
    connection: Handle,
    id: MessageId,
    life: Weak<Lifetime>,
}

impl Pulse {
    pub(crate) fn new(message: &mut Message) -> Self {
        let (connection, id) = (message.connection.clone(), message.id());
        Self { connection, id, life: Arc::downgrade(message.share()) }
    }

    /// Touches the message if that is due. Returns when to look next; `None` when there is nothing left to do: it was
    /// answered, its time is over, or no touch gives it more.
    pub(crate) fn beat(&self, now: Instant) -> Option<Instant> {
        let life = self.life.upgrade()?;
        let deadline = life.deadline();
        if life.answered.load(Ordering::Relaxed) || life.is_over(now) || deadline >= life.cap() {
            return None;
        }
        let due = self.due(deadline);
        if now < due {
            return Some(due);
        }
        self.connection.send(Op::KeepAlive(self.id)).ok()?;
        self.connection.tell_touched(self.id);
        life.extend(&self.connection, now);
        let deadline = life.deadline();
        (deadline < life.cap()).then(|| self.due(deadline))
    }

    /// Whether the message is still to be answered.
    pub(crate) fn is_needed(&self) -> bool {
        self.life.upgrade().is_some_and(|life| !life.answered.load(Ordering::Relaxed))
    }

    fn due(&self, deadline: Moment) -> Instant {
        let (timeout, _) = self.connection.msg_timeouts();
        let margin = (timeout / 4).max(SAFE_MARGIN.min(timeout / 2));
        let deadline = deadline.instant();
        deadline.checked_sub(margin).unwrap_or(deadline)
    }
}

/// What a busy machine and a slow network may need, where the message timeout allows for it.
const SAFE_MARGIN: Duration = Duration::from_secs(2);
