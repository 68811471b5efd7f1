//! The nsqds that a client is connected to: those that were named, and those that are found.

#[cfg(feature = "http")]
mod board;
#[cfg(feature = "http")]
mod discovery;
#[cfg(feature = "http")]
mod options;
#[cfg(feature = "http")]
mod question;
#[cfg(feature = "http")]
mod source;

#[cfg(feature = "http")]
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle as Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[cfg(feature = "http")]
pub(crate) use self::board::{Board, Known};
#[cfg(feature = "http")]
pub(crate) use self::discovery::Discovery;
#[cfg(feature = "http")]
pub(crate) use self::options::{LookupdOptions, lookupd_options};
#[cfg(feature = "http")]
pub(crate) use self::question::{Nodes, Nsqd, Question, usable_address};
#[cfg(feature = "http")]
pub(crate) use self::source::Source;
use crate::address::Address;
use crate::config::ConnectionConfig;
use crate::connection::{Session, Supervisor};

/// Keeps one connection to each nsqd for each purpose.
///
/// An nsqd that was named stays. One that was found stays while it is listed, or connected: a restarted nsqlookupd
/// knows nobody for a while.
#[derive(Debug)]
pub(crate) struct Fleet<S: Session> {
    session: Arc<S>,
    config: Arc<ConnectionConfig>,
    max_reconnect_delay: Duration,
    runtime: Runtime,
    members: HashMap<(S::Purpose, Address), Member>,
    tasks: TaskTracker,
    /// Ends all connections.
    stop: CancellationToken,
    /// Lets none that has ended be followed by another.
    retire: CancellationToken,
}

#[derive(Debug)]
struct Member {
    /// Ends its supervisor.
    stop: CancellationToken,
    /// Named by the user, not found: it stays.
    fixed: bool,
    listed: bool,
    connected: Arc<AtomicBool>,
}

impl<S: Session> Fleet<S> {
    /// A fleet without members, whose connections run on `runtime`, and end at the latest when `stop` says so.
    pub(crate) fn new(
        session: Arc<S>,
        config: ConnectionConfig,
        max_reconnect_delay: Duration,
        runtime: Runtime,
        stop: CancellationToken,
    ) -> Self {
        Self {
            session,
            config: Arc::new(config),
            max_reconnect_delay,
            runtime,
            members: HashMap::new(),
            tasks: TaskTracker::new(),
            stop,
            retire: CancellationToken::new(),
        }
    }

    /// Connects to an nsqd that was named.
    pub(crate) fn add(&mut self, purpose: S::Purpose, address: Address) {
        self.supervise(purpose, address, true);
    }

    /// Connects to those that were found, and are new.
    #[cfg(feature = "http")]
    pub(crate) fn follow(&mut self, found: &BTreeSet<(S::Purpose, Address)>) {
        for (key, member) in &mut self.members {
            member.listed = found.contains(key);
        }
        for (purpose, address) in found {
            self.supervise(purpose.clone(), address.clone(), false);
        }
    }

    /// Tries no more to reach those that are neither named nor listed nor connected. To be called when the list has
    /// changed, and when a connection has ended.
    pub(crate) fn leave_vanished(&mut self) {
        self.members.retain(|(purpose, address), member| {
            let stays = member.fixed || member.listed || member.connected.load(Ordering::Relaxed);
            if !stays {
                let subject = self.session.subject(purpose);
                tracing::info!(
                    topic = subject.map(|(topic, _)| display(topic)),
                    channel = subject.map(|(_, channel)| display(channel)),
                    nsqd = %address,
                    "not connected, and not known to nsqlookupd any more"
                );
                member.stop.cancel();
            }
            stays
        });
    }

    /// From now on no connection that ends is followed by another.
    pub(crate) fn retire(&self) {
        self.retire.cancel();
    }

    /// Closes all connections, and waits until they have ended.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn supervise(&mut self, purpose: S::Purpose, address: Address, fixed: bool) {
        let key = (purpose, address);
        if let Some(member) = self.members.get_mut(&key) {
            // One that was found may be named later.
            member.fixed |= fixed;
            return;
        }
        let stop = self.stop.child_token();
        let connected = Arc::new(AtomicBool::new(false));
        let supervisor = Supervisor {
            purpose: key.0.clone(),
            address: key.1.clone(),
            config: self.config.clone(),
            max_reconnect_delay: self.max_reconnect_delay,
            connected: connected.clone(),
            stop: stop.clone(),
            retire: self.retire.clone(),
        };
        self.tasks.spawn_on(supervisor.run(self.session.clone()), &self.runtime);
        self.members.insert(key, Member { stop, fixed, listed: !fixed, connected });
    }
}

impl<S: Session> Drop for Fleet<S> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
