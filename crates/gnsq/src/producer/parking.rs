//! Publishes that wait: for room, or for a connection.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gnsq_proto::Command;

use super::builder::WhenDisconnected;
use crate::budget::Permit;
use crate::connection::publish::messages;
use crate::time_limit::TimeLimit;

/// A publish that is not with a connection.
#[derive(Debug)]
pub(super) struct Pending {
    /// PUB, DPUB or MPUB.
    pub(super) command: Command,
    pub(super) permit: Permit,
    /// What it counts in bytes.
    pub(super) size: usize,
    pub(super) limit: TimeLimit,
    /// What it does while no nsqd is connected.
    pub(super) when_disconnected: WhenDisconnected,
    /// The hash of its key.
    pub(super) key: Option<u64>,
}

/// Holds the publishes that wait, rather than their futures: a close returns them all, whether or not anyone still
/// looks at the futures.
#[derive(Debug, Default)]
pub(super) struct Parking(Mutex<Parked>);

#[derive(Debug, Default)]
struct Parked {
    waiting: BTreeMap<u64, Pending>,
    next: u64,
    /// How many messages wait for a connection, and their bytes.
    buffered: Buffered,
    closed: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Buffered {
    messages: usize,
    bytes: usize,
}

/// What waits; dropped, it waits no more.
#[derive(Debug)]
pub(super) struct Place<'a> {
    parking: &'a Parking,
    number: u64,
    /// What it counts in the buffer.
    buffered: Buffered,
}

/// The most that may wait for a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// Why something can't wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    Full,
    Closed,
}

impl Parking {
    /// Lets it wait. `bound`: as long as it is one of so many.
    pub(super) fn park(&self, pending: Pending, bound: Option<Bound>) -> Result<Place<'_>, NoPlace> {
        let mut parked = self.parked();
        if parked.closed {
            return Err(NoPlace::Closed);
        }
        let mut buffered = Buffered::default();
        if let Some(bound) = bound {
            buffered = Buffered { messages: messages(&pending.command), bytes: pending.size };
            if !parked.buffered.has_room(buffered, bound) {
                return Err(NoPlace::Full);
            }
            parked.buffered.messages += buffered.messages;
            parked.buffered.bytes += buffered.bytes;
        }
        let number = parked.next;
        parked.next += 1;
        parked.waiting.insert(number, pending);
        Ok(Place { parking: self, number, buffered })
    }

    /// Whether a publish could wait as one of so many.
    pub(super) fn has_room(&self, pending: &Pending, bound: Bound) -> bool {
        let more = Buffered { messages: messages(&pending.command), bytes: pending.size };
        self.parked().buffered.has_room(more, bound)
    }

    /// Lets nothing wait any more; returns what did, in the order in which it came.
    pub(super) fn close(&self) -> impl Iterator<Item = Pending> {
        let mut parked = self.parked();
        parked.closed = true;
        std::mem::take(&mut parked.waiting).into_values()
    }

    pub(super) fn len(&self) -> usize {
        self.parked().waiting.len()
    }

    fn parked(&self) -> MutexGuard<'_, Parked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// It waits no more. `None`: a close has taken it.
    pub(super) fn leave(self) -> Option<Pending> {
        self.parking.parked().waiting.remove(&self.number)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut parked = self.parking.parked();
        parked.buffered.messages -= self.buffered.messages;
        parked.buffered.bytes -= self.buffered.bytes;
        let given_up = parked.waiting.remove(&self.number);
        drop(parked);
        // Its permit may wake others.
        drop(given_up);
    }
}

impl Buffered {
    fn has_room(self, more: Self, bound: Bound) -> bool {
        self.messages + more.messages <= bound.messages && self.bytes + more.bytes <= bound.bytes
    }
}
