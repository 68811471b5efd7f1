//! The codecs: what was compressed is read again, however it is cut on the way, nothing is held back, and whatever else
//! arrives ends in an error before it takes memory.

#![cfg(any(feature = "snappy", feature = "deflate"))]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[cfg(feature = "deflate")]
mod deflate;
#[cfg(feature = "snappy")]
mod snappy;

use bytes::BytesMut;
use gnsq_proto::compress::{Codec, CompressError, Progress};
use proptest::collection::vec;
use proptest::prelude::*;

/// Hands `wire` to `codec` in pieces of the sizes given, over and over, with the limits given, over and over.
fn receive(codec: &mut Codec, wire: &[u8], sizes: &[usize], limits: &[usize]) -> Result<Vec<u8>, CompressError> {
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    let mut limits = limits.iter().cycle();
    let mut rest = wire;
    for size in sizes.iter().cycle() {
        let (piece, behind) = rest.split_at((*size).min(rest.len()));
        rest = behind;
        input.extend_from_slice(piece);
        loop {
            let (limit, before) = (*limits.next().unwrap(), out.len());
            let progress = codec.decompress(&mut input, &mut out, limit)?;
            assert!(out.len() - before <= limit, "more than the limit");
            if progress == Progress::Starved {
                break;
            }
            assert_eq!(out.len() - before, limit, "full before the limit");
        }
        assert!(input.len() < 80_000, "{} bytes are held", input.len());
        if rest.is_empty() {
            break;
        }
    }
    Ok(out.to_vec())
}

/// Text-like, random or empty, small or of several chunks.
fn data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..300),
        vec(0..3_u8, 0..3000),
        (any::<u64>(), 0..200_000_usize, any::<bool>()).prop_map(|(seed, len, random)| {
            let mut rng = Rng(seed);
            let range = if random { 256 } else { 4 };
            (0..len).map(|_| u8::try_from(rng.next() % range).unwrap()).collect()
        }),
    ]
}

/// Enough randomness for bytes that can't be compressed.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1..20_usize, 1..5), vec(1..100_000_usize, 1..5)]
}

/// Small limits are for small data: a million calls prove no more than a thousand.
fn limits() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![100..1000_usize, 1000..200_000_usize], 1..5)
}

/// Each flush, received as a whole, brings all that was compressed before it.
fn each_flush_is_delivered(mut here: Codec, mut there: Codec, pieces: &[Vec<u8>], sizes: &[usize], limits: &[usize]) {
    for piece in pieces {
        let mut wire = BytesMut::new();
        here.compress(piece, &mut wire);
        // Deflate's quickest level makes what is random a twentieth longer.
        assert!(wire.len() <= piece.len() + piece.len() / 16 + 100, "{} became {}", piece.len(), wire.len());
        assert!(receive(&mut there, &wire, sizes, limits).unwrap() == *piece);
    }
}

/// Whatever arrives, it ends, within bounds.
fn garbage_is_refused_or_read(mut codec: Codec, wire: &[u8], sizes: &[usize], limits: &[usize]) {
    let _ = receive(&mut codec, wire, sizes, limits);
}
