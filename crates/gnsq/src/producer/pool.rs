//! The connections of a producer.

#[cfg(feature = "http")]
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gnsq_proto::Command;
#[cfg(feature = "http")]
use gnsq_proto::TopicName;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::builder::{Settings, WhenDisconnected};
use super::member::{Flaws, Member};
use super::parking::{Bound, NoPlace, Parking, Pending};
use super::report::{CloseReport, ProducerStats, Undelivered};
use super::routing::{Routing, weight};
use crate::address::Address;
use crate::budget::Budget;
use crate::connection::publish::topic;
use crate::connection::{Failure, Handle, Observer, Session};
use crate::error::{Error, Result};
use crate::events::Signals;
#[cfg(feature = "http")]
use crate::fleet::Nsqd;
use crate::telemetry::{ConnectionMeter, ProducerMeter};
use crate::time_limit::TimeLimit;

/// Knows the nsqds and which are connected, and where a publish goes, or waits.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) settings: Settings,
    pub(super) budget: Arc<Budget>,
    pub(super) signals: Signals,
    pub(super) meter: ProducerMeter,
    pub(super) counters: Counters,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// A connection has ended, or other nsqds were found.
    pub(super) attention: Notify,
    parking: Parking,
    live: Mutex<Live>,
    /// The live connections changed, or the pool was closed.
    changed: Notify,
    closed: CancellationToken,
    undelivered: Mutex<Vec<Undelivered>>,
}

/// How many messages had which end.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) failed: AtomicU64,
    pub(super) unknown: AtomicU64,
    batches: AtomicU64,
    batched: AtomicU64,
}

#[derive(Debug)]
struct Live {
    /// Those named, in the order given, then those found, by address.
    members: Vec<Member>,
    /// Where the next turn begins.
    next: usize,
    /// Confirmed on connections that have ended.
    published: u64,
    last_failure: Option<Error>,
    /// What nsqlookupds know, if nobody has looked at it.
    #[cfg(feature = "http")]
    found: Option<BTreeSet<Address>>,
    rng: fastrand::Rng,
}

impl Pool {
    pub(super) fn new(settings: Settings, addresses: &[Address], stop: CancellationToken) -> Self {
        let members = addresses.iter().map(|address| Member::new(address.clone(), true, settings.breaker_failures));
        Self {
            live: Mutex::new(Live {
                members: members.collect(),
                next: 0,
                published: 0,
                last_failure: None,
                #[cfg(feature = "http")]
                found: None,
                rng: fastrand::Rng::new(),
            }),
            budget: Budget::new(settings.max_outstanding, settings.max_outstanding_bytes),
            settings,
            signals: Signals::default(),
            meter: ProducerMeter::new(),
            counters: Counters::default(),
            tasks: TaskTracker::new(),
            stop,
            attention: Notify::new(),
            parking: Parking::default(),
            changed: Notify::new(),
            closed: CancellationToken::new(),
            undelivered: Mutex::default(),
        }
    }

    /// How many nsqds are connected.
    pub(super) fn len(&self) -> usize {
        self.live().members.iter().filter(|member| member.live().is_some()).count()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Waits for room in the budget.
    pub(super) async fn admit(&self, mut pending: Pending) -> Result<Pending> {
        if pending.permit.try_fill(pending.size) {
            return Ok(pending);
        }
        let (size, limit) = (pending.size, pending.limit);
        if self.len() == 0 {
            match self.settings.when_disconnected {
                WhenDisconnected::FailFast => return Err(self.no_connections(Duration::ZERO)),
                WhenDisconnected::Buffer { messages, bytes } => {
                    if !self.parking.has_room(&pending, Bound { messages, bytes }) {
                        return Err(self.buffer_full(messages, bytes));
                    }
                }
                WhenDisconnected::Wait => {}
            }
        }
        let place = self.parking.park(pending, None).map_err(|_| Error::Closed)?;
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(Error::Closed),
            room = self.budget.wait_for_room(size) => {
                let mut pending = place.leave().ok_or(Error::Closed)?;
                pending.permit.fill(room);
                Ok(pending)
            }
            () = tokio::time::sleep_until(limit.ends.into()) => Err(Error::Timeout { after: limit.after, sent: false }),
        }
    }

