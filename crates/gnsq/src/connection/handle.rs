//! A connection as its users hold it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use gnsq_proto::limits::{DEFAULT_MAX_MSG_TIMEOUT, DEFAULT_MSG_TIMEOUT};
use gnsq_proto::{AuthResponse, ChannelName, Facts, IdentifyResponse, MessageId, Secret, TopicName};
use tokio::sync::{Notify, oneshot};

use super::load::Load;
use super::observer::Observer;
use super::op::{Answer, Ask, Confirm, Failure, Op, Reply};
use super::op_list::OpList;
use super::seat::Seat;
use super::stats::Counts;
use crate::address::Address;
use crate::config::ConnectionConfig;
use crate::error::{Error, Result};
use crate::moment::{Mark, Moment};
use crate::telemetry::ConnectionMeter;

/// A connection to one nsqd. Clones are the same connection; what they ask for is done by the driver's task.
#[derive(Debug, Clone)]
pub(crate) struct Handle(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) address: Address,
    pub(super) config: Arc<ConnectionConfig>,
    pub(super) observer: Arc<dyn Observer>,
    meter: Arc<ConnectionMeter>,
    pub(super) waker: AtomicWaker,
    pub(super) seat: Seat,
    ops: Mutex<Ops>,
    load: Load,
    counts: Counts,
    begun: Instant,
    pub(super) identified: OnceLock<IdentifyResponse>,
    pub(super) subscribed: OnceLock<(TopicName, ChannelName)>,
    pub(super) in_flight: AtomicU32,
    pub(super) ready: AtomicU32,
    /// The most that `ready` may become.
    pub(super) share: AtomicU32,
    /// Whether the share kept it from taking more.
    pub(super) hungry: AtomicBool,
    last_message: Mark,
    /// The most that was in flight lately, and when.
    most_in_flight: AtomicU32,
    most_at: Mark,
    /// Whether somebody waits for `in_flight` to become 0.
    pub(super) draining: AtomicBool,
    pub(super) drained: Notify,
    end: OnceLock<Error>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Ops {
    list: OpList,
    closed: bool,
}

impl Handle {
    pub(super) fn new(
        address: Address,
        config: Arc<ConnectionConfig>,
        observer: Arc<dyn Observer>,
        meter: Arc<ConnectionMeter>,
    ) -> Self {
        Self(Arc::new(Shared {
            address,
            config,
            observer,
            meter,
            waker: AtomicWaker::new(),
            seat: Seat::default(),
            ops: Mutex::default(),
            load: Load::default(),
            counts: Counts::default(),
            begun: Instant::now(),
            identified: OnceLock::new(),
            subscribed: OnceLock::new(),
            in_flight: AtomicU32::new(0),
            ready: AtomicU32::new(0),
            share: AtomicU32::new(0),
            hungry: AtomicBool::new(false),
            last_message: Mark::default(),
            most_in_flight: AtomicU32::new(0),
            most_at: Mark::default(),
            draining: AtomicBool::new(false),
            drained: Notify::new(),
            end: OnceLock::new(),
            ended: Notify::new(),
        }))
    }

    pub(crate) fn address(&self) -> &Address {
        &self.0.address
    }

    pub(crate) fn meter(&self) -> &ConnectionMeter {
        &self.0.meter
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.0.observer
    }

    /// What nsqd granted, once it has.
    pub(crate) fn identified(&self) -> Option<&IdentifyResponse> {
        self.0.identified.get()
    }

    /// The topic that it is, or is about to be, subscribed to.
    pub(crate) fn topic(&self) -> Option<&TopicName> {
        self.0.subscribed.get().map(|(topic, _)| topic)
    }

    /// The channel that it is, or is about to be, subscribed to.
    pub(crate) fn channel(&self) -> Option<&ChannelName> {
        self.0.subscribed.get().map(|(_, channel)| channel)
    }

    /// How long a message may be held, and how long with touches.
    pub(crate) fn msg_timeouts(&self) -> (Duration, Duration) {
        let millis_or = |millis, default| if millis == 0 { default } else { Duration::from_millis(millis) };
        match self.identified() {
            Some(response) => (
                millis_or(response.msg_timeout, DEFAULT_MSG_TIMEOUT),
                millis_or(response.max_msg_timeout, DEFAULT_MAX_MSG_TIMEOUT),
            ),
            // A server without negotiation uses what it was asked for.
            None => (self.0.config.msg_timeout.unwrap_or(DEFAULT_MSG_TIMEOUT), DEFAULT_MAX_MSG_TIMEOUT),
        }
    }

