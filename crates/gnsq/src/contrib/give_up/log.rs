//! Logs messages that are given up.

use std::convert::Infallible;
use std::future::{Ready, ready};

use super::record::record;
use crate::events::MessageEvent;

/// Logs, as an event of `tracing` at the level ERROR, which message is given up: not its body. The message is lost then.
///
/// ```
/// use gnsq::Consumer;
/// use gnsq::contrib::LogGiveUp;
///
/// let builder = Consumer::builder("orders", "billing").give_up_handler(LogGiveUp.handler());
/// # let _ = builder;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct LogGiveUp;

impl LogGiveUp {
    /// For [`ConsumerBuilder::give_up_handler`](crate::ConsumerBuilder::give_up_handler).
    pub fn handler(self) -> impl Fn(MessageEvent) -> Ready<Result<(), Infallible>> + Send + Sync + 'static {
        |message| {
            tracing::error!(
                topic = %message.topic,
                nsqd = %message.nsqd,
                id = %message.id,
                attempts = message.attempts,
                timestamp = message.timestamp,
                body_len = message.body.len(),
                "a message failed too often and is lost"
            );
            ready(Ok(()))
        }
    }
}

/// Logs the whole message as an object of JSON, which is the text of an event of `tracing` at the level ERROR.
///
/// Its fields are `topic`, `id`, `attempts`, `timestamp` (nanoseconds since 1970), `nsqd`, `encoding` (`utf-8`, or `base64` for a
/// body that is no text) and `body`. The target is `gnsq::give_up`, by which a subscriber can send them elsewhere.
///
/// ```
/// use gnsq::Consumer;
/// use gnsq::contrib::JsonLogGiveUp;
///
/// let builder = Consumer::builder("orders", "billing").give_up_handler(JsonLogGiveUp.handler());
/// # let _ = builder;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonLogGiveUp;

impl JsonLogGiveUp {
    /// For [`ConsumerBuilder::give_up_handler`](crate::ConsumerBuilder::give_up_handler).
    pub fn handler(self) -> impl Fn(MessageEvent) -> Ready<Result<(), Infallible>> + Send + Sync + 'static {
        |message| {
            tracing::error!(target: "gnsq::give_up", "{}", record(&message));
            ready(Ok(()))
        }
    }
}
