//! A consumer: the policies under test, used as their contracts say.

use std::time::Duration;

use gnsq_proto::{ConnectionId, ReadyWindow};

use super::{Command, Event, Job, Message, World};

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) window: ReadyWindow,
    pub(crate) in_flight: u32,
    timer: Option<Duration>,
    outgoing: Vec<Command>,
    pub(crate) rdy_commands: u64,
}

/// What is done with messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handlers {
    /// Between half and one and a half of this.
    pub(crate) duration: Duration,
    pub(crate) concurrency: usize,
    /// How many of all messages fail.
    pub(crate) failure_rate: f64,
}

impl Default for Handlers {
    fn default() -> Self {
        Self { duration: Duration::from_micros(50), concurrency: 8, failure_rate: 0.0 }
    }
}

impl World {
    /// Connects to a node, again if need be.
    pub(crate) fn connect(&mut self, node: usize) {
        self.disconnect(node);
        self.scheduled += 1;
        let id = self.scheduled;
        let mut window = ReadyWindow::new(self.windows);
        window.set_round_trip(2 * self.nodes[node].latency);
        self.nodes[node].accept(id, self.now);
        self.connections[node] =
            Some(Connection { id, window, in_flight: 0, timer: None, outgoing: Vec::new(), rdy_commands: 0 });
        self.plan.join(self.instant(), ConnectionId(id), self.nodes[node].max_rdy_count);
        self.replan();
    }

    pub(crate) fn disconnect(&mut self, node: usize) {
        if let Some(connection) = self.connections[node].take() {
            self.nodes[node].hang_up();
            assert!(self.plan.leave(ConnectionId(connection.id)));
            self.replan();
        }
    }

    pub(crate) fn set_max_in_flight(&mut self, max_in_flight: u32) {
        if max_in_flight < self.max_in_flight {
            self.promises.lowered_at = self.now;
        }
        self.max_in_flight = max_in_flight;
        self.plan.set_max_in_flight(max_in_flight);
        self.replan();
        self.check();
    }

