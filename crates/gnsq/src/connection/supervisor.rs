//! Keeps one nsqd connected.

use std::fmt::Debug;
use std::hash::Hash;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gnsq_proto::{BackoffTimer, ChannelName, TopicName};
use tokio_util::sync::CancellationToken;
use tracing::field::display;

use super::handle::Handle;
use super::observer::Observer;
use super::op::Op;
use crate::address::Address;
use crate::config::ConnectionConfig;
use crate::error::{Error, Result};
use crate::telemetry::ConnectionMeter;

/// What the owner of supervised connections does with them.
pub(crate) trait Session: Debug + Send + Sync + 'static {
    /// What a connection is for: an nsqd may have several, each for something else.
    type Purpose: Clone + Debug + Eq + Hash + Ord + Send + Sync + 'static;

    /// Whether it waits for messages: a connection that can't bring any is worth nothing, however well it is.
    const WAITS: bool;

    /// The topic and channel that a connection is for, if it is for one.
    fn subject<'a>(&'a self, purpose: &'a Self::Purpose) -> Option<(&'a TopicName, &'a ChannelName)>;

    /// What is told a recorder of metrics about the connections to one nsqd.
    fn meter(&self, purpose: &Self::Purpose, nsqd: &Address) -> ConnectionMeter;

    /// Who is told what happens on the connection.
    fn observer(self: &Arc<Self>) -> Arc<dyn Observer>;

    /// Brings a connection that has identified into use: SUB, say.
    fn prepare(&self, connection: &Handle, purpose: &Self::Purpose) -> impl Future<Output = Result<()>> + Send;

    /// The connection is in use.
    fn up(&self, connection: &Handle);

    /// The connection that was in use has ended.
    fn down(&self, connection: &Handle, cause: &Error);

    /// An attempt to connect has failed.
    fn failed(&self, address: &Address, cause: &Error);

    /// Waits until a connection that has just ended may be followed by another.
    fn may_renew(&self, purpose: &Self::Purpose, address: &Address) -> impl Future<Output = ()> + Send {
        let _ = (purpose, address);
        std::future::ready(())
    }
}

/// Connects to one nsqd, and again when the connection ends, after a delay that grows with failures.
#[derive(Debug)]
pub(crate) struct Supervisor<P> {
    pub(crate) purpose: P,
    pub(crate) address: Address,
    pub(crate) config: Arc<ConnectionConfig>,
    /// The longest delay before another attempt.
    pub(crate) max_reconnect_delay: Duration,
    /// Tells its owner whether the connection is in use.
    pub(crate) connected: Arc<AtomicBool>,
    /// Ends it, and closes the connection.
    pub(crate) stop: CancellationToken,
    /// Ends it once there is no connection.
    pub(crate) retire: CancellationToken,
}