    pub(crate) fn config(&self) -> &ConnectionConfig {
        &self.0.config
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub(super) fn age(&self) -> Duration {
        self.0.begun.elapsed()
    }

    /// How busy it is with publishes.
    pub(crate) fn load(&self) -> &Load {
        &self.0.load
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// What a plan of shares has to know.
    pub(crate) fn take_facts(&self) -> Facts {
        Facts {
            in_flight: self.in_flight(),
            most_in_flight: self.0.most_in_flight.load(Ordering::Relaxed),
            most_at: self.0.most_at.get().map(Moment::instant),
            last_message: self.last_message(),
            hungry: self.0.hungry.swap(false, Ordering::Relaxed),
        }
    }

    /// The RDY that nsqd has been told last.
    pub(crate) fn ready_count(&self) -> u32 {
        self.0.ready.load(Ordering::Relaxed)
    }

    /// How many messages the plan lets it have.
    pub(crate) fn share(&self) -> u32 {
        self.0.share.load(Ordering::Relaxed)
    }

    pub(crate) fn last_message(&self) -> Option<Instant> {
        self.0.last_message.get().map(Moment::instant)
    }

    /// A message came now; the window says how many there were at most lately.
    pub(super) fn set_last_message(&self, now: Instant, facts: Facts) {
        self.0.last_message.set(now.into());
        if facts.most_at == Some(now) {
            self.0.most_in_flight.store(facts.most_in_flight, Ordering::Relaxed);
            self.0.most_at.set(now.into());
        }
    }

    /// Hands `op` to the driver; gives it back when the connection has ended.
    pub(crate) fn push(&self, op: Op) -> Result<(), Box<Op>> {
        let mut ops = self.ops();
        if ops.closed {
            return Err(Box::new(op));
        }
        let may_be_alone = matches!(op, Op::Publish(_)) && self.0.load.add_publish();
        let first = ops.list.is_empty();
        ops.list.push(op);
        drop(ops);
        self.have_done(first, may_be_alone);
        Ok(())
    }

    /// [`push`](Self::push) for what has no answer.
    pub(crate) fn send(&self, op: Op) -> Result<()> {
        self.push(op).map_err(|_| self.end())
    }

    /// Sends FIN.
    pub(crate) fn finish(&self, id: MessageId) -> Result<()> {
        self.add_finishes(1, |list| list.finish(id))
    }

    /// Sends FIN for each, with one wake-up.
    pub(crate) fn finish_all(&self, ids: &[MessageId]) -> Result<()> {
        self.add_finishes(ids.len(), |list| list.finish_all(ids))
    }

    fn add_finishes(&self, finishes: usize, add: impl FnOnce(&mut OpList)) -> Result<()> {
        let mut ops = self.ops();
        if ops.closed {
            drop(ops);
            return Err(self.end());
        }
        let first = ops.list.is_empty();
        add(&mut ops.list);
        drop(ops);
        // Where more is in flight, its FIN may soon share the write.
        self.have_done(first, self.in_flight() as usize == finishes);
        Ok(())
    }

    /// Has the driver do what was added to its list, which it empties whenever it runs: only the `first` has to wake it.
    /// What is likely to stay alone is sent at once, where that can be.
    fn have_done(&self, first: bool, may_be_alone: bool) {
        if first && !(may_be_alone && self.send_here()) {
            self.0.waker.wake();
        }
    }

    pub(crate) async fn identify(&self) -> Result<Bytes> {
        self.ask(Ask::Identify(self.0.config.identify_request())).await
    }

    /// Gives nsqd the secret.
    pub(crate) async fn auth(&self, secret: Secret) -> Result<AuthResponse> {
        let answer = self.ask(Ask::Auth(secret)).await?;
        // The answer means that it was granted; who it was granted to is for information.
        let response: AuthResponse = serde_json::from_slice(&answer).unwrap_or_default();
        self.tell_auth(&response);
        Ok(response)
    }

    /// Gives nsqd the secret of the options, if there is one and nsqd wants it.
    pub(crate) async fn authenticate(&self) -> Result<()> {
        let security = &self.0.config.security;
        match &security.auth_secret {
            Some(secret) if security.always_auth || self.requires_auth() => self.auth(secret.clone()).await.map(drop),
            _ => Ok(()),
        }
    }

    /// Whether nsqd has asked for a secret.
    pub(crate) fn requires_auth(&self) -> bool {
        self.identified().is_some_and(|response| response.auth_required)
    }

    pub(crate) async fn subscribe(&self, topic: TopicName, channel: ChannelName) -> Result<()> {
        self.ask(Ask::Subscribe(topic, channel)).await.map(drop)
    }

    /// Sends CLS, at the call. The future waits for CLOSE_WAIT.
    pub(crate) fn start_close(&self) -> impl Future<Output = Result<Bytes>> + Send + use<> {
        self.ask(Ask::StartClose)
    }

    /// At the call asks for word; the future waits until all that was asked for before has left.
    pub(crate) fn flush(&self) -> Result<impl Future<Output = ()> + Send + use<>> {
        let (reply, answer) = Reply::new();
        self.send(Op::Flush(reply))?;
        Ok(async move {
            // A connection that has ended holds nobody up either.
            let _ = answer.await;
        })
    }

    /// Sends `answer` at the call; the future waits until nsqd has carried it out.
    ///
    /// # Errors
    ///
    /// When it can't be sent: the connection's end.
    pub(crate) fn confirm(&self, answer: Answer) -> Result<impl Future<Output = Result<()>> + Send + use<>> {
        let (reply, result) = Reply::new();
        let timeout = self.0.config.answer_timeout;
        self.send(Op::Confirm(Box::new(Confirm { answer, reply, deadline: Instant::now() + timeout })))?;
        let result = self.answer(result, timeout);
        Ok(async move { result.await.map(drop) })
    }

    /// Asks at the call; the future waits for the answer.
    pub(crate) fn ask(&self, ask: Ask) -> impl Future<Output = Result<Bytes>> + Send + use<> {
        let (reply, answer) = Reply::new();
        let timeout = self.0.config.answer_timeout;
        let asked = self.send(Op::Ask(Box::new(ask), reply, Instant::now() + timeout));
        let answer = self.answer(answer, timeout);
        async move {
            asked?;
            answer.await
        }
    }

    fn answer(
        &self,
        answer: oneshot::Receiver<Result<Bytes, Failure>>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Bytes>> + Send + use<> {
        let connection = self.clone();
        async move {
            match answer.await {
                Ok(result) => result.map_err(|failure| connection.error(failure, timeout)),
                // The driver answers or fails everything it holds; this is its own end.
                Err(_) => Err(connection.ended().await),
            }
        }
    }

    /// A failure on this connection, as its caller sees it.
    pub(crate) fn error(&self, failure: Failure, timeout: Duration) -> Error {
        let address = self.address().clone();
        match failure {
            Failure::Refused(source) | Failure::RefusedTogether(source) => Error::Refused { address, source },
            Failure::NotSent(cause) => Error::Lost { address, sent: false, cause: Box::new(cause) },
            Failure::Unknown(cause) => Error::Lost { address, sent: true, cause: Box::new(cause) },
            Failure::TimedOut { sent } => Error::Timeout { after: timeout, sent },
            Failure::State(error) => Error::State(error),
        }
    }

    /// Waits until no message is in flight, or the connection has ended.
    pub(crate) async fn drained(&self) {
        loop {
            let notified = self.0.drained.notified();
            self.0.draining.store(true, Ordering::SeqCst);
            if self.0.end.get().is_some() || (self.ops().list.is_empty() && self.in_flight() == 0) {
                return;
            }
            // The driver looks at `draining` when it next runs, which may be only now.
            self.0.waker.wake();
            notified.await;
        }
    }

    /// Waits for the end of the connection; returns its cause.
    pub(crate) async fn ended(&self) -> Error {
        loop {
            let notified = self.0.ended.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(error) = self.0.end.get() {
                return error.clone();
            }
            notified.await;
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.end.get().is_some()
    }

    /// Why the connection has ended.
    pub(crate) fn end(&self) -> Error {
        self.0.end.get().cloned().unwrap_or(Error::Closed)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    /// Moves what was asked for into `into`, which is empty.
    pub(super) fn take_ops(&self, into: &mut OpList) {
        let mut ops = self.ops();
        if !ops.list.is_empty() {
            std::mem::swap(&mut ops.list, into);
        }
    }

    /// Takes no more ops; returns those that were never looked at.
    pub(super) fn close(&self, cause: Error) -> OpList {
        let rest = {
            let mut ops = self.ops();
            ops.closed = true;
            let _ = self.0.end.set(cause);
            std::mem::take(&mut ops.list)
        };
        self.0.in_flight.store(0, Ordering::Relaxed);
        self.0.meter.in_flight.set(0);
        self.0.meter.ready.set(0);
        self.0.ended.notify_waiters();
        self.0.drained.notify_waiters();
        rest
    }

    fn ops(&self) -> MutexGuard<'_, Ops> {
        // Nothing panics while the queue is locked.
        self.0.ops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
