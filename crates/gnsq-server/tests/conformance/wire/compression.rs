//! The two compressions of a connection.

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

/// What lies between the socket and the protocol.
pub(super) enum Compression {
    None,
    /// Raw deflate, flushed after each write.
    Deflate(Box<Deflate>),
    /// The snappy framing format; a chunk that has not arrived in full waits.
    Snappy {
        waiting: Vec<u8>,
        began: bool,
    },
}

pub(super) struct Deflate {
    out: Compress,
    input: Decompress,
}

impl Compression {
    pub(super) fn deflate() -> Self {
        let out = Compress::new(flate2::Compression::fast(), false);
        Self::Deflate(Box::new(Deflate { out, input: Decompress::new(false) }))
    }

    pub(super) fn snappy() -> Self {
        Self::Snappy { waiting: Vec::new(), began: false }
    }

    pub(super) fn compress(&mut self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::None => bytes.to_vec(),
            Self::Deflate(deflate) => {
                let mut compressed = Vec::with_capacity(bytes.len() + 1024);
                let status = deflate.out.compress_vec(bytes, &mut compressed, FlushCompress::Sync).unwrap();
                assert!(status == Status::Ok && compressed.len() < compressed.capacity(), "the room has sufficed");
                compressed
            }
            Self::Snappy { began, .. } => {
                let mut chunks = if *began { Vec::new() } else { STREAM_IDENTIFIER.to_vec() };
                *began = true;
                for part in bytes.chunks(MAX_CHUNK) {
                    let compressed = snap::raw::Encoder::new().compress_vec(part).unwrap();
                    chunks.extend(chunk(COMPRESSED, part, &compressed));
                }
                chunks
            }
        }
    }

    /// Takes what came from the socket and adds to `decompressed` what it stands for.
    pub(super) fn decompress(&mut self, received: &[u8], decompressed: &mut Vec<u8>) {
        match self {
            Self::None => decompressed.extend(received),
            Self::Deflate(deflate) => {
                let input = &mut deflate.input;
                let start = input.total_in();
                loop {
                    let taken = usize::try_from(input.total_in() - start).unwrap();
                    decompressed.reserve(16 * 1024);
                    let before = decompressed.len();
                    input.decompress_vec(&received[taken..], decompressed, FlushDecompress::Sync).unwrap();
                    let all_taken = usize::try_from(input.total_in() - start).unwrap() == received.len();
                    if all_taken && decompressed.len() < decompressed.capacity() {
                        break;
                    }
                    assert!(!all_taken || decompressed.len() > before, "deflate makes no progress");
                }
            }
            Self::Snappy { waiting, .. } => {
                waiting.extend(received);
                while let Some((kind, data, length)) = next_chunk(waiting) {
                    match kind {
                        IDENTIFIER => assert_eq!(data, b"sNaPpY"),
                        COMPRESSED | UNCOMPRESSED => {
                            let (checksum, data) = data.split_first_chunk().unwrap();
                            let data = match kind {
                                COMPRESSED => snap::raw::Decoder::new().decompress_vec(data).unwrap(),
                                _ => data.to_vec(),
                            };
                            assert!(data.len() <= MAX_CHUNK, "a chunk of {} bytes", data.len());
                            assert_eq!(u32::from_le_bytes(*checksum), masked_checksum(&data));
                            decompressed.extend(data);
                        }
                        0x80..=0xfe => {}
                        _ => panic!("a chunk of type {kind}"),
                    }
                    waiting.drain(..length);
                }
            }
        }
    }
}

/// The type, the data and the whole length of the first chunk, if it has arrived in full.
fn next_chunk(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let &[kind, low, middle, high] = bytes.first_chunk()?;
    let length = 4 + usize::try_from(u32::from_le_bytes([low, middle, high, 0])).unwrap();
    Some((kind, bytes.get(4..length)?, length))
}

fn chunk(kind: u8, data: &[u8], stored: &[u8]) -> Vec<u8> {
    let length = u32::try_from(4 + stored.len()).unwrap().to_le_bytes();
    [&[kind], &length[..3], &masked_checksum(data).to_le_bytes(), stored].concat()
}

fn masked_checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

const COMPRESSED: u8 = 0;
const UNCOMPRESSED: u8 = 1;
const IDENTIFIER: u8 = 0xff;
const STREAM_IDENTIFIER: &[u8] = b"\xff\x06\x00\x00sNaPpY";
/// The most that a chunk may stand for.
const MAX_CHUNK: usize = 65536;