    /// The connection for a publish; waits for one if that was chosen.
    pub(super) async fn connection(&self, mut pending: Pending, now: Instant) -> Result<(Handle, Pending)> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        if let Some(connection) = self.pick(&pending, now) {
            return Ok((connection, pending));
        }
        let bound = match self.settings.when_disconnected {
            WhenDisconnected::FailFast => return Err(self.no_connections(Duration::ZERO)),
            WhenDisconnected::Buffer { messages, bytes } => Some(Bound { messages, bytes }),
            WhenDisconnected::Wait => None,
        };
        let limit = pending.limit;
        loop {
            // Before the look, so that no change between the two is missed.
            let changed = self.changed.notified();
            if let Some(connection) = self.pick(&pending, Instant::now()) {
                return Ok((connection, pending));
            }
            let place = self.parking.park(pending, bound).map_err(|reason| match (reason, bound) {
                (NoPlace::Full, Some(Bound { messages, bytes })) => self.buffer_full(messages, bytes),
                _ => Error::Closed,
            })?;
            let in_time = tokio::time::timeout_at(limit.ends.into(), changed).await.is_ok();
            pending = place.leave().ok_or(Error::Closed)?;
            if !in_time {
                return Err(self.no_connections(limit.after));
            }
        }
    }

    /// Waits until an nsqd is connected.
    pub(super) async fn ready(&self, limit: TimeLimit) -> Result<()> {
        loop {
            let changed = self.changed.notified();
            if self.is_closed() {
                return Err(Error::Closed);
            }
            if self.len() > 0 {
                return Ok(());
            }
            if tokio::time::timeout_at(limit.ends.into(), changed).await.is_err() {
                return Err(self.no_connections(limit.after));
            }
        }
    }

    /// Keeps what can't be published any more for the report of the close.
    pub(super) fn keep(&self, command: Command, error: Error) {
        let mut undelivered = self.undelivered.lock().unwrap_or_else(PoisonError::into_inner);
        undelivered.extend(Undelivered::new(command, error));
    }

    pub(super) async fn close(&self) -> CloseReport {
        self.closed.cancel();
        for pending in self.parking.close() {
            self.keep(pending.command, Error::Closed);
        }
        self.changed.notify_waiters();
        // What is still outstanding then ends with its connection.
        let _ = tokio::time::timeout(self.settings.publish_timeout, self.budget.settled()).await;
        self.stop.cancel();
        self.tasks.wait().await;
        let mut undelivered = self.undelivered.lock().unwrap_or_else(PoisonError::into_inner);
        CloseReport { undelivered: std::mem::take(&mut undelivered) }
    }

    pub(super) fn stats(&self) -> ProducerStats {
        let now = Instant::now();
        let stall_timeout = self.settings.stall_timeout;
        let mut live = self.live();
        let connected = live.members.iter().filter_map(|member| member.connection.as_ref());
        let published = live.published + connected.map(|connection| connection.load().confirmed()).sum::<u64>();
        let nsqds = live.members.iter_mut().map(|member| member.stats(stall_timeout, now)).collect();
        drop(live);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProducerStats {
            nsqds,
            published,
            failed: count(&self.counters.failed),
            unknown: count(&self.counters.unknown),
            batches: count(&self.counters.batches),
            batched: count(&self.counters.batched),
            waiting: self.parking.len(),
            outstanding: self.budget.outstanding(),
            outstanding_bytes: self.budget.outstanding_bytes(),
        }
    }

    /// nsqlookupds know these nsqds; those that are new are connected to.
    #[cfg(feature = "http")]
    pub(super) fn found(&self, nsqds: &BTreeSet<Nsqd>) {
        let mut tombstones = BTreeMap::<Address, BTreeSet<TopicName>>::new();
        for nsqd in nsqds {
            // Where nsqlookupds differ, the tombstone counts.
            tombstones.entry(nsqd.address.clone()).or_default().extend(nsqd.tombstoned.iter().cloned());
        }
        let mut live = self.live();
        live.found = Some(tombstones.keys().cloned().collect());
        for member in &mut live.members {
            let topics = tombstones.remove(&member.address);
            member.listed = topics.is_some();
            member.tombstoned = topics.unwrap_or_default();
        }
        for (address, topics) in tombstones {
            let mut member = Member::new(address, false, self.settings.breaker_failures);
            member.tombstoned = topics;
            live.insert(member);
        }
        live.forget_vanished();
        drop(live);
        self.attention.notify_one();
    }

    /// What was found since the last call.
    #[cfg(feature = "http")]
    pub(super) fn take_found(&self) -> Option<BTreeSet<Address>> {
        self.live().found.take()
    }

    fn pick(&self, pending: &Pending, now: Instant) -> Option<Handle> {
        let topic = topic(&pending.command)?;
        let mut live = self.live();
        let live = &mut *live;
        let count = live.members.len();
        let (start, routing) = match (self.settings.routing, pending.key) {
            (Routing::FirstHealthy, _) => (0, Routing::FirstHealthy),
            (Routing::ByKey, Some(_)) => (0, Routing::ByKey),
            (Routing::LeastOutstanding, _) => (live.next, Routing::LeastOutstanding),
            _ => (live.next, Routing::RoundRobin),
        };
        let mut best = None;
        for index in (0..count).map(|step| (start + step) % count) {
            let member = &mut live.members[index];
            let Some(connection) = member.live() else { continue };
            // The least wins, of several such the first.
            let cost = match (routing, pending.key) {
                (Routing::LeastOutstanding, _) => u64::from(connection.load().publishes()),
                (Routing::ByKey, Some(key)) => !weight(member.hash, key),
                _ => 0,
            };
            let rank = (member.flaws(topic, self.settings.stall_timeout, now), cost);
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, index));
            }
            if rank == (Flaws::NONE, 0) {
                break;
            }
        }
        let (_, index) = best?;
        // The turn goes on behind the one that had it, so that each has as many.
        live.next = (index + 1) % count;
        let member = &mut live.members[index];
        member.begin(now);
        member.connection.clone()
    }

    fn no_connections(&self, after: Duration) -> Error {
        Error::NoConnections { after, last: self.live().last_failure.clone().map(Box::new) }
    }

    fn buffer_full(&self, messages: usize, bytes: usize) -> Error {
        Error::BufferFull { messages, bytes, last: self.live().last_failure.clone().map(Box::new) }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn member(&mut self, address: &Address) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.address == *address)
    }

    fn insert(&mut self, member: Member) {
        let at = self.members.partition_point(|other| other.named || other.address < member.address);
        self.members.insert(at, member);
    }

    fn forget_vanished(&mut self) {
        self.members.retain(|member| member.named || member.listed || member.connection.is_some());
    }
}

