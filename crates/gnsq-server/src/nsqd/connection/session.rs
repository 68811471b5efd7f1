//! What a client has said so far, and what its next command does.
//!
//! A session is given bytes and the time, and appends its answers to an output; it does no I/O and waits for nothing.
//! [`Session::execute`] takes one command from the front of the input. When a command has to wait for something, it says
//! for what, and takes the same command again after [`Session::resume`].

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use gnsq_proto::command::MAGIC_V2;
use gnsq_proto::command::decode::{Body, Line, Missing, MpubScan};
use gnsq_proto::frame::encode_response;
use gnsq_proto::{ErrorCode, frame};

use super::authorize::Authorization;
use super::identify::{Granted, Settings};
use super::liveness::Liveness;
use super::recent::Recent;
use super::refusal::Refusal;
use crate::nsqd::ClientState;
use crate::nsqd::auth::{AuthError, Grant};
use crate::nsqd::broker::Broker;
use crate::nsqd::client::{AuthIdentity, Client};
use crate::nsqd::consumers::Delivery;
use crate::nsqd::message::Now;
use crate::nsqd::subscription::Subscription;
use crate::tls::TlsRequired;

/// The protocol's state of one connection.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Session {
    pub(super) broker: Arc<Broker>,
    pub(super) client: Arc<Client>,
    pub(super) liveness: Liveness,
    pub(super) state: State,
    /// How messages are delivered: the first IDENTIFY sets it for good.
    pub(super) delivery: Delivery,
    pub(super) identified: bool,
    pub(super) recent: Recent,
    /// Of the MPUB that is arriving.
    pub(super) mpub: MpubScan,
    pub(super) authorization: Authorization,
    /// The channel of a SUB was just being deleted.
    pub(super) retried: bool,
    /// Whether there may be messages to take.
    pub(super) hungry: bool,
    pub(super) settings: Settings,
    pub(super) secure: bool,
    pub(super) compressed: bool,
    tls_required: bool,
}

#[derive(Debug)]
pub(super) enum State {
    /// Nothing was said.
    Hello,
    Init,
    Subscribed(Subscription),
    /// After CLS.
    Closing(Subscription),
}

/// What became of a command.
pub(super) enum Step {
    /// It is done, and took so many bytes.
    Done(usize),
    /// It takes at least so many bytes. Of a body, also what is missing.
    Incomplete(usize, Option<Missing>),
    /// It goes on when this is over.
    Wait(Pin<Box<dyn Future<Output = Waited> + Send>>),
    /// It took so many bytes, and what comes behind them travels otherwise.
    Upgrade(usize, Box<Granted>),
}

/// What a command has waited for.
pub(super) enum Waited {
    Auth(Result<Grant, AuthError>),
    Retry,
}

impl Session {
    pub(super) fn new(broker: Arc<Broker>, remote: Option<SocketAddr>) -> Self {
        let now = broker.now();
        let options = broker.options();
        let client = Client::new(broker.next_client_id(), remote, now.unix_nanos / NANOS);
        let host = remote.map(|remote| remote.ip().to_string()).unwrap_or_default();
        let delivery = Delivery { msg_timeout: options.msg_timeout, sample_rate: 0 };
        {
            let mut identity = client.identity();
            identity.client_id.clone_from(&host);
            identity.hostname = host;
        }
        broker.add_client(&client);
        Self {
            client,
            liveness: Liveness::hello(now.tick, options.client_timeout),
            state: State::Hello,
            delivery,
            identified: false,
            recent: Recent::default(),
            mpub: MpubScan::default(),
            authorization: Authorization::default(),
            retried: false,
            hungry: false,
            settings: Settings::new(options),
            secure: false,
            compressed: false,
            tls_required: options.tls.as_ref().is_some_and(|tls| tls.effective_required() != TlsRequired::No),
            broker,
        }
    }

