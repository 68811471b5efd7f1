//! The messages of a channel that clients hold.

use std::collections::hash_map::Entry;
use std::time::Duration;

use rustc_hash::FxHashMap;
use thiserror::Error;

use super::message::Message;
use crate::clock::Tick;

/// Why an answer to a message came to nothing; the texts are nsqd's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum NotInFlight {
    #[error("ID not in flight")]
    Unknown,
    #[error("client does not own message")]
    NotOwner,
}

/// Who holds which message, and until when.
///
/// Deadlines are not kept in order: that would cost every message, and hardly any reaches its deadline. Instead, one
/// [`bound`](Self::bound) is known before which none ends; when it has come, all are looked at once.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    held: FxHashMap<u64, Held>,
    bound: Option<Tick>,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) message: Message,
    /// The client's number.
    pub(super) owner: u64,
    delivered: Tick,
    deadline: Tick,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn insert(&mut self, message: Message, owner: u64, now: Tick, timeout: Duration) {
        let deadline = now.after(timeout);
        self.bound = Some(self.bound.map_or(deadline, |bound| bound.min(deadline)));
        self.held.insert(message.id(), Held { message, owner, delivered: now, deadline });
    }

    pub(super) fn remove(&mut self, id: Option<u64>, owner: u64) -> Result<Message, NotInFlight> {
        let id = id.ok_or(NotInFlight::Unknown)?;
        match self.held.entry(id) {
            Entry::Vacant(_) => Err(NotInFlight::Unknown),
            Entry::Occupied(held) if held.get().owner != owner => Err(NotInFlight::NotOwner),
            Entry::Occupied(held) => Ok(held.remove().message),
        }
    }

    /// A new deadline, `timeout` from now and at most `max` after the delivery.
    pub(super) fn touch(
        &mut self,
        id: Option<u64>,
        owner: u64,
        now: Tick,
        timeout: Duration,
        max: Duration,
    ) -> Result<(), NotInFlight> {
        let held = id.and_then(|id| self.held.get_mut(&id)).ok_or(NotInFlight::Unknown)?;
        if held.owner != owner {
            return Err(NotInFlight::NotOwner);
        }
        held.deadline = now.after(timeout).min(held.delivered.after(max));
        // A client may touch with a shorter timeout than it was delivered with only in theory; the bound must hold anyway.
        self.bound = self.bound.map(|bound| bound.min(held.deadline));
        Ok(())
    }

    /// The moment before which nothing times out.
    pub(super) fn bound(&self) -> Option<Tick> {
        self.bound
    }

    /// Takes out what has timed out, the oldest first.
    pub(super) fn take_expired(&mut self, now: Tick) -> Vec<Held> {
        if self.bound.is_none_or(|bound| bound > now) {
            return Vec::new();
        }
        let mut expired: Vec<Held> =
            self.held.extract_if(|_, held| held.deadline <= now).map(|(_, held)| held).collect();
        expired.sort_unstable_by_key(|held| (held.deadline, held.message.id()));
        self.bound = self.held.values().map(|held| held.deadline).min();
        expired
    }
}
