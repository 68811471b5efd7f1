//! Why bytes can't be decompressed.

use thiserror::Error;

/// What arrived is not in the format that was agreed on, or was damaged on its way.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompressError {
    /// A snappy stream doesn't begin with its identifier.
    #[cfg(feature = "snappy")]
    #[error("the stream doesn't begin with snappy's identifier: the peer speaks something else")]
    NoIdentifier,
    /// A snappy stream's identifier is another one.
    #[cfg(feature = "snappy")]
    #[error("the stream's identifier is not snappy's: the peer speaks something else")]
    WrongIdentifier,
    /// A chunk of a snappy stream, of a type that is reserved and must not be skipped.
    #[cfg(feature = "snappy")]
    #[error("a snappy chunk has the type {0:#04x}, which nobody can read")]
    UnknownChunk(u8),
    /// A chunk of a snappy stream that is too large or too small for its type.
    #[cfg(feature = "snappy")]
    #[error("a snappy chunk of the type {kind:#04x} can't have {len} bytes")]
    ChunkSize {
        /// The chunk's type.
        kind: u8,
        /// The bytes behind its header.
        len: usize,
    },
    /// A chunk of a snappy stream whose contents can't be read.
    #[cfg(feature = "snappy")]
    #[error("a snappy chunk is damaged: {0}")]
    Snappy(String),
    /// A chunk of a snappy stream whose contents don't fit its checksum.
    #[cfg(feature = "snappy")]
    #[error("a snappy chunk is damaged: its checksum is {found:#010x} instead of {expected:#010x}")]
    Checksum {
        /// What the chunk says, masked as the format has it.
        expected: u32,
        /// The same of its contents.
        found: u32,
    },
    /// Deflated bytes that can't be read.
    #[cfg(feature = "deflate")]
    #[error("the deflated stream is damaged: {0}")]
    Deflate(String),
    /// Bytes behind the end of a deflated stream.
    #[cfg(feature = "deflate")]
    #[error("there are bytes behind the end of the deflated stream")]
    BehindEnd,
}
