//! Why a connection ends, and what that means for those who wait on it.

use std::time::Duration;

use thiserror::Error;

use crate::error::ServerError;
use crate::frame::FrameError;

/// Why a connection can't go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The bytes received are no frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// nsqd sent an error after which it closes the connection.
    #[error("nsqd ended the connection: {0}")]
    Server(ServerError),
    /// An answer that fits nothing that was asked.
    #[error("nsqd answered {answer:?} to {asked}")]
    UnexpectedResponse {
        /// The beginning of the answer.
        answer: String,
        /// What the oldest open question was.
        asked: &'static str,
    },
    /// The answer to IDENTIFY can't be read.
    #[error("nsqd's answer to IDENTIFY is no such JSON: {0}")]
    IdentifyResponse(String),
    /// A feature was asked for and nsqd does without: the connection must not go on in clear text.
    #[error("nsqd declines {0}, which was asked for: enable it there, or don't ask for it")]
    Declined(&'static str),
    /// Bytes in clear text behind the point where TLS begins.
    #[error("nsqd sent clear text where TLS begins: the connection can't be trusted")]
    ClearText,
    /// Nothing came for two heartbeat intervals.
    #[error("nsqd has been silent for {0:?}, two heartbeat intervals: the connection counts as dead")]
    Silent(Duration),
}

/// A command that can't be sent now. nsqd would answer `E_INVALID` and close the connection, so it isn't sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{command} can't be sent {state}")]
pub struct StateError {
    pub(super) command: &'static str,
    pub(super) state: &'static str,
}

impl StateError {
    /// `command` can't be sent in a `state` such as "after CLS".
    pub fn new(command: &'static str, state: &'static str) -> Self {
        Self { command, state }
    }
}

/// A command that can't be sent now, with the one who would have waited for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct Rejected<W> {
    /// Why it wasn't sent.
    pub reason: StateError,
    /// The waiter that was handed in.
    pub waiter: W,
}

impl<W> From<Rejected<W>> for StateError {
    fn from(rejected: Rejected<W>) -> Self {
        rejected.reason
    }
}

/// What became of a command whose connection ended before its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// nsqd refused it with this error.
    Refused(ServerError),
    /// nsqd did not carry it out: it was not sent as a whole, or stood behind a command that ended the connection.
    NotSent,
    /// It was sent; whether nsqd has carried it out can't be known.
    Unknown,
}
