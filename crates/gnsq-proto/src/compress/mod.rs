//! How bytes travel compressed, in both directions: transforms that are given bytes as they come, and hold none back.
//!
//! A [`Codec`] has a state for either direction, which lasts as long as the connection. The caller's duties:
//!
//! 1. What [`Codec::compress`] appends to its output is sent, in order and as a whole.
//! 2. After bytes have arrived: call [`Codec::decompress`] until it says [`Progress::Starved`]. It may say
//!    [`Progress::Full`] also when the input is used up; then it is called again before more is read.
//! 3. An error is final.

#[cfg(feature = "deflate")]
mod deflate;
mod error;
#[cfg(feature = "snappy")]
mod snappy;

use bytes::BytesMut;

pub use self::error::CompressError;

/// Compresses what is sent on a connection, and decompresses what is received.
///
/// ```
/// use bytes::BytesMut;
/// use gnsq_proto::compress::{Codec, Progress};
///
/// # #[cfg(feature = "deflate")] {
/// let (mut here, mut there) = (Codec::deflate(6), Codec::deflate(1));
/// let (mut wire, mut received) = (BytesMut::new(), BytesMut::new());
/// here.compress(b"PUB orders\n", &mut wire);
/// let progress = there.decompress(&mut wire, &mut received, 1024)?;
/// assert_eq!((progress, &received[..]), (Progress::Starved, &b"PUB orders\n"[..]));
/// # }
/// # Ok::<(), gnsq_proto::compress::CompressError>(())
/// ```
#[derive(Debug)]
pub struct Codec(Kind);

#[derive(Debug)]
enum Kind {
    #[cfg(feature = "deflate")]
    Deflate(Box<deflate::Deflate>),
    #[cfg(feature = "snappy")]
    Snappy(Box<snappy::Snappy>),
}

/// Why [`Codec::decompress`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// All that the input held has been delivered: there is nothing to do before more input comes.
    Starved,
    /// The limit is reached. There may be more, of what is left of the input or of what is already taken from it.
    Full,
}

impl Codec {
    /// Snappy's framing format.
    #[cfg(feature = "snappy")]
    pub fn snappy() -> Self {
        Self(Kind::Snappy(Box::new(snappy::Snappy::new())))
    }

    /// Raw deflate, without the header of zlib or gzip. `level`: 1 to 9; what is beyond counts as the nearest.
    /// What comes in may have any level.
    #[cfg(feature = "deflate")]
    pub fn deflate(level: i32) -> Self {
        Self(Kind::Deflate(Box::new(deflate::Deflate::new(level))))
    }

    /// Appends to `out` what stands for `input`, complete: the peer can read all of it without what comes later.
    pub fn compress(&mut self, input: &[u8], out: &mut BytesMut) {
        // Nothing but a flush would cost bytes and tell nothing.
        if input.is_empty() {
            return;
        }
        match &mut self.0 {
            #[cfg(feature = "deflate")]
            Kind::Deflate(codec) => codec.compress(input, out),
            #[cfg(feature = "snappy")]
            Kind::Snappy(codec) => codec.compress(input, out),
        }
    }

    /// Takes what it can use from the front of `input`, and appends what it stands for to `out`: `limit` bytes at the
    /// most, so that a few bytes that stand for gigabytes can't fill the memory.
    ///
    /// What is left in `input` at [`Progress::Starved`] is the beginning of something, and less than 80 KB.
    ///
    /// # Errors
    ///
    /// When the input is not in the format. What came before the fault may stand in `out`.
    pub fn decompress(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        limit: usize,
    ) -> Result<Progress, CompressError> {
        match &mut self.0 {
            #[cfg(feature = "deflate")]
            Kind::Deflate(codec) => codec.decompress(input, out, limit),
            #[cfg(feature = "snappy")]
            Kind::Snappy(codec) => codec.decompress(input, out, limit),
        }
    }
}
