//! Why something is no envelope.

use thiserror::Error;

use super::headers::{MAX_BYTES, MAX_COUNT, MAX_KEY};

/// Why an envelope can't be written or read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The message ends before its envelope does.
    #[error("the message begins with an envelope's magic and ends before the envelope does")]
    Truncated,
    /// A newer version of the format, whose headers mean something else.
    #[error("the envelope has version {0}, and this program knows version 1: update it, or skip the headers")]
    Version(u8),
    /// A key that can't be one.
    #[error("{0:?} can't be a header's key: give 1 to {MAX_KEY} characters of a-z, 0-9, '.', '_' and '-'")]
    Key(String),
    /// Two headers with one key.
    #[error("the header {0} comes twice")]
    Repeated(String),
    /// A value that can't be one.
    #[error("the header {key} can't be used: {reason}")]
    Value {
        /// The header's key.
        key: String,
        /// What is wrong with its value.
        reason: &'static str,
    },
    /// More than 64 headers.
    #[error("an envelope has at most {MAX_COUNT} headers, not {0}")]
    TooMany(usize),
    /// More than 32 KiB of headers.
    #[error("an envelope has at most {MAX_BYTES} bytes of headers, not {0}")]
    TooLarge(usize),
}
