//! Keeps messages alive that somebody works on.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle as Runtime;
use tokio::sync::Notify;

use super::core::Core;
use super::sleep_until;
use crate::message::{Message, Pulse};

/// The messages to touch, in the order in which their time runs out, and what one task has to know to do it.
#[derive(Debug)]
pub(super) struct Touching {
    runtime: Runtime,
    state: Mutex<State>,
    /// Something is due earlier than the task expects.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the task is there.
    runs: bool,
    pulses: BinaryHeap<Next>,
    /// Messages that were answered are left out when there are so many, so that no more are kept than twice those in
    /// hand.
    most: usize,
    /// When the task looks next.
    looks_at: Option<Instant>,
}

/// A message, and when it is to be looked at.
#[derive(Debug)]
struct Next {
    at: Instant,
    pulse: Pulse,
}

impl Touching {
    /// Will touch on that runtime.
    pub(super) fn new(runtime: Runtime) -> Self {
        Self { runtime, state: Mutex::default(), changed: Notify::new() }
    }

    /// Begins to touch what [`keep`](Self::keep) is told of, until the consumer has shut down.
    pub(super) fn start(core: &Arc<Core>) {
        let first = !std::mem::replace(&mut core.touching.state().runs, true);
        if first {
            core.touching.runtime.spawn(run(core.clone()));
        }
    }

    /// Touches `message` as long as it is needed, if the task runs.
    pub(super) fn keep(&self, message: &mut Message, now: Instant) {
        let pulse = Pulse::new(message);
        let mut state = self.state();
        if !state.runs {
            return;
        }
        // One that waited long before it came here is due now.
        let Some(at) = pulse.beat(now) else { return };
        if state.pulses.len() >= state.most.max(FEW) {
            state.pulses.retain(|next| next.pulse.is_needed());
            state.most = state.pulses.len() * 2;
        }
        state.pulses.push(Next { at, pulse });
        let early = state.looks_at.is_none_or(|looks_at| at < looks_at);
        if early {
            state.looks_at = Some(at);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Touches what is due; returns when to look next.
    fn beat(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state();
        while state.pulses.peek().is_some_and(|next| next.at <= now) {
            if let Some(Next { pulse, .. }) = state.pulses.pop()
                && let Some(at) = pulse.beat(now)
            {
                state.pulses.push(Next { at, pulse });
            }
        }
        state.looks_at = state.pulses.peek().map(|next| next.at);
        state.looks_at
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(core: Arc<Core>) {
    let touching = &core.touching;
    let _end = End(touching);
    let mut ended = core.shutdown.report.subscribe();
    let ended = ended.wait_for(Option::is_some);
    tokio::pin!(ended);
    loop {
        let next = touching.beat(Instant::now());
        tokio::select! {
            _ = &mut ended => return,
            () = touching.changed.notified() => {}
            () = sleep_until(next) => {}
        }
    }
}

/// What lies there would keep its connections alive, and they the core, which it belongs to.
struct End<'a>(&'a Touching);

impl Drop for End<'_> {
    fn drop(&mut self) {
        *self.0.state() = State::default();
    }
}

impl Ord for Next {
    /// The earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Next {}

/// Not worth looking through.
const FEW: usize = 64;
