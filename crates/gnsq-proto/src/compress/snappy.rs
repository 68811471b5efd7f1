//! Snappy's framing format: chunks of at most 64 KiB, each with a checksum.

use bytes::{Buf, BufMut, BytesMut};
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{CompressError, Progress};

pub(super) struct Snappy {
    encoder: Encoder,
    decoder: Decoder,
    /// The identifier has been sent.
    sent_identifier: bool,
    /// The peer's has come.
    got_identifier: bool,
    /// How many bytes of a chunk that doesn't matter are still to come.
    skip: usize,
    /// What is left of a chunk that was beyond the limit.
    rest: BytesMut,
}

impl Snappy {
    pub(super) fn new() -> Self {
        Self {
            encoder: Encoder::new(),
            decoder: Decoder::new(),
            sent_identifier: false,
            got_identifier: false,
            skip: 0,
            rest: BytesMut::new(),
        }
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut BytesMut) {
        if !self.sent_identifier {
            self.sent_identifier = true;
            out.put_slice(IDENTIFIER_CHUNK);
        }
        for piece in input.chunks(MAX_DATA) {
            self.compress_chunk(piece, out);
        }
    }

    fn compress_chunk(&mut self, data: &[u8], out: &mut BytesMut) {
        let start = out.len();
        out.put_bytes(0, HEADER + CHECKSUM + max_compress_len(data.len()));
        let body = start + HEADER + CHECKSUM;
        let compressed = self
            .encoder
            .compress(data, &mut out[body..])
            .expect("a chunk is small enough for snappy, and the room is what snappy asks for");
        // What saves less than an eighth isn't worth the peer's time.
        let (kind, len) = if compressed < data.len() - data.len() / 8 {
            (COMPRESSED, compressed)
        } else {
            out[body..body + data.len()].copy_from_slice(data);
            (UNCOMPRESSED, data.len())
        };
        out.truncate(body + len);
        let size = u32::try_from(CHECKSUM + len).expect("a chunk has 64 KiB and a little at the most");
        out[start] = kind;
        out[start + 1..start + HEADER].copy_from_slice(&size.to_le_bytes()[..3]);
        out[start + HEADER..body].copy_from_slice(&masked_checksum(data).to_le_bytes());
    }

    pub(super) fn decompress(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        mut limit: usize,
    ) -> Result<Progress, CompressError> {
        loop {
            let part = self.rest.len().min(limit);
            out.put_slice(&self.rest[..part]);
            self.rest.advance(part);
            limit -= part;
            if limit == 0 {
                return Ok(Progress::Full);
            }
            let skip = self.skip.min(input.len());
            input.advance(skip);
            self.skip -= skip;
            if self.skip > 0 {
                return Ok(Progress::Starved);
            }
            let Some((kind, len)) = self.header(input)? else { return Ok(Progress::Starved) };
            if matches!(kind, SKIPPABLE..=PADDING) {
                input.advance(HEADER);
                self.skip = len;
                continue;
            }
            if input.len() < HEADER + len {
                return Ok(Progress::Starved);
            }
            limit -= self.chunk(kind, &input[HEADER..HEADER + len], out, limit)?;
            input.advance(HEADER + len);
        }
    }

    /// The type and length of the next chunk, if its header is there. What can't be read is refused as soon as that is
    /// known, so that nobody waits for the rest of it.
    fn header(&self, input: &[u8]) -> Result<Option<(u8, usize)>, CompressError> {
        let Some(&kind) = input.first() else { return Ok(None) };
        if !self.got_identifier && kind != IDENTIFIER {
            return Err(CompressError::NoIdentifier);
        }
        if matches!(kind, FIRST_RESERVED..SKIPPABLE) {
            return Err(CompressError::UnknownChunk(kind));
        }
        let &[_, low, middle, high, ..] = input else { return Ok(None) };
        let len = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        let fits = match kind {
            COMPRESSED => (CHECKSUM + 1..=CHECKSUM + max_compress_len(MAX_DATA)).contains(&len),
            UNCOMPRESSED => (CHECKSUM..=CHECKSUM + MAX_DATA).contains(&len),
            IDENTIFIER => len == IDENTIFIER_CHUNK.len() - HEADER,
            _ => true,
        };
        if fits { Ok(Some((kind, len))) } else { Err(CompressError::ChunkSize { kind, len }) }
    }

    /// Reads a complete chunk; returns how many bytes it has appended to `out`. What is beyond the limit becomes `rest`,
    /// which is empty.
    fn chunk(&mut self, kind: u8, data: &[u8], out: &mut BytesMut, limit: usize) -> Result<usize, CompressError> {
        if kind == IDENTIFIER {
            if data != &IDENTIFIER_CHUNK[HEADER..] {
                return Err(CompressError::WrongIdentifier);
            }
            self.got_identifier = true;
            return Ok(0);
        }
        let (checksum, data) = data.split_at(CHECKSUM);
        let expected = u32::from_le_bytes(checksum.try_into().expect("split there"));
        let damaged = |error: snap::Error| CompressError::Snappy(error.to_string());
        let len = if kind == UNCOMPRESSED { data.len() } else { decompress_len(data).map_err(damaged)? };
        if len > MAX_DATA {
            return Err(CompressError::Snappy(format!("it stands for {len} bytes")));
        }
        let fits = len <= limit;
        let target = if fits { out } else { &mut self.rest };
        let start = target.len();
        if kind == UNCOMPRESSED {
            target.put_slice(data);
        } else {
            target.put_bytes(0, len);
            if let Err(error) = self.decoder.decompress(data, &mut target[start..]) {
                target.truncate(start);
                return Err(damaged(error));
            }
        }
        let found = masked_checksum(&target[start..]);
        if found != expected {
            target.truncate(start);
            return Err(CompressError::Checksum { expected, found });
        }
        Ok(if fits { len } else { 0 })
    }
}

impl std::fmt::Debug for Snappy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What travels may be a secret.
        f.debug_struct("Snappy").field("skip", &self.skip).field("rest", &self.rest.len()).finish_non_exhaustive()
    }
}

/// The checksum of data that itself may hold checksums, as the format has it.
fn masked_checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// How much data a chunk may stand for.
const MAX_DATA: usize = 64 * 1024;

/// The type, and the length in three bytes.
const HEADER: usize = 4;
const CHECKSUM: usize = 4;

const COMPRESSED: u8 = 0x00;
const UNCOMPRESSED: u8 = 0x01;
/// From here to `SKIPPABLE`: what a reader must know, and nobody does yet.
const FIRST_RESERVED: u8 = 0x02;
/// From here to `PADDING`: what a reader may skip.
const SKIPPABLE: u8 = 0x80;
const PADDING: u8 = 0xfe;
const IDENTIFIER: u8 = 0xff;
const IDENTIFIER_CHUNK: &[u8] = b"\xff\x06\0\0sNaPpY";
