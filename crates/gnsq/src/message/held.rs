//! A message that waits for its handler, and comes back from it when that fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gnsq_proto::{MessageFrame, MessageId};

use super::lifetime::{Lifetime, Verdict};
use super::weight::Weight;
use super::{Life, Message};
use crate::connection::Handle;
use crate::error::Result;

/// A message kept by the one who calls the handler, for as many calls as it takes. Dropped unanswered, it is requeued.
#[derive(Debug)]
pub(crate) struct Held {
    frame: MessageFrame,
    connection: Handle,
    life: Arc<Lifetime>,
    _weight: Option<Box<Weight>>,
}

impl Held {
    pub(crate) fn new(mut message: Message) -> Self {
        let life = message.share().clone();
        // The message itself goes without a word.
        life.detached.store(false, Ordering::Relaxed);
        let weight = message.weight.take();
        Self { frame: message.frame.clone(), connection: message.connection.clone(), life, _weight: weight }
    }

    /// For one call of a handler, or of whoever looks at it: dropping it means nothing.
    pub(crate) fn message(&self, attempts: u16) -> Message {
        Message {
            frame: MessageFrame { attempts, ..self.frame.clone() },
            connection: self.connection.clone(),
            life: Life::Shared(self.life.clone()),
            weight: None,
        }
    }

    pub(crate) fn id(&self) -> MessageId {
        self.frame.id
    }

    pub(crate) fn connection(&self) -> &Handle {
        &self.connection
    }

    /// Whether a handler has answered the message itself, or detached it.
    pub(crate) fn is_settled(&self) -> bool {
        self.life.is_settled()
    }

    /// Whether nsqd delivers it again whatever is done: its time is over, or its connection.
    pub(crate) fn is_lost(&self, now: Instant) -> bool {
        self.connection.has_ended() || self.life.is_over(now)
    }

    /// When nsqd gives it to someone else.
    pub(crate) fn deadline(&self) -> Instant {
        self.life.deadline().instant()
    }

    /// No touch keeps it longer than this.
    pub(crate) fn cap(&self) -> Instant {
        self.life.cap().instant()
    }

    /// How long nsqd lets a message be without a touch.
    pub(crate) fn msg_timeout(&self) -> Duration {
        self.connection.msg_timeouts().0
    }

    /// Answers the message, unless its handler did.
    pub(crate) fn settle(self, verdict: Verdict, now: Instant) -> Result<()> {
        self.life.settle(&self.connection, self.frame.id, verdict, now.into())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.life.detached.load(Ordering::Relaxed) {
            self.life.give_back(&self.connection, self.frame.id);
        }
    }
}
