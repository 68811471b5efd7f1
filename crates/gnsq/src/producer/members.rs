//! The nsqds of a producer, and which of them is next.

#[cfg(feature = "http")]
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gnsq_proto::TopicName;

use super::member::{Flaws, Member, Notice};
use super::report::NsqdStats;
use super::routing::{Routing, weight};
use crate::address::Address;
use crate::connection::Handle;
use crate::error::Error;
#[cfg(feature = "http")]
use crate::fleet::Nsqd;

#[derive(Debug)]
pub(super) struct Members {
    /// Those named, in the order given, then those found, by address.
    list: Vec<Member>,
    /// Those named that there was no attempt to connect to.
    untried: BTreeSet<Address>,
    /// Where the next turn begins.
    next: usize,
    /// Messages confirmed on connections that have ended.
    published: u64,
    last_failure: Option<Error>,
    routing: Routing,
    stall_timeout: Option<Duration>,
    breaker_failures: u32,
    rng: fastrand::Rng,
    /// To be told.
    notices: Vec<Notice>,
}

impl Members {
    pub(super) fn new(
        named: &[Address],
        routing: Routing,
        stall_timeout: Option<Duration>,
        breaker_failures: u32,
    ) -> Self {
        let mut list = Vec::<Member>::new();
        for address in named {
            // One that is named twice is one all the same.
            if list.iter().all(|member| member.address != *address) {
                list.push(Member::new(address.clone(), true, breaker_failures));
            }
        }
        Self {
            untried: list.iter().map(|member| member.address.clone()).collect(),
            list,
            next: 0,
            published: 0,
            last_failure: None,
            routing,
            stall_timeout,
            breaker_failures,
            rng: fastrand::Rng::new(),
            notices: Vec::new(),
        }
    }

    /// What is to be told by now.
    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// How many are connected.
    pub(super) fn connected(&self) -> usize {
        self.list.iter().filter(|member| member.live().is_some()).count()
    }

    /// The last reason for which there may be no connection.
    pub(super) fn last_failure(&self) -> Option<Box<Error>> {
        self.last_failure.clone().map(Box::new)
    }

    /// The connection for a publish to this topic, with this key.
    pub(super) fn pick(&mut self, topic: &TopicName, key: Option<u64>, now: Instant) -> Option<Handle> {
        let count = self.list.len();
        let start = match (self.routing, key) {
            (Routing::FirstHealthy, _) | (Routing::ByKey, Some(_)) => 0,
            _ => self.next,
        };
        let mut best = None;
        for index in (0..count).map(|step| (start + step) % count) {
            let member = &mut self.list[index];
            let Some(connection) = member.live() else { continue };
            // The least wins, of several such the first.
            let cost = match (self.routing, key) {
                (Routing::LeastOutstanding, _) => u64::from(connection.load().publishes()),
                (Routing::ByKey, Some(key)) => !weight(member.hash, key),
                _ => 0,
            };
            let rank = (member.flaws(topic, self.stall_timeout, now, &mut self.notices), cost);
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, index));
            }
            if rank == (Flaws::NONE, 0) {
                break;
            }
        }
        let (_, index) = best?;
        // The turn goes on behind the one that had it, so that each has as many.
        self.next = (index + 1) % count;
        let member = &mut self.list[index];
        member.begin(now);
        member.connection.clone()
    }

    pub(super) fn up(&mut self, connection: &Handle) {
        let address = connection.address();
        self.untried.remove(address);
        if self.list.iter().all(|member| member.address != *address) {
            // It vanished while it was being connected to; when it ends, that is noticed.
            let mut member = Member::new(address.clone(), false, self.breaker_failures);
            member.listed = false;
            self.insert(member);
        }
        if let Some(member) = self.list.iter_mut().find(|member| member.address == *address) {
            member.up(connection.clone());
        }
        self.last_failure = None;
    }

    pub(super) fn down(&mut self, connection: &Handle, cause: &Error, now: Instant) {
        self.published += connection.load().confirmed();
        let member = self.list.iter_mut().find(|member| member.connection.as_ref() == Some(connection));
        if let Some(member) = member {
            member.down(cause, now, &mut self.rng, &mut self.notices);
        }
        self.forget_vanished();
        self.failed(cause);
    }

    /// An attempt to connect has failed. Returns whether it was the first at this nsqd.
    pub(super) fn attempt_failed(&mut self, address: &Address, cause: &Error) -> bool {
        self.failed(cause);
        self.untried.remove(address)
    }

    /// Whether there was an attempt at each that was named.
    pub(super) fn all_tried(&self) -> bool {
        self.untried.is_empty()
    }

    /// One more was named by the user. Returns whether it wasn't yet.
    pub(super) fn name(&mut self, address: &Address) -> bool {
        let known = self.list.iter().position(|member| member.address == *address);
        // Among those that are found it would be looked for by its address.
        let mut member = match known {
            Some(index) if self.list[index].named => return false,
            Some(index) => self.list.remove(index),
            None => Member::new(address.clone(), true, self.breaker_failures),
        };
        member.named = true;
        if member.live().is_none() {
            self.untried.insert(address.clone());
        }
        let at = self.list.partition_point(|other| other.named);
        self.list.insert(at, member);
        true
    }

    fn failed(&mut self, cause: &Error) {
        self.last_failure = Some(cause.clone());
    }

    /// Takes over what nsqlookupds know now; returns where those nsqds are.
    #[cfg(feature = "http")]
    pub(super) fn follow(&mut self, nsqds: &BTreeSet<Nsqd>) -> BTreeSet<Address> {
        let mut tombstones = BTreeMap::<Address, BTreeSet<TopicName>>::new();
        for nsqd in nsqds {
            // Where nsqlookupds differ, the tombstone counts.
            tombstones.entry(nsqd.address.clone()).or_default().extend(nsqd.tombstoned.iter().cloned());
        }
        let addresses = tombstones.keys().cloned().collect();
        for member in &mut self.list {
            let topics = tombstones.remove(&member.address);
            member.listed = topics.is_some();
            member.tombstoned = topics.unwrap_or_default();
        }
        for (address, topics) in tombstones {
            let mut member = Member::new(address, false, self.breaker_failures);
            member.tombstoned = topics;
            self.insert(member);
        }
        self.forget_vanished();
        addresses
    }

    /// Each nsqd, and how many messages all of them have confirmed.
    pub(super) fn stats(&mut self, now: Instant) -> (Vec<NsqdStats>, u64) {
        let live = self.list.iter().filter_map(|member| member.connection.as_ref());
        let published = self.published + live.map(|connection| connection.load().confirmed()).sum::<u64>();
        let Self { list, stall_timeout, notices, .. } = self;
        (list.iter_mut().map(|member| member.stats(*stall_timeout, now, notices)).collect(), published)
    }

    fn insert(&mut self, member: Member) {
        let at = self.list.partition_point(|other| other.named || other.address < member.address);
        self.list.insert(at, member);
    }

    fn forget_vanished(&mut self) {
        self.list.retain(|member| member.named || member.listed || member.connection.is_some());
    }
}
