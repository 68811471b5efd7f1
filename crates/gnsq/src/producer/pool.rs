//! The connections of a producer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle as Runtime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::builder::{Routing, Settings};
use crate::address::Address;
use crate::budget::{Budget, Permit};
use crate::connection::{Handle, Observer, Session, Supervisor};
use crate::error::{Error, Result};
use crate::events::Signals;
use crate::telemetry::{ConnectionMeter, ProducerMeter};

/// Connects to every nsqd, and knows which are connected.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) settings: Settings,
    pub(super) budget: Arc<Budget>,
    pub(super) signals: Signals,
    pub(super) meter: ProducerMeter,
    addresses: Vec<Address>,
    live: Mutex<Live>,
    /// The live connections changed, or the pool was closed.
    changed: Notify,
    next: AtomicUsize,
    closed: CancellationToken,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Live {
    /// Connected nsqds, in the order in which they were given.
    connections: Vec<(usize, Handle)>,
    last_failure: Option<Error>,
}

impl Pool {
    pub(super) fn start(
        addresses: Vec<Address>,
        settings: Settings,
        runtime: &Runtime,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let config = Arc::new(settings.connection.clone());
        let pool = Arc::new(Self {
            budget: Budget::new(settings.max_outstanding, settings.max_outstanding_bytes),
            settings,
            signals: Signals::default(),
            meter: ProducerMeter::new(),
            addresses,
            live: Mutex::default(),
            changed: Notify::new(),
            next: AtomicUsize::new(0),
            closed: CancellationToken::new(),
            tasks: TaskTracker::new(),
            stop,
        });
        for address in &pool.addresses {
            let supervisor = Supervisor {
                purpose: (),
                address: address.clone(),
                config: config.clone(),
                max_reconnect_delay: pool.settings.max_reconnect_delay,
                connected: Arc::default(),
                stop: pool.stop.clone(),
                retire: CancellationToken::new(),
            };
            pool.tasks.spawn_on(supervisor.run(pool.clone()), runtime);
        }
        pool.tasks.close();
        pool
    }

    pub(super) fn len(&self) -> usize {
        self.live().connections.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Waits for room in the budget.
    pub(super) async fn admit(&self, bytes: usize, deadline: Instant) -> Result<Permit> {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(Error::Closed),
            permit = self.budget.acquire(bytes) => Ok(permit),
            () = tokio::time::sleep_until(deadline.into()) => {
                Err(Error::Timeout { after: self.settings.publish_timeout, sent: false })
            }
        }
    }

    /// The connection for the next publish; waits for one until `deadline`.
    pub(super) async fn pick(&self, deadline: Instant) -> Result<Handle> {
        loop {
            // Before the look, so that no change between the two is missed.
            let changed = self.changed.notified();
            if self.is_closed() {
                return Err(Error::Closed);
            }
            if let Some(connection) = self.pick_now() {
                return Ok(connection);
            }
            if tokio::time::timeout_at(deadline.into(), changed).await.is_err() {
                let last = self.live().last_failure.clone().map(Box::new);
                return Err(Error::NoConnections { after: self.settings.publish_timeout, last });
            }
        }
    }

    /// A connection that has ended isn't picked again.
    pub(super) fn remove(&self, connection: &Handle) {
        if connection.has_ended() {
            self.live().connections.retain(|(_, live)| live != connection);
        }
    }

    pub(super) async fn close(&self) {
        self.closed.cancel();
        self.changed.notify_waiters();
        // What is still outstanding then ends with its connection.
        let _ = tokio::time::timeout(self.settings.publish_timeout, self.budget.idle()).await;
        self.stop.cancel();
        self.tasks.wait().await;
    }

    fn pick_now(&self) -> Option<Handle> {
        let live = self.live();
        let index = match self.settings.routing {
            Routing::RoundRobin => self.next.fetch_add(1, Ordering::Relaxed).checked_rem(live.connections.len())?,
            Routing::FirstHealthy => 0,
        };
        live.connections.get(index).map(|(_, connection)| connection.clone())
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
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
        let position = self.addresses.iter().position(|address| address == connection.address()).unwrap_or(usize::MAX);
        let at = live.connections.partition_point(|(other, _)| *other < position);
        live.connections.insert(at, (position, connection.clone()));
        live.last_failure = None;
        drop(live);
        self.changed.notify_waiters();
    }

    fn down(&self, connection: &Handle, cause: &Error) {
        let mut live = self.live();
        live.connections.retain(|(_, live)| live != connection);
        live.last_failure = Some(cause.clone());
    }

    fn failed(&self, _address: &Address, cause: &Error) {
        self.live().last_failure = Some(cause.clone());
    }
}

impl Observer for Pool {
    fn signals(&self) -> &Signals {
        &self.signals
    }
}
