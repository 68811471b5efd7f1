//! An optional envelope around a message's body: trace context, headers, and when it is due.
//!
//! NSQ's messages are bytes without headers. [`Envelope`] puts some in front of the body, in a small format that is
//! described in the project's `docs/envelope.md`, for programs in any language. It begins with a byte that no text, JSON
//! or MessagePack begins with, so bodies with and without an envelope can share a topic: [`Envelope::decode`] takes both.
//!
//! ```
//! use gnsq::envelope::{Envelope, TraceContext};
//!
//! # fn main() -> Result<(), gnsq::envelope::EnvelopeError> {
//! let trace = TraceContext::root(true);
//! let body = Envelope::new(r#"{"order": 17}"#).trace(&trace).header("tenant", "acme").encode()?;
//!
//! let message = Envelope::decode(&body)?;
//! assert_eq!(message.body, r#"{"order": 17}"#);
//! assert_eq!(message.headers.get("tenant"), Some("acme"));
//! assert_eq!(message.headers.trace(), Some(trace));
//!
//! let plain = Envelope::decode(&"no envelope".into())?;
//! assert_eq!(plain.body, "no envelope");
//! assert!(plain.headers.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # Traces across NSQ
//!
//! A [`TraceContext`] is what W3C's Trace Context calls `traceparent` and `tracestate`. The producer sends its own span's;
//! the consumer continues with a [child](TraceContext::child). With `tracing`, and without any other dependency:
//!
//! ```no_run
//! # async fn example(producer: gnsq::Producer) -> gnsq::Result<()> {
//! use gnsq::envelope::{Envelope, TraceContext};
//! use gnsq::{Consumer, HandlerError, Message};
//! use tracing::Instrument;
//!
//! let trace = TraceContext::root(true);
//! producer.publish("orders", Envelope::new("17").trace(&trace).encode()?).await?;
//!
//! let consumer = Consumer::builder("orders", "billing").nsqd("127.0.0.1:4150").build()?;
//! consumer
//!     .run(|message: Message| async move {
//!         let content = message.envelope()?;
//!         let parent = content.headers.trace();
//!         let trace = parent.as_ref().map_or_else(|| TraceContext::root(false), TraceContext::child);
//!         let span = tracing::info_span!(
//!             "order",
//!             trace_id = format_args!("{:032x}", trace.trace_id()),
//!             span_id = format_args!("{:016x}", trace.parent_id()),
//!             parent_id = parent.map(|parent| format!("{:016x}", parent.parent_id())),
//!         );
//!         async { tracing::info!("billed") }.instrument(span).await;
//!         Ok::<_, HandlerError>(())
//!     })
//!     .await;
//! # Ok(())
//! # }
//! ```
//!
//! Programs that use OpenTelemetry write and read the headers `traceparent` and `tracestate` with their propagator
//! instead: [`Envelope::header`] and [`Headers::get`].

mod error;
mod headers;
mod trace;
mod tracestate;

use std::time::SystemTime;

use bytes::{BufMut, Bytes, BytesMut};

pub use self::error::EnvelopeError;
pub use self::headers::{Headers, HeadersIter};
pub use self::trace::{TraceContext, TraceError};
pub use self::tracestate::TraceState;
use crate::message::Message;

/// A body and its headers, to be encoded into a message.
///
/// Keys are 1 to 64 characters of `a-z`, `0-9`, `.`, `_` and `-`; values are any text. At most 64 headers, and 32 KiB
/// for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "an envelope is nothing to send before it is encoded"]
pub struct Envelope {
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// What a message has in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded {
    /// The headers; none if there is no envelope.
    pub headers: Headers,
    /// The body, which shares the message's memory.
    pub body: Bytes,
}

