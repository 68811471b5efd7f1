//! One connection to an nsqd, frame by frame.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gnsq_proto::connection::StateError;
use gnsq_proto::{Frame, MessageId, Secret};

use crate::address::Address;
use crate::config::ConnectionConfig;
use crate::connection::{Ask, Handle, Observer, Op};
use crate::error::{Error, Result};
use crate::events::Signals;
use crate::runtime::Io;

/// One connection to an nsqd whose user sends what commands there are in any order, and is given every frame as it comes:
/// for tools, tests, and clients of other languages. It checks nothing that nsqd checks, counts nothing, and gives nothing
/// back. Whoever only wants the commands takes [`NsqdTcpClient`](crate::NsqdTcpClient).
///
/// A task drives it: heartbeats are answered also while nobody calls anything. Dropping it closes the connection, after
/// all commands are sent.
#[derive(Debug)]
pub struct FrameClient {
    connection: Handle,
    inbox: Arc<Inbox>,
    unflushed: AtomicUsize,
}

/// What a [`FrameClient`] is given.
#[derive(Debug)]
#[non_exhaustive]
pub enum Incoming {
    /// nsqd sent this: a heartbeat too, which has its answer. What IDENTIFY and AUTH are answered, and what refuses them, is
    /// given to who asked, and not here.
    Frame(Frame),
    /// The connection has ended, because of this. Nothing follows.
    End(Error),
}

struct Inbox {
    signals: Signals,
    receiver: Box<dyn Fn(Incoming) + Send + Sync>,
    /// How many wait for an answer to IDENTIFY or AUTH.
    asking: AtomicUsize,
    identifying: AtomicUsize,
}

impl FrameClient {
    /// Connects with these options, the I/O running there, and sends the protocol's magic. `receiver` is called in the task
    /// that does the I/O, with one frame after the other: it must not block or panic.
    ///
    /// # Errors
    ///
    /// [`Error::Address`], [`Error::Connect`], [`Error::Option`].
    pub async fn connect_with<A>(
        address: A,
        mut config: ConnectionConfig,
        io: &Io,
        receiver: impl Fn(Incoming) + Send + Sync + 'static,
    ) -> Result<Self>
    where
        A: TryInto<Address, Error: Into<Error>>,
    {
        let address = address.try_into().map_err(Into::into)?;
        config.prepare()?;
        let inbox = Arc::new(Inbox {
            signals: Signals::default(),
            receiver: Box::new(receiver),
            asking: AtomicUsize::new(0),
            identifying: AtomicUsize::new(0),
        });
        // The inbox owns the signals: it must not keep itself alive.
        let told = Arc::downgrade(&inbox);
        let on_close = inbox.signals.on_close.connect(move |event| {
            if let Some(inbox) = told.upgrade() {
                (inbox.receiver)(Incoming::End(event.cause.clone()));
            }
        });
        on_close.forget();
        let (config, observer) = (Arc::new(config), inbox.clone());
        let opening = async move { Handle::open(&address, &config, observer, Arc::default()).await };
        // The connection belongs to the runtime that opens it.
        let connection = io.handle()?.spawn(opening).await.map_err(|_| Error::Closed)??;
        Ok(Self { connection, inbox, unflushed: AtomicUsize::new(0) })
    }

    /// Sends IDENTIFY with what the options say, at the call, and changes to TLS and compression as nsqd grants. The future
    /// gives its answer: JSON, or `OK`. AUTH is left to the caller.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when another command was sent before; [`Error::Refused`], [`Error::Lost`] or [`Error::Timeout`].
    pub fn identify(&self) -> impl Future<Output = Result<Bytes>> + Send + use<> {
        let asking = Asking::new(&self.inbox, |inbox| &inbox.identifying);
        let answer = self.ask(Ask::Identify(self.connection.config().identify_request()));
        async move {
            let _asking = asking;
            answer.await
        }
    }