    pub(crate) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        self.plan.set_paused(paused);
        self.replan();
    }

    /// What was taken from connections so lately that nsqd may still send it: nobody else may have it yet.
    pub(crate) fn settling(&self) -> u32 {
        let recent = |at: Duration| self.now < at + self.settings.settle;
        self.promises.taken.iter().rev().take_while(|(at, _)| recent(*at)).map(|(_, taken)| taken).sum()
    }

    /// A connection's share.
    pub(crate) fn share(&self, node: usize) -> u32 {
        let connection = self.connections[node].as_ref().expect("a connection");
        self.plan.share(ConnectionId(connection.id)).expect("a member of the plan")
    }

    pub(super) fn on_read(&mut self, node: usize, connection: u64, messages: &[Message]) {
        let now = self.instant();
        let Some(reader) = self.connections[node].as_mut().filter(|reader| reader.id == connection) else { return };
        for message in messages {
            let latency = self.now.saturating_sub(message.published);
            self.counts.delivered += 1;
            self.counts.latency = self.counts.latency.max(latency);
            self.counts.latencies += latency;
            self.waiting.push_back(Job { node, connection, message: *message });
        }
        let count = u32::try_from(messages.len()).expect("no more than RDY");
        reader.in_flight += count;
        reader.window.on_messages(now, count, reader.in_flight);
        self.start_handlers();
        self.settle(node);
    }

    pub(super) fn on_handled(&mut self, job: Job) {
        self.running -= 1;
        let failed = self.rng.f64() < self.handlers.failure_rate;
        let now = self.instant();
        let connection = self.connections[job.node].as_mut().filter(|connection| connection.id == job.connection);
        if let Some(connection) = connection {
            connection.in_flight -= 1;
            connection.outgoing.push(if failed { Command::Requeue(job.message) } else { Command::Finish });
            connection.window.on_answered(now, connection.in_flight);
            // On a connection that was lost nsqd delivers it again.
            self.counts.finished += u64::from(!failed);
        }
        self.counts.failed += u64::from(failed);
        let changed = if failed {
            self.backoff.on_failure(now, &mut self.rng)
        } else {
            self.backoff.on_success(now, &mut self.rng)
        };
        if changed {
            self.apply_backoff();
        }
        self.start_handlers();
        self.settle(job.node);
    }

    pub(super) fn on_window_timeout(&mut self, node: usize, connection: u64) {
        let now = self.instant();
        let Some(owner) = self.connections[node].as_mut().filter(|owner| owner.id == connection) else { return };
        if owner.timer != Some(self.now) {
            return;
        }
        owner.timer = None;
        owner.window.on_timeout(now);
        self.counts.window_timeouts += 1;
        self.settle(node);
    }

    pub(super) fn on_plan_timeout(&mut self) {
        if self.plan_timer == Some(self.now) {
            self.plan_timer = None;
            self.replan();
        }
    }

    pub(super) fn on_backoff_timeout(&mut self) {
        if self.backoff_timer == Some(self.now) {
            self.backoff_timer = None;
            assert!(self.backoff.on_timeout(self.instant()));
            self.apply_backoff();
        }
    }

    fn apply_backoff(&mut self) {
        self.plan.set_demand(self.backoff.phase());
        self.replan();
        self.backoff_timer = self.backoff.next_timeout().map(|at| at - self.start);
        if let Some(at) = self.backoff_timer {
            self.schedule(at, Event::BackoffTimeout);
        }
    }

    fn start_handlers(&mut self) {
        while self.running < self.handlers.concurrency {
            let Some(job) = self.waiting.pop_front() else { return };
            self.running += 1;
            let duration = self.handlers.duration.mul_f64(0.5 + self.rng.f64());
            self.schedule(self.now + duration, Event::Handled(job));
        }
    }

    /// What is to be done after anything happened to a window.
    fn settle(&mut self, node: usize) {
        let Some(connection) = &mut self.connections[node] else { return };
        if let Some(rdy) = connection.window.poll_rdy() {
            connection.outgoing.push(Command::Rdy(rdy));
            connection.rdy_commands += 1;
            self.counts.rdy_commands += 1;
        }
        let id = connection.id;
        let timeout = connection.window.next_timeout().map(|at| at - self.start);
        let timer = timeout.filter(|timeout| connection.timer.is_none_or(|timer| *timeout < timer));
        connection.timer = timer.or(connection.timer);
        let report = connection.window.poll_report();
        let commands = std::mem::take(&mut connection.outgoing);
        if let Some(at) = timer {
            self.schedule(at.max(self.now), Event::WindowTimeout { node, connection: id });
        }
        if !commands.is_empty() {
            let at = self.now + self.nodes[node].latency;
            self.schedule(at, Event::ToNsqd { node, connection: id, commands });
        }
        if let Some(facts) = report
            && self.plan.report(self.instant(), ConnectionId(id), facts)
        {
            self.replan();
        }
    }

    fn replan(&mut self) {
        let now = self.instant();
        for connection in self.connections.iter().flatten() {
            self.plan.report(now, ConnectionId(connection.id), connection.window.facts());
        }
        let changes = self.plan.plan(now, &mut self.rng).to_vec();
        self.counts.plans += 1;
        for change in changes {
            let owns = |connection: &Option<Connection>| connection.as_ref().is_some_and(|c| c.id == change.id.0);
            let node = self.connections.iter().position(owns).expect("a live connection");
            if let Some(connection) = &mut self.connections[node] {
                let taken = connection.window.share().saturating_sub(change.share);
                connection.window.set_share(now, change.share);
                self.promises.taken.push((self.now, taken));
            }
            self.settle(node);
        }
        self.plan_timer = self.plan.next_timeout().map(|at| at - self.start);
        if let Some(at) = self.plan_timer {
            self.schedule(at.max(self.now), Event::PlanTimeout);
        }
    }
}
