//! One connection to an nsqd, with every command of the protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gnsq_proto::connection::StateError;
use gnsq_proto::{AuthResponse, ChannelName, IdentifyResponse, MessageId, Secret, TopicName};

use crate::address::Address;
use crate::budget::Budget;
use crate::config::ConnectionConfig;
use crate::connection::{Answer, ConnectionStats, Failure, Handle, Observer, Op, Publish};
use crate::error::{Error, Result};
use crate::events::Signals;
use crate::message::Message;
use crate::outbound::Outbound;
use crate::queue::{Place, Queue};
use crate::runtime::Io;
use crate::time_limit::TimeLimit;

/// One connection to an nsqd: the commands as they are, for those who want neither a [`Producer`](crate::Producer) nor
/// a [`Consumer`](crate::Consumer). It doesn't reconnect.
///
/// A task drives it: heartbeats are answered also while nobody calls anything. Messages wait in a queue, bounded by
/// twice the RDY; what comes beyond goes back. Dropping it closes the connection, after all commands
/// are sent and what was not answered is requeued.
///
/// ```no_run
/// # async fn example() -> gnsq::Result<()> {
/// use gnsq::NsqdTcpClient;
///
/// let nsqd = NsqdTcpClient::connect("127.0.0.1:4150").await?;
/// nsqd.identify().await?;
/// nsqd.publish("orders", "one coffee").await?;
/// nsqd.subscribe("orders", "kitchen").await?;
/// nsqd.ready(1)?;
/// if let Some(message) = nsqd.recv().await {
///     message.finish()?;
/// }
/// nsqd.start_close().await?;
/// nsqd.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NsqdTcpClient {
    connection: Handle,
    inbox: Arc<Inbox>,
    config: Arc<ConnectionConfig>,
    budget: Arc<Budget>,
    subscribed: AtomicBool,
}

#[derive(Debug, Default)]
struct Inbox {
    queue: Queue,
    signals: Signals,
}

impl NsqdTcpClient {
    /// Connects with the default options, on the current runtime, and sends the protocol's magic.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] or [`Error::Connect`].
    pub async fn connect<A>(address: A) -> Result<Self>
    where
        A: TryInto<Address, Error: Into<Error>>,
    {
        Self::connect_with(address, ConnectionConfig::new(), &Io::Current).await
    }

    /// Connects with these options, the I/O running there.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and [`Error::Option`].
    pub async fn connect_with<A>(address: A, mut config: ConnectionConfig, io: &Io) -> Result<Self>
    where
        A: TryInto<Address, Error: Into<Error>>,
    {
        let address = address.try_into().map_err(Into::into)?;
        config.prepare()?;
        let config = Arc::new(config);
        let inbox = Arc::new(Inbox::default());
        let opening = {
            let (config, inbox) = (config.clone(), inbox.clone());
            async move { Handle::open(&address, &config, inbox, Arc::default()).await }
        };
        // The connection belongs to the runtime that opens it.
        let connection = io.handle()?.spawn(opening).await.map_err(|_| Error::Closed)??;
        let budget = Budget::new(MAX_OUTSTANDING, MAX_OUTSTANDING_BYTES);
        Ok(Self { connection, inbox, config, budget, subscribed: AtomicBool::new(false) })
    }

    /// Tells nsqd who this is and asks for what the options say; returns what it grants. The first command. TLS and
    /// compression begin with it, and if nsqd wants the secret that the options have, it is given.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when it isn't; [`Error::Refused`], [`Error::Lost`] or [`Error::Timeout`].
    pub async fn identify(&self) -> Result<IdentifyResponse> {
        self.connection.identify().await?;
        self.connection.authenticate().await?;
        Ok(self.connection.identified().cloned().unwrap_or_default())
    }

    /// Gives nsqd a secret, after [`identify`](Self::identify) has told that it [is required](IdentifyResponse::auth_required).
    /// Not after one that the options have: nsqd takes one.
    ///
    /// # Errors
    ///
    /// As [`identify`](Self::identify).
    pub async fn auth(&self, secret: impl Into<Secret>) -> Result<AuthResponse> {
        self.connection.auth(secret.into()).await
    }

