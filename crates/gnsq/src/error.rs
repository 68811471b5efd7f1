//! What can go wrong, told so that a caller can act on it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use gnsq_proto::connection::{ConnectionError, StateError};
use gnsq_proto::{ErrorCode, LimitError, MessageId, NameError, ServerError};

use crate::address::{Address, AddressError};
use crate::envelope::EnvelopeError;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error of this crate's TCP clients. Cheap enough to clone: one cause can end many operations.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A topic or channel name that NSQ refuses. Nothing was sent.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A text that is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A message or delay that is over a limit. Nothing was sent.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A message that can't be put into an envelope. Nothing was sent.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// An option whose value can't be used.
    #[error("option {option}: {reason}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// A command that the connection can't take now. Nothing was sent.
    #[error(transparent)]
    State(#[from] StateError),
    /// No connection could be made.
    #[error("can't connect to {address}: {source}")]
    Connect {
        /// The nsqd.
        address: Address,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The socket failed, or nsqd closed it.
    #[error("the connection to {address} is lost: {source}")]
    Io {
        /// The nsqd.
        address: Address,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// One of the two sides doesn't trust the other, or can't agree with it on TLS.
    #[cfg(feature = "tls")]
    #[error("TLS with {address} failed: {source}{}", crate::tls::advice(.source))]
    Tls {
        /// The nsqd.
        address: Address,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The connection was ended because of what nsqd sent, or did not send.
    #[error("the connection to {address} had to end: {source}")]
    Connection {
        /// The nsqd.
        address: Address,
        /// Why.
        source: ConnectionError,
    },
    /// nsqd requires AUTH, and there is no secret to give.
    #[error("{address} requires AUTH: this client has no secret to give")]
    AuthRequired {
        /// The nsqd.
        address: Address,
    },
    /// nsqd refused a command with this error.
    #[error("{address} refused: {source}")]
    Refused {
        /// The nsqd.
        address: Address,
        /// Its error.
        source: ServerError,
    },
    /// The connection ended before the answer came.
    #[error(
        "{} {address}: {cause}",
        if *.sent { "sent, but whether it was carried out is unknown, to" } else { "not carried out by" }
    )]
    Lost {
        /// The nsqd.
        address: Address,
        /// Whether nsqd may have carried it out. If not, it can safely be sent again.
        sent: bool,
        /// Why the connection ended.
        cause: Box<Error>,
    },
    /// No answer within the time allowed.
    #[error("no answer within {after:?}{}", if *.sent { ": sent, but whether it was carried out is unknown" } else { ", and not sent" })]
    Timeout {
        /// The time allowed.
        after: Duration,
        /// Whether nsqd may have carried it out, or still will. If not, it can safely be sent again.
        sent: bool,
    },
    /// No nsqd could be reached within the time allowed. Nothing was sent.
    #[error(
        "no nsqd is connected{}{}",
        if .after.is_zero() { String::new() } else { format!(" after {after:?}") },
        with_last(.last.as_deref()),
    )]
    NoConnections {
        /// The time allowed; zero where it was chosen to [wait for none](crate::WhenDisconnected::FailFast).
        after: Duration,
        /// The last failure, if there was one.
        last: Option<Box<Error>>,
    },
    /// No nsqd is connected, and as many publishes as [may](crate::WhenDisconnected::Buffer) wait for one already.
    /// Nothing was sent.
    #[error(
        "no nsqd is connected, and there is no room among the {messages} messages and {bytes} bytes that may wait for one{}",
        with_last(.last.as_deref()),
    )]
    BufferFull {
        /// How many messages may wait.
        messages: usize,
        /// How many bytes they may have.
        bytes: usize,
        /// The last failure, if there was one.
        last: Option<Box<Error>>,
    },
    /// A flush took longer than it may.
    #[error("{outstanding} publishes have no outcome after {after:?}")]
    FlushTimeout {
        /// The time allowed.
        after: Duration,
        /// How many publishes have no outcome yet.
        outstanding: usize,
    },
    /// The message's time is over, and nsqd gives it to someone else: what was done with it may be done again.
    #[error("message {id} has timed out: nsqd delivers it again")]
    Expired {
        /// The message.
        id: MessageId,
    },
    /// A call that waits was made on the thread that does the I/O, in a signal's receiver: it would wait for itself.
    /// Nothing was done.
    #[cfg(feature = "blocking")]
    #[error("the thread that does the I/O can't wait for it: make this call on another thread")]
    WouldBlock,
    /// This client was closed.
    #[error("the client is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later, or elsewhere, without a change of its arguments.
    ///
    /// After an error whose [outcome is unknown](Self::outcome_unknown), trying again may do the work twice.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Io { .. }
            | Self::Lost { .. }
            | Self::Timeout { .. }
            | Self::NoConnections { .. }
            | Self::BufferFull { .. }
            | Self::FlushTimeout { .. }
            | Self::Expired { .. } => true,
            Self::Connection { source, .. } => match source {
                ConnectionError::Server(error) => error.code().is_retryable(),
                ConnectionError::Silent(_) => true,
                _ => false,
            },
            Self::Refused { source, .. } => source.code().is_retryable(),
            _ => false,
        }
    }

    /// Whether time ran out.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::FlushTimeout { .. } | Self::Expired { .. } => true,
            Self::NoConnections { after, .. } => !after.is_zero(),
            Self::Connect { source, .. } | Self::Io { source, .. } => source.kind() == io::ErrorKind::TimedOut,
            Self::Connection { source, .. } => matches!(source, ConnectionError::Silent(_)),
            _ => false,
        }
    }

    /// Whether a publish that ended with this error may have been carried out nevertheless: nsqd's answer got
    /// lost, or it failed in the middle of several messages.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Lost { sent, .. } | Self::Timeout { sent, .. } => *sent,
            Self::Refused { source, .. } => *source.code() == ErrorCode::MpubFailed,
            _ => false,
        }
    }
}

fn with_last(last: Option<&Error>) -> String {
    last.map(|last| format!(", last: {last}")).unwrap_or_default()
}

/// Names and addresses that are parsed already can't fail.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