impl Session for Pool {
    type Purpose = ();

    const WAITS: bool = false;

    fn meter(&self, (): &(), nsqd: &Address) -> ConnectionMeter {
        ConnectionMeter::of_producer(nsqd)
    }

    fn observer(self: &Arc<Self>) -> Arc<dyn Observer> {
        self.clone()
    }

    async fn prepare(&self, _connection: &Handle, (): &()) -> Result<()> {
        Ok(())
    }

    fn up(&self, connection: &Handle) {
        let mut live = self.live();
        if live.member(connection.address()).is_none() {
            // It vanished while it was being connected to; when it ends, that is noticed.
            let mut member = Member::new(connection.address().clone(), false, self.settings.breaker_failures);
            member.listed = false;
            live.insert(member);
        }
        if let Some(member) = live.member(connection.address()) {
            member.up(connection.clone());
        }
        live.last_failure = None;
        drop(live);
        self.changed.notify_waiters();
    }

    fn down(&self, connection: &Handle, cause: &Error) {
        let mut live = self.live();
        let live = &mut *live;
        live.published += connection.load().confirmed();
        let member = live.members.iter_mut().find(|member| member.connection.as_ref() == Some(connection));
        if let Some(member) = member {
            member.down(cause, Instant::now(), &mut live.rng);
        }
        live.forget_vanished();
        live.last_failure = Some(cause.clone());
        self.attention.notify_one();
    }

    fn failed(&self, _address: &Address, cause: &Error) {
        self.live().last_failure = Some(cause.clone());
    }
}

impl Observer for Pool {
    fn signals(&self) -> &Signals {
        &self.signals
    }

    fn batched(&self, messages: usize) {
        self.counters.batches.fetch_add(1, Ordering::Relaxed);
        self.counters.batched.fetch_add(messages as u64, Ordering::Relaxed);
    }

    fn undelivered(
        &self,
        connection: &Handle,
        command: Command,
        failure: &Failure,
        after: Duration,
    ) -> Option<Command> {
        if !self.is_closed() {
            return Some(command);
        }
        self.keep(command, connection.error(failure.clone(), after));
        None
    }
}