    /// Sends AUTH, at the call. The future gives its answer, which is JSON.
    ///
    /// # Errors
    ///
    /// As [`identify`](Self::identify).
    pub fn auth(&self, secret: Secret) -> impl Future<Output = Result<Bytes>> + Send + use<> {
        self.ask(Ask::Auth(secret))
    }

    /// Sends a command as it stands, in one write with what else there is to send. Not IDENTIFY and AUTH, which have methods
    /// of their own. `is_answered`: nsqd answers it when it succeeds.
    ///
    /// Returns what can be waited for, now and then: a future that ends when all has left. Whoever does so never has more than
    /// 256 KiB and a command waiting to be sent.
    ///
    /// # Errors
    ///
    /// [`Error::State`] while IDENTIFY is under way; the connection's end.
    pub fn send(&self, command: Bytes, is_answered: bool) -> Result<Option<impl Future<Output = ()> + Send + use<>>> {
        if self.inbox.identifying.load(Ordering::Acquire) > 0 {
            return Err(StateError::new("a command", "before IDENTIFY is answered").into());
        }
        let bytes = command.len();
        self.connection.send(Op::Send(command, is_answered))?;
        if self.unflushed.fetch_add(bytes, Ordering::Relaxed) + bytes < UNFLUSHED {
            return Ok(None);
        }
        self.unflushed.store(0, Ordering::Relaxed);
        self.connection.flush().map(Some)
    }

    /// Asks for no more messages and requeues these, which nobody has seen. A [`close`](Self::close) then waits for a moment, and
    /// requeues what nsqd had on its way.
    pub fn give_back(&self, ids: Vec<MessageId>) {
        // Without a connection they can't go back.
        let _ = self.connection.send(Op::GiveBackAll(ids));
    }

    /// Sends what is to be sent, then closes the connection.
    pub fn close(&self) {
        // One that has ended needs no closing.
        let _ = self.connection.send(Op::Close);
    }

    /// Waits for the connection's end, and tells why it ended.
    pub fn closed(&self) -> impl Future<Output = Error> + Send + use<> {
        let connection = self.connection.clone();
        async move { connection.ended().await }
    }

    /// Whether the connection is there.
    pub fn is_connected(&self) -> bool {
        !self.connection.has_ended()
    }

    /// The nsqd.
    pub fn address(&self) -> &Address {
        self.connection.address()
    }

    fn ask(&self, ask: Ask) -> impl Future<Output = Result<Bytes>> + Send + use<> {
        let asking = Asking::new(&self.inbox, |inbox| &inbox.asking);
        let answer = self.connection.ask(ask);
        async move {
            let _asking = asking;
            answer.await
        }
    }
}

impl Drop for FrameClient {
    fn drop(&mut self) {
        self.close();
    }
}

impl Observer for Inbox {
    fn signals(&self) -> &Signals {
        &self.signals
    }

    fn takes_frames(&self) -> bool {
        true
    }

    fn frame(&self, frame: Frame) {
        (self.receiver)(Incoming::Frame(frame));
    }

    fn error(&self, error: &gnsq_proto::ServerError) {
        // Who asked is told.
        if !error.is_fatal() || self.asking.load(Ordering::Acquire) == 0 {
            (self.receiver)(Incoming::Frame(Frame::Error(error.clone())));
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbox")
    }
}

/// Counts one who waits, until it is dropped.
struct Asking {
    inbox: Arc<Inbox>,
    counter: fn(&Inbox) -> &AtomicUsize,
}

impl Asking {
    fn new(inbox: &Arc<Inbox>, counter: fn(&Inbox) -> &AtomicUsize) -> Self {
        counter(inbox).fetch_add(1, Ordering::AcqRel);
        Self { inbox: inbox.clone(), counter }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        (self.counter)(&self.inbox).fetch_sub(1, Ordering::AcqRel);
    }
}

/// After how many bytes a sender is to wait until they have left.
const UNFLUSHED: usize = 256 * 1024;
