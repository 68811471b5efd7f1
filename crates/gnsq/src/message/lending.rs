//! How a message comes into a handler's hands, and is answered by who called the handler.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use gnsq_proto::MessageId;

use super::lifetime::{Lifetime, Verdict};
use super::{Life, Message};
use crate::connection::Handle;
use crate::error::Result;
use crate::moment::Moment;

/// Lends messages to a handler, one after the other, and answers them as it decides. It is what makes a message
/// handled cost no allocation.
#[derive(Debug, Default)]
pub(crate) struct Lender {
    /// The last message's. Most come from where the one before came from.
    connection: Option<Handle>,
    /// Where what happens to the message that is lent shows.
    life: Arc<Lifetime>,
}

impl Lender {
    /// Lends `message`, which is then to be handed to the handler. The one before must be settled.
    pub(crate) fn lend(&mut self, message: &mut Message) -> Loan<'_> {
        match &message.life {
            Life::Own(own) => {
                let life = Lifetime::new(own.times(), false);
                // Usually the handler has dropped the last message, and the memory can be used again.
                match Arc::get_mut(&mut self.life) {
                    Some(unused) => *unused = life,
                    None => self.life = Arc::new(life),
                }
                message.life = Life::Shared(self.life.clone());
            }
            Life::Shared(life) => {
                life.detached.store(false, Ordering::Relaxed);
                self.life = life.clone();
            }
        }
        if self.connection.as_ref() != Some(&message.connection) {
            self.connection = Some(message.connection.clone());
        }
        let connection = self.connection.get_or_insert_with(|| message.connection.clone());
        Loan { connection, id: message.id(), life: &self.life, settled: false }
    }
}

/// A message in a handler's hands, seen by the one who called it, who answers it unless that is done.
/// Dropped without [`settle`](Self::settle), the message is requeued.
#[derive(Debug)]
pub(crate) struct Loan<'a> {
    connection: &'a Handle,
    id: MessageId,
    life: &'a Lifetime,
    settled: bool,
}

impl<'a> Loan<'a> {
    /// Whether the message is still to be answered by the one who lent it.
    pub(crate) fn is_open(&self) -> bool {
        !self.life.is_settled()
    }

    pub(crate) fn connection(&self) -> &'a Handle {
        self.connection
    }

    /// Answers the message as its handler decided, unless it answered or detached it itself.
    pub(crate) fn settle(mut self, verdict: Verdict, now: Moment) -> Result<()> {
        self.settled = true;
        self.life.settle(self.connection, self.id, verdict, now)
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if !self.settled && !self.life.detached.load(Ordering::Relaxed) {
            self.life.give_back(self.connection, self.id);
        }
    }
}