    /// Takes the command at the front of `input`.
    pub(super) fn execute(&mut self, input: &[u8], now: Now, out: &mut BytesMut) -> Result<Step, Refusal> {
        if matches!(self.state, State::Hello) {
            return self.hello(input, now);
        }
        let Some((line, end)) = Line::parse(input)? else { return Ok(Step::Incomplete(input.len() + 1, None)) };
        let behind = &input[end..];
        if line.word == b"IDENTIFY" {
            return Ok(self.identify(behind, now, out)?.behind(end));
        }
        if self.tls_required && !self.secure {
            let text = [b"cannot ", line.word, b" in current state (TLS required)"].concat();
            return Err(Refusal::new(ErrorCode::Invalid, text));
        }
        let params = line.params();
        let step = match line.word {
            b"FIN" => self.finish(params, now, out)?,
            b"PUB" => self.publish(params, behind, now, out)?,
            b"RDY" => self.ready(params)?,
            b"MPUB" => self.publish_all(params, behind, now, out)?,
            b"NOP" => Step::Done(0),
            b"REQ" => self.requeue(params, now, out)?,
            b"TOUCH" => self.touch(params, now, out)?,
            b"DPUB" => self.publish_later(params, behind, now, out)?,
            b"SUB" => self.subscribe(params, now, out)?,
            b"CLS" => self.start_close(out)?,
            b"AUTH" => self.auth(params, behind, out)?,
            other => return Err(Refusal::invalid("invalid command ", other)),
        };
        Ok(step.behind(end))
    }

    /// Nothing more comes behind `input`, which is no whole command: what nsqd says to that, if anything.
    pub(super) fn cut_short(&mut self, input: &[u8], now: Now, out: &mut BytesMut) -> Option<Refusal> {
        let Ok(Step::Incomplete(_, Some(missing))) = self.execute(input, now, out) else { return None };
        let (line, _) = Line::parse(input).ok()??;
        let text = [line.word, b" ", missing.to_string().as_bytes()].concat();
        Some(Refusal::new(missing.code(), text))
    }

    fn hello(&mut self, input: &[u8], now: Now) -> Result<Step, Refusal> {
        let Some(magic) = input.first_chunk() else { return Ok(Step::Incomplete(MAGIC_V2.len(), None)) };
        if magic != MAGIC_V2 {
            return Err(Refusal::new(ErrorCode::BadProtocol, ""));
        }
        self.state = State::Init;
        self.liveness.set_beats(now.tick, Some(self.broker.options().client_timeout / 2));
        Ok(Step::Done(MAGIC_V2.len()))
    }

    /// What a command waited for has come.
    pub(super) fn resume(&mut self, waited: Waited) {
        match waited {
            Waited::Auth(answer) => {
                if let Ok(grant) = &answer {
                    self.client.identity().auth = Some(AuthIdentity {
                        identity: grant.identity.clone(),
                        identity_url: grant.identity_url.clone(),
                    });
                }
                self.authorization.answered(answer);
            }
            Waited::Retry => {}
        }
    }

    /// Appends messages to `out` until that has `most` bytes.
    pub(super) fn take(&mut self, now: Now, out: &mut BytesMut, most: usize) {
        self.hungry = match &self.state {
            State::Subscribed(subscription) => subscription.take(now, out, most).more,
            // Nothing comes any more, whatever the client gives back.
            State::Hello | State::Init | State::Closing(_) => false,
        };
    }

    pub(super) fn heartbeat(out: &mut BytesMut) {
        encode_response(frame::HEARTBEAT, out);
    }

    pub(super) fn set_subscribed(&mut self, subscription: Subscription) {
        self.state = State::Subscribed(subscription);
        self.client.set_state(ClientState::Subscribed);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.broker.remove_client(self.client.id());
    }
}

impl Step {
    /// The same, of a command whose line has `end` bytes more.
    fn behind(self, end: usize) -> Self {
        match self {
            Self::Done(consumed) => Self::Done(end + consumed),
            Self::Incomplete(needed, missing) => Self::Incomplete(end + needed, missing),
            Self::Upgrade(consumed, granted) => Self::Upgrade(end + consumed, granted),
            Self::Wait(_) => self,
        }
    }
}

/// What a body holds and how long it is, or the step that says that it isn't there yet.
pub(super) fn complete<T>(body: Body<T>) -> Result<(T, usize), Step> {
    match body {
        Body::Complete { content, consumed } => Ok((content, consumed)),
        Body::Incomplete { needed, missing } => Err(Step::Incomplete(needed, Some(missing))),
    }
}

/// How long a SUB waits for a channel that is being deleted to be gone.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(100);

const NANOS: i64 = 1_000_000_000;