impl<P: Send + Sync> Supervisor<P> {
    pub(crate) async fn run<S: Session<Purpose = P>>(self, session: Arc<S>) {
        let mut backoff = BackoffTimer::new(RECONNECT_RATIO, None, Some(self.max_reconnect_delay));
        let mut rng = fastrand::Rng::new();
        let meter = Arc::new(session.meter(&self.purpose, &self.address));
        // Whether nsqd closed the last connection.
        let mut was_closed = false;
        let mut is_told = false;
        // Whether the last connection ended as soon as it began.
        let mut was_brief = false;
        let subject = session.subject(&self.purpose);
        let (topic, channel) = (subject.map(|(topic, _)| display(topic)), subject.map(|(_, channel)| display(channel)));
        loop {
            let connected = tokio::select! {
                () = self.stop.cancelled() => return,
                connected = self.connect(&session, &meter) => connected,
            };
            let was_connected = connected.is_ok();
            match connected {
                Ok(connection) => {
                    let since = Instant::now();
                    // Once is enough for those who read the log; all the attempts are for those who look for a cause.
                    if was_brief {
                        tracing::debug!(topic, channel, nsqd = %self.address, "connected again");
                    } else {
                        tracing::info!(topic, channel, nsqd = %self.address, "connected");
                        is_told = false;
                    }
                    self.connected.store(true, Ordering::Relaxed);
                    meter.connects.add(1);
                    meter.connected.set(1);
                    session.up(&connection);
                    let in_use = InUse { session: &*session, connection: &connection, connected: &self.connected };
                    self.until_end(&connection, S::WAITS && was_closed).await;
                    drop(in_use);
                    meter.connected.set(0);
                    let error = connection.end();
                    was_closed = closed_by_nsqd(&error);
                    // One that ends as soon as it begins is a failure too.
                    let is_brief = since.elapsed() <= STABLE;
                    if !is_brief {
                        backoff.reset();
                    }
                    let is_meant = self.stop.is_cancelled() || matches!(error, Error::Closed);
                    match (is_meant, is_brief && was_brief) {
                        (true, _) => tracing::info!(topic, channel, nsqd = %self.address, "disconnected"),
                        (false, false) => {
                            tracing::warn!(topic, channel, nsqd = %self.address, %error, "the connection is lost");
                        }
                        (false, true) => {
                            tracing::debug!(topic, channel, nsqd = %self.address, %error, "the connection is lost again");
                        }
                    }
                    was_brief = is_brief && !is_meant;
                }
                Err(error) => {
                    meter.connect_failures.add(1);
                    // What counts is why the connection was lost, not what it was lost for.
                    let error = if let Error::Lost { cause, .. } = error { *cause } else { error };
                    if std::mem::replace(&mut is_told, true) {
                        tracing::debug!(topic, channel, nsqd = %self.address, %error, "still can't use nsqd");
                    } else {
                        tracing::warn!(topic, channel, nsqd = %self.address, %error, "can't use nsqd, will try again");
                    }
                    session.failed(&self.address, &error);
                }
            }
            backoff.failure();
            let delay = RECONNECT_FLOOR + backoff.interval(&mut rng);
            let renewable = async {
                tokio::time::sleep(delay).await;
                if was_connected {
                    session.may_renew(&self.purpose, &self.address).await;
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.retire.cancelled() => return,
                () = renewable => {}
            }
        }
    }

    async fn connect<S: Session<Purpose = P>>(&self, session: &Arc<S>, meter: &Arc<ConnectionMeter>) -> Result<Handle> {
        let connection = Handle::open(&self.address, &self.config, session.observer(), meter.clone()).await?;
        // A connection that can't be used, or isn't waited for any more, doesn't stay open.
        let mut guard = CloseOnDrop { connection: &connection, keep: false };
        connection.identify().await?;
        if connection.requires_auth() && self.config.security.auth_secret.is_none() {
            return Err(Error::AuthRequired { address: self.address.clone() });
        }
        connection.authenticate().await?;
        session.prepare(&connection, &self.purpose).await?;
        guard.keep = true;
        drop(guard);
        Ok(connection)
    }

    /// Waits for the connection's end, which a stop brings about, or a silence if it is `doubtful`.
    async fn until_end(&self, connection: &Handle, doubtful: bool) {
        tokio::select! {
            _ = connection.ended() => return,
            () = self.stop.cancelled() => {}
            () = hears_nothing(connection), if doubtful => {
                tracing::debug!(nsqd = %self.address, "no message since nsqd closed the last connection: renewing this one");
                // It fails only if the connection has ended.
                drop(connection.start_close());
            }
        }
        // Should it have ended meanwhile, there is nothing to close.
        let _ = connection.send(Op::Close);
        connection.ended().await;
    }
}

/// Waits until the connection has had a while to bring a message, and brought none.
async fn hears_nothing(connection: &Handle) {
    tokio::time::sleep(DOUBT).await;
    if connection.last_message().is_some() {
        std::future::pending::<()>().await;
    }
}

fn closed_by_nsqd(cause: &Error) -> bool {
    matches!(cause, Error::Io { source, .. }
        if matches!(source.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}

/// A connection that its owner keeps until it is told otherwise, which must happen also when the runtime drops the task.
struct InUse<'a, S: Session> {
    session: &'a S,
    connection: &'a Handle,
    connected: &'a AtomicBool,
}

impl<S: Session> Drop for InUse<'_, S> {
    fn drop(&mut self) {
        // Before it is told, so that who is told finds it so.
        self.connected.store(false, Ordering::Relaxed);
        self.session.down(self.connection, &self.connection.end());
    }
}

/// Closes a connection on every way out but one.
struct CloseOnDrop<'a> {
    connection: &'a Handle,
    keep: bool,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        if !self.keep {
            // One that has ended needs no closing.
            let _ = self.connection.send(Op::Close);
        }
    }
}

/// An nsqd that deletes a topic closes the topic's clients a moment before it forgets the topic. Who subscribes in
/// between has a channel that nobody else sees, and hears nothing for ever.
const RECONNECT_FLOOR: Duration = Duration::from_millis(50);

/// That moment includes writes to nsqd's disk, which may take longer. So a connection that follows one that nsqd closed
/// is renewed, once, when it has brought no message for so long.
const DOUBT: Duration = Duration::from_secs(5);

/// Seconds: the first attempt comes within 0.15 s, the fifth within 3 s, so that a restarted nsqd is found soon.
const RECONNECT_RATIO: f64 = 0.1;

/// What lives this long wasn't refused.
const STABLE: Duration = Duration::from_secs(5);
