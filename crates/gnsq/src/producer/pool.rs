//! The connections of a producer.

#[cfg(feature = "http")]
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gnsq_proto::{ChannelName, Command, TopicName};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::builder::{Settings, WhenDisconnected};
use super::member::Notice;
use super::members::Members;
use super::parking::{Bound, NoPlace, Parking, Pending};
use super::report::{CloseReport, ProducerStats, Undelivered};
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
    members: Mutex<Members>,
    /// Whether any connection is in use.
    pub(super) is_connected: AtomicBool,
    /// Named since the start, and not connected to yet.
    added: Mutex<Vec<Address>>,
    /// What nsqlookupds know, if nobody has looked at it.
    #[cfg(feature = "http")]
    found: Mutex<Option<BTreeSet<Address>>>,
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

impl Pool {
    pub(super) fn new(settings: Settings, signals: Signals, addresses: &[Address], stop: CancellationToken) -> Self {
        let Settings { routing, stall_timeout, breaker_failures, .. } = settings;
        Self {
            members: Mutex::new(Members::new(addresses, routing, stall_timeout, breaker_failures)),
            is_connected: AtomicBool::new(false),
            added: Mutex::default(),
            #[cfg(feature = "http")]
            found: Mutex::default(),
            budget: Budget::new(settings.max_outstanding, settings.max_outstanding_bytes),
            settings,
            signals,
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
        self.with_members(|members| members.connected())
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
            match pending.when_disconnected {
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
        let bound = match pending.when_disconnected {
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

    /// Waits until each nsqd that was named has been tried.
    pub(super) async fn attempted(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_closed() || self.with_members(|members| members.all_tried()) {
                return;
            }
            changed.await;
        }
    }

    /// Connects to one more.
    pub(super) fn add(&self, address: Address) -> Result<()> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        if self.with_members(|members| members.name(&address)) {
            self.added.lock().unwrap_or_else(PoisonError::into_inner).push(address);
            self.attention.notify_one();
        }
        Ok(())
    }

    /// What was named since the last call.
    pub(super) fn take_added(&self) -> Vec<Address> {
        std::mem::take(&mut self.added.lock().unwrap_or_else(PoisonError::into_inner))
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
        let (nsqds, published) = self.with_members(|members| members.stats(Instant::now()));
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
        let found = self.with_members(|members| members.follow(nsqds));
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        self.attention.notify_one();
    }

    /// What was found since the last call.
    #[cfg(feature = "http")]
    pub(super) fn take_found(&self) -> Option<BTreeSet<Address>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn pick(&self, pending: &Pending, now: Instant) -> Option<Handle> {
        let topic = topic(&pending.command)?;
        self.with_members(|members| members.pick(topic, pending.key, now))
    }

    pub(super) fn last_failure(&self) -> Option<Error> {
        self.with_members(|members| members.last_failure()).map(|failure| *failure)
    }

    fn no_connections(&self, after: Duration) -> Error {
        Error::NoConnections { after, last: self.with_members(|members| members.last_failure()) }
    }

    fn buffer_full(&self, messages: usize, bytes: usize) -> Error {
        Error::BufferFull { messages, bytes, last: self.with_members(|members| members.last_failure()) }
    }

    fn with_members<T>(&self, look: impl FnOnce(&mut Members) -> T) -> T {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let result = look(&mut members);
        let notices = members.take_notices();
        drop(members);
        notices.iter().for_each(Notice::log);
        result
    }
}

impl Session for Pool {
    type Purpose = ();

    const WAITS: bool = false;

    fn subject<'a>(&'a self, (): &'a ()) -> Option<(&'a TopicName, &'a ChannelName)> {
        None
    }

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
        self.with_members(|members| {
            members.up(connection);
            self.is_connected.store(true, Ordering::Release);
        });
        self.changed.notify_waiters();
    }

    fn down(&self, connection: &Handle, cause: &Error) {
        self.with_members(|members| {
            members.down(connection, cause, Instant::now());
            self.is_connected.store(members.connected() > 0, Ordering::Release);
        });
        self.attention.notify_one();
    }

    fn failed(&self, address: &Address, cause: &Error) {
        if self.with_members(|members| members.attempt_failed(address, cause)) {
            self.changed.notify_waiters();
        }
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