    /// Subscribes to a channel. Messages come after [`ready`](Self::ready).
    ///
    /// # Errors
    ///
    /// As [`identify`](Self::identify), and [`Error::Name`].
    pub async fn subscribe<T, C>(&self, topic: T, channel: C) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
        C: TryInto<ChannelName, Error: Into<Error>>,
    {
        let topic = topic.try_into().map_err(Into::into)?;
        let channel = channel.try_into().map_err(Into::into)?;
        self.connection.subscribe(topic, channel).await?;
        self.subscribed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Publishes one message; returns when nsqd has confirmed it.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] and [`Error::Limit`]: refused, nothing was sent. [`Error::Refused`], [`Error::Lost`],
    /// [`Error::Timeout`].
    pub async fn publish<T>(&self, topic: T, body: impl Into<Bytes>) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        self.send(Outbound::message(&self.config.limits, topic, body)?).await
    }

    /// Publishes one message that nsqd delivers after `delay` (whole milliseconds).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_deferred<T>(&self, topic: T, body: impl Into<Bytes>, delay: Duration) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        self.send(Outbound::deferred(&self.config.limits, topic, body, delay)?).await
    }

    /// Publishes several messages with one command.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn multipublish<T, B>(&self, topic: T, bodies: impl IntoIterator<Item = B>) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
        B: Into<Bytes>,
    {
        self.send(Outbound::batch(&self.config.limits, topic, bodies)?).await
    }

    /// Allows nsqd to have `count` messages in flight here, at most the `max_rdy_count` that it told.
    ///
    /// # Errors
    ///
    /// [`Error::State`] without a subscription, [`Error::Option`] above nsqd's maximum; the connection's end.
    pub fn ready(&self, count: u32) -> Result<()> {
        let most = self.connection.identified().map_or(0, |response| response.max_rdy_count);
        if most > 0 && count > most {
            let reason = format!("{count} is more than {most}, nsqd's --max-rdy-count");
            return Err(Error::Option { option: "ready", reason });
        }
        self.command("RDY", Op::Ready(count))
    }

    /// The message is done. Use [`Message::finish`] where there is a message: it knows when it is too late.
    ///
    /// # Errors
    ///
    /// [`Error::State`] without a subscription; the connection's end.
    pub fn finish(&self, id: MessageId) -> Result<()> {
        self.command("FIN", Op::Answer(Answer::Finish(id)))?;
        self.connection.tell_finished(id);
        Ok(())
    }

    /// The message goes back to its channel, after `delay` (whole milliseconds).
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn requeue(&self, id: MessageId, delay: Duration) -> Result<()> {
        self.command("REQ", Op::Answer(Answer::Requeue(id, delay)))?;
        self.connection.tell_requeued(id, delay, true);
        Ok(())
    }

    /// Asks for more time for the message.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn touch(&self, id: MessageId) -> Result<()> {
        self.command("TOUCH", Op::Answer(Answer::Touch(id)))
    }

    /// Does nothing, on the wire.
    ///
    /// # Errors
    ///
    /// The connection's end.
    pub fn nop(&self) -> Result<()> {
        self.connection.send(Op::Nop)
    }

    /// The next message; `None` when the connection has ended and all were taken.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    pub async fn recv(&self) -> Option<Message> {
        let mut place = Place::default();
        std::future::poll_fn(|cx| self.inbox.queue.poll_pop(&mut place, cx)).await
    }

    /// Asks for no more messages (CLS), and waits until nsqd says that it sends none (`CLOSE_WAIT`). Messages in
    /// hand can still be answered.
    ///
    /// # Errors
    ///
    /// [`Error::State`] without a subscription; [`Error::Lost`], [`Error::Timeout`].
    pub async fn start_close(&self) -> Result<()> {
        self.connection.start_close().await.map(drop)
    }

    /// Sends what is to be sent, then closes the connection; returns when it has ended. Messages that were not
    /// answered are requeued, also those in hand, since they can't be answered any more.
    pub async fn close(&self) {
        self.end();
        self.connection.ended().await;
    }

    /// Waits for the connection's end, and tells why it ended.
    pub async fn closed(&self) -> Error {
        self.connection.ended().await
    }

    /// Whether the connection is there.
    pub fn is_connected(&self) -> bool {
        !self.connection.has_ended()
    }

    /// The nsqd.
    pub fn address(&self) -> &Address {
        self.connection.address()
    }

    /// How many messages were received and not answered yet.
    pub fn in_flight(&self) -> u32 {
        self.connection.in_flight()
    }

    /// The RDY that nsqd was told last.
    pub fn ready_count(&self) -> u32 {
        self.connection.ready_count()
    }

    /// When the last message came.
    pub fn last_message(&self) -> Option<Instant> {
        self.connection.last_message()
    }

    /// What this connection has done, and what nsqd has granted it.
    pub fn stats(&self) -> ConnectionStats {
        self.connection.stats()
    }

    /// What happens, as it happens.
    pub fn signals(&self) -> &Signals {
        &self.inbox.signals
    }

    async fn send(&self, Outbound { command, size }: Outbound) -> Result<()> {
        let limit = TimeLimit::new(Instant::now(), self.config.answer_timeout);
        let room = tokio::time::timeout_at(limit.ends.into(), self.budget.acquire(size)).await;
        let permit = room.map_err(|_| Error::Timeout { after: limit.after, sent: false })?;
        let (publish, outcome) = Publish::new(command, false, limit, Some(permit));
        self.connection.send(Op::Publish(publish))?;
        let failure = match outcome.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(undone)) => undone.failure,
            // The driver answers or fails everything it holds; this is its own end.
            Err(_) => Failure::Unknown(self.connection.ended().await),
        };
        Err(self.connection.error(failure, limit.after))
    }

    fn end(&self) {
        // Before the messages, or nsqd would send again what is given back. It fails where nothing is subscribed, or
        // when it was done before.
        drop(self.connection.start_close());
        drop(self.inbox.queue.close());
        // One that has ended needs no closing.
        let _ = self.connection.send(Op::RequeueAll);
        let _ = self.connection.send(Op::Close);
    }

    fn command(&self, name: &'static str, op: Op) -> Result<()> {
        if !self.subscribed.load(Ordering::Relaxed) {
            return Err(StateError::new(name, "before a channel is subscribed").into());
        }
        self.connection.send(op)
    }
}

impl Drop for NsqdTcpClient {
    fn drop(&mut self) {
        self.end();
    }
}

impl Observer for Inbox {
    fn signals(&self) -> &Signals {
        &self.signals
    }

    fn messages(&self, batch: &mut Vec<Message>) {
        self.queue.push(batch);
    }

    fn closed(&self) {
        // What waits can still be taken, though no longer answered; whoever waits for more is told.
        self.queue.end();
    }
}

/// The bounds on publishes without an answer; one more waits.
const MAX_OUTSTANDING: u32 = 10_000;
const MAX_OUTSTANDING_BYTES: u32 = 64 * 1024 * 1024;
