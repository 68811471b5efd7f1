//! Raw deflate (RFC 1951), flushed after each piece.

use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{CompressError, Progress};

#[derive(Debug)]
pub(super) struct Deflate {
    compress: Compress,
    decompress: Decompress,
    /// The peer's stream is complete.
    ended: bool,
}

impl Deflate {
    pub(super) fn new(level: i32) -> Self {
        let level = Compression::new(level.clamp(1, 9).unsigned_abs());
        Self { compress: Compress::new(level, false), decompress: Decompress::new(false), ended: false }
    }

    pub(super) fn compress(&mut self, mut input: &[u8], out: &mut BytesMut) {
        loop {
            let start = out.len();
            let room = (input.len() + FLUSH_ROOM).min(LARGEST_STEP);
            out.resize(start + room, 0);
            let (before_in, before_out) = (self.compress.total_in(), self.compress.total_out());
            self.compress
                .compress(input, &mut out[start..], FlushCompress::Sync)
                .expect("no flush but the last is refused, and that one isn't asked for");
            input = &input[moved(before_in, self.compress.total_in())..];
            let written = moved(before_out, self.compress.total_out());
            out.truncate(start + written);
            // Only a flush that is complete leaves room.
            if written < room {
                return;
            }
        }
    }

    pub(super) fn decompress(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        mut limit: usize,
    ) -> Result<Progress, CompressError> {
        let mut step = input.len().saturating_mul(4).max(SMALLEST_STEP);
        loop {
            if self.ended {
                return if input.is_empty() { Ok(Progress::Starved) } else { Err(CompressError::BehindEnd) };
            }
            if limit == 0 {
                return Ok(Progress::Full);
            }
            let start = out.len();
            let room = limit.min(step).min(LARGEST_STEP);
            out.resize(start + room, 0);
            let (before_in, before_out) = (self.decompress.total_in(), self.decompress.total_out());
            let result = self.decompress.decompress(input, &mut out[start..], FlushDecompress::None);
            let written = moved(before_out, self.decompress.total_out());
            out.truncate(start + written);
            input.advance(moved(before_in, self.decompress.total_in()));
            limit -= written;
            let status = result.map_err(|error| {
                let text = error.message().unwrap_or("it is not in the format");
                CompressError::Deflate(text.to_owned())
            })?;
            self.ended = status == Status::StreamEnd;
            // What fills the room may have more behind it, also if the input is used up.
            if written < room && !self.ended {
                return Ok(Progress::Starved);
            }
            step = room.saturating_mul(2);
        }
    }
}

/// By how much one of the counters has gone on in one step, which is bounded by a slice's length.
fn moved(before: u64, after: u64) -> usize {
    usize::try_from(after - before).expect("no more than a slice holds")
}

/// A flush takes 5 bytes, and needs more than 6 to know that it is complete; what can't be compressed grows a little.
const FLUSH_ROOM: usize = 64;

/// Room is zeroed before it is written to: little for a heartbeat.
const SMALLEST_STEP: usize = 256;
/// More at once makes it no faster.
const LARGEST_STEP: usize = 32 * 1024;
