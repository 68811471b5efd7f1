//! What the clients' signals carry.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gnsq_proto::{AuthResponse, MessageId, ServerError, TopicName};

use crate::address::Address;
use crate::error::Error;
use crate::event::Signal;
use crate::message::Message;

/// An error from a handler.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// The signals of a client. Each can be listened to with [`Signal::connect`] or [`Signal::subscribe`]; a signal that
/// a kind of client has no use for stays silent.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// A message was received.
    pub on_message: Signal<MessageEvent>,
    /// nsqd answered something.
    pub on_response: Signal<ResponseEvent>,
    /// nsqd has accepted a secret.
    pub on_auth: Signal<AuthEvent>,
    /// nsqd refused something: a FIN, REQ or TOUCH that came too late, or what ends the connection.
    pub on_error: Signal<ErrorEvent>,
    /// A message was finished.
    pub on_finish: Signal<FinishEvent>,
    /// A message was requeued.
    pub on_requeue: Signal<RequeueEvent>,
    /// A message has had all its attempts and is about to be given up.
    pub on_giving_up: Signal<MessageEvent>,
    /// A handler failed or panicked.
    pub on_exception: Signal<ExceptionEvent>,
    /// A connection has ended.
    pub on_close: Signal<CloseEvent>,
}

/// A message, to look at: it is answered by whoever received it.
#[derive(Debug, Clone)]
pub struct MessageEvent {
    /// The nsqd that delivered it.
    pub nsqd: Address,
    /// Its topic.
    pub topic: TopicName,
    /// Its id.
    pub id: MessageId,
    /// How often it was delivered, this time included.
    pub attempts: u16,
    /// When nsqd received it, in nanoseconds since the Unix epoch.
    pub timestamp: i64,
    /// Its content.
    pub body: Bytes,
}

/// An answer of nsqd.
#[derive(Debug, Clone)]
pub struct ResponseEvent {
    /// The nsqd.
    pub nsqd: Address,
    /// The answer, `OK` mostly.
    pub data: Bytes,
}

/// An accepted secret.
#[derive(Debug, Clone)]
pub struct AuthEvent {
    /// The nsqd.
    pub nsqd: Address,
    /// Whom it knows this client as.
    pub response: AuthResponse,
}

/// An error from nsqd.
#[derive(Debug, Clone)]
pub struct ErrorEvent {
    /// The nsqd.
    pub nsqd: Address,
    /// The topic that the connection is subscribed to, if it is.
    pub topic: Option<TopicName>,
    /// The error; of a FIN, REQ or TOUCH that came too late it [names the message](ServerError::message_id).
    pub error: ServerError,
}

/// A finished message.
#[derive(Debug, Clone)]
pub struct FinishEvent {
    /// The nsqd that delivered it.
    pub nsqd: Address,
    /// Its topic.
    pub topic: TopicName,
    /// Its id.
    pub id: MessageId,
}

/// A requeued message.
#[derive(Debug, Clone)]
pub struct RequeueEvent {
    /// The nsqd that delivered it.
    pub nsqd: Address,
    /// Its topic.
    pub topic: TopicName,
    /// Its id.
    pub id: MessageId,
    /// After how long it will be delivered again.
    pub delay: Duration,
    /// Whether it counts as a failure.
    pub backoff: bool,
}

/// A handler's failure.
#[derive(Debug, Clone)]
pub struct ExceptionEvent {
    /// The message it failed on.
    pub message: MessageEvent,
    /// What it returned, or what it panicked with.
    pub error: Arc<HandlerError>,
}

/// The end of a connection.
#[derive(Debug, Clone)]
pub struct CloseEvent {
    /// The nsqd.
    pub nsqd: Address,
    /// The topic that it was subscribed to, if it was.
    pub topic: Option<TopicName>,
    /// Why it ended.
    pub cause: Error,
}

impl MessageEvent {
    pub(crate) fn new(message: &Message) -> Self {
        let frame = message.frame();
        Self {
            nsqd: message.nsqd().clone(),
            topic: message.topic().clone(),
            id: frame.id,
            attempts: frame.attempts,
            timestamp: frame.timestamp,
            body: frame.body.clone(),
        }
    }
}
