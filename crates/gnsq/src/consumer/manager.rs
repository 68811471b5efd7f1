//! The consumer's own task: who is connected, who may be sent how many messages, and how it ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::future::join_all;
use gnsq_proto::{Backoff, ConnectionId, Phase, RdyPlan, RdySettings};
use tokio::time::timeout_at;

use super::core::{Core, Inbox};
use super::report::ShutdownReport;
use super::sleep_until;
use crate::connection::{Handle, Op};
use crate::fleet::Fleet;
#[cfg(feature = "http")]
use crate::{address::Address, fleet::Known};
#[cfg(feature = "http")]
use gnsq_proto::TopicName;

/// Does what only one may do: applies the RDY plan and backoff, begins and ends connections.
pub(super) struct Manager {
    pub(super) core: Arc<Core>,
    pub(super) plan: RdyPlan,
    pub(super) backoff: Backoff,
    rng: fastrand::Rng,
    members: HashMap<ConnectionId, Handle>,
    next_id: u64,
    fleet: Fleet<Core>,
    #[cfg(feature = "http")]
    known: tokio::sync::watch::Receiver<Known<(TopicName, Address)>>,
}

impl Manager {
    pub(super) fn new(core: Arc<Core>, rdy: RdySettings, backoff: Backoff, fleet: Fleet<Core>) -> Self {
        let plan = RdyPlan::new(rdy, core.allowed());
        Self {
            #[cfg(feature = "http")]
            known: core.board.subscribe(),
            core,
            plan,
            backoff,
            rng: fastrand::Rng::new(),
            members: HashMap::new(),
            next_id: 0,
            fleet,
        }
    }

    /// Runs until a shutdown is asked for, and through it.
    pub(super) async fn run(mut self) {
        let core = self.core.clone();
        loop {
            let timeout = [self.plan.next_timeout(), self.backoff.next_timeout()].into_iter().flatten().min();
            tokio::select! {
                biased;
                () = core.shutdown.requested.cancelled() => break,
                () = core.changed.notified() => {}
                () = sleep_until(timeout) => {}
            }
            self.take_notes();
            self.apply_plan();
        }
        let report = self.shut_down().await;
        // Who asks later finds it there.
        core.shutdown.report.send_replace(Some(report));
    }

    fn take_notes(&mut self) {
        let now = Instant::now();
        let inbox = std::mem::take(&mut *self.core.inbox());
        for address in inbox.named {
            for topic in self.core.settings.topics.named() {
                self.fleet.add(topic.clone(), address.clone());
            }
        }
        for connection in inbox.up {
            self.join(now, connection);
        }
        for connection in inbox.down {
            self.members.retain(|id, member| {
                let gone = *member == connection;
                if gone {
                    self.plan.leave(*id);
                }
                !gone
            });
        }
        #[cfg(feature = "http")]
        if self.known.has_changed().unwrap_or_default() {
            self.fleet.follow(&self.known.borrow_and_update().found);
        }
        self.fleet.leave_vanished();
        self.backoff.on_timeout(now);
        // Of outcomes that came together the failure decides: backing off too long loses time, not messages.
        for _ in 0..inbox.failures.min(1) {
            self.backoff.on_failure(now, &mut self.rng);
        }
        if inbox.failures == 0 && inbox.successes > 0 {
            self.backoff.on_success(now, &mut self.rng);
        }
    }

    fn join(&mut self, now: Instant, connection: Handle) {
        // One that went down before this was looked at is in the list of those too, behind.
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        let most = connection.identified().map_or(0, |response| response.max_rdy_count);
        self.plan.join(now, id, if most == 0 { gnsq_proto::limits::DEFAULT_MAX_RDY_COUNT } else { most });
        self.members.insert(id, connection);
    }

    fn apply_plan(&mut self) {
        let now = Instant::now();
        let phase = self.backoff.phase();
        self.core.probing.store(phase == Phase::Probing, Ordering::Relaxed);
        self.core.backing_off.store(phase != Phase::Running, Ordering::Relaxed);
        self.core.meter.backing_off.set((phase != Phase::Running).into());
        self.plan.set_demand(phase);
        self.plan.set_paused(self.core.paused.load(Ordering::Relaxed));
        self.plan.set_max_in_flight(self.core.allowed());
        for (id, connection) in &self.members {
            self.plan.report(now, *id, connection.take_facts());
        }
        for change in self.plan.plan(now, &mut self.rng) {
            if let Some(connection) = self.members.get(&change.id) {
                // One that has ended is about to leave the plan.
                let _ = connection.send(Op::Share(change.share));
            }
        }
    }

    /// Nothing is lost, and nothing waits for ever: see [`Consumer`](super::Consumer)'s promise.
    async fn shut_down(&self) -> ShutdownReport {
        let core = &self.core;
        let began = Instant::now();
        let deadline = (began + core.settings.shutdown_timeout).into();
        let finished_before = core.counters.finished.load(Ordering::Relaxed);
        self.fleet.retire();
        let connections = core.connections().clone();

        // CLS goes first, or nsqd would send again what is given back behind it.
        let closes: Vec<_> = connections.iter().map(|connection| (connection, connection.start_close())).collect();
        let mut unstarted = core.queue.close();
        let now = Instant::now();
        unstarted.retain(|message| !message.expired_at(now));
        let unstarted_at_first = unstarted.len() as u64;
        drop(unstarted);

        let confirmations = closes.into_iter().map(|(connection, close)| async move {
            let confirmed = matches!(timeout_at(deadline, close).await, Ok(Ok(_)));
            (!confirmed).then(|| connection.address().clone())
        });
        let drained = async {
            // At the deadline the rest is counted below.
            let all = timeout_at(deadline, join_all(connections.iter().map(Handle::drained)));
            let _ = core.shutdown.hurried.run_until_cancelled(all).await;
        };
        let (unconfirmed, ()) = tokio::join!(join_all(confirmations), drained);

        let requeued_unfinished = connections.iter().map(|connection| u64::from(connection.in_flight())).sum();
        for connection in &connections {
            // What has ended has nothing left to requeue.
            let _ = connection.send(Op::RequeueAll);
        }
        self.fleet.stop().await;
        ShutdownReport {
            requeued_unstarted: unstarted_at_first + core.counters.dropped.load(Ordering::Relaxed),
            finished: core.counters.finished.load(Ordering::Relaxed) - finished_before,
            requeued_unfinished,
            unconfirmed: unconfirmed.into_iter().flatten().collect(),
            took: began.elapsed(),
        }
    }
}

impl Drop for Manager {
    /// The runtime may drop the task at any time, and a strategy of the user's may panic: nobody waits for ever then.
    fn drop(&mut self) {
        // A connection that lay there would keep the core alive, which it belongs to.
        *self.core.inbox() = Inbox { closed: true, ..Inbox::default() };
        if self.core.shutdown.report.borrow().is_some() {
            return;
        }
        tracing::error!("a consumer's task ended without a shutdown: its runtime is gone, or it panicked");
        self.core.shutdown.requested.cancel();
        drop(self.core.queue.close());
        self.core.shutdown.report.send_replace(Some(ShutdownReport::default()));
    }
}