impl Envelope {
    /// An envelope without headers.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { headers: Vec::new(), body: body.into() }
    }

    /// Sets a header; one with this key before is replaced. What can't be a header makes [`encode`](Self::encode) fail.
    pub fn header(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let key = key.into();
        self.remove(&key);
        self.headers.push((key, value.into()));
        self
    }

    /// Tells the span that the message comes from: sets the headers `traceparent` and `tracestate`.
    pub fn trace(mut self, trace: &TraceContext) -> Self {
        self.remove(TRACESTATE);
        let this = self.header(TRACEPARENT, trace.to_string());
        if trace.state().is_empty() { this } else { this.header(TRACESTATE, trace.state().to_string()) }
    }

    /// Tells when the message is due: sets the header `deliver-at`. It is kept in milliseconds, rounded up.
    ///
    /// A consumer heeds it if [told to](crate::ConsumerBuilder::deliver_at); to have it delivered then, publish with
    /// [`Producer::publish_at`](crate::Producer::publish_at).
    pub fn deliver_at(self, time: SystemTime) -> Self {
        let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since_epoch.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        self.header(DELIVER_AT, millis.to_string())
    }

    /// The message's bytes.
    ///
    /// # Errors
    ///
    /// When a header can't be one, or there are too many.
    pub fn encode(&self) -> Result<Bytes, EnvelopeError> {
        let block = headers::encode(&self.headers)?;
        let mut message = BytesMut::with_capacity(PROLOGUE + block.len() + self.body.len());
        message.put_slice(MAGIC);
        message.put_u8(VERSION);
        message.put_u16(u16::try_from(block.len()).map_err(|_| EnvelopeError::TooLarge(block.len()))?);
        message.put_slice(&block);
        message.put_slice(&self.body);
        Ok(message.freeze())
    }

    /// Takes a message apart, with an envelope or without. No bytes are copied.
    ///
    /// # Errors
    ///
    /// When the message begins as an envelope does, and isn't one that can be read.
    pub fn decode(message: &Bytes) -> Result<Decoded, EnvelopeError> {
        let Some((version, block, body)) = split(message)? else {
            return Ok(Decoded { headers: Headers::default(), body: message.clone() });
        };
        if version != VERSION {
            return Err(EnvelopeError::Version(version));
        }
        Ok(Decoded { headers: Headers::decode(block)?, body })
    }

    /// Only the body: skips an envelope of any version, for a consumer that has no use for headers.
    ///
    /// # Errors
    ///
    /// When the message ends before its envelope does.
    pub fn strip(message: &Bytes) -> Result<Bytes, EnvelopeError> {
        Ok(split(message)?.map_or_else(|| message.clone(), |(_, _, body)| body))
    }

    fn remove(&mut self, key: &str) {
        self.headers.retain(|(other, _)| other != key);
    }
}

/// A body that has no envelope yet.
impl<T: Into<Bytes>> From<T> for Envelope {
    fn from(body: T) -> Self {
        Self::new(body)
    }
}

impl Message {
    /// What the body has in it: its [envelope](Envelope)'s headers, if there is one, and the body proper.
    ///
    /// # Errors
    ///
    /// When the body begins as an envelope does, and isn't one that can be read.
    pub fn envelope(&self) -> Result<Decoded, EnvelopeError> {
        Envelope::decode(self.body())
    }
}

/// Cuts an envelope into its version, its headers and the body; `None` if there is none. This much is the same in all
/// versions.
fn split(message: &Bytes) -> Result<Option<(u8, Bytes, Bytes)>, EnvelopeError> {
    if !message.starts_with(MAGIC) {
        return Ok(None);
    }
    let Some(&[version, high, low]) = message.get(MAGIC.len()..PROLOGUE) else {
        return Err(EnvelopeError::Truncated);
    };
    let body = PROLOGUE + usize::from(u16::from_be_bytes([high, low]));
    if message.len() < body {
        return Err(EnvelopeError::Truncated);
    }
    Ok(Some((version, message.slice(PROLOGUE..body), message.slice(body..))))
}

/// `0xC1` is in no UTF-8 and begins nothing in MessagePack.
const MAGIC: &[u8; 4] = b"\xC1NSQ";
const VERSION: u8 = 1;
/// Magic, version, and the length of the headers.
const PROLOGUE: usize = MAGIC.len() + 1 + 2;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const DELIVER_AT: &str = "deliver-at";

#[cfg(test)]
mod tests;
