//! Snappy and deflate: bytes of a stranger out of a compressed stream.

#![no_main]

use bytes::BytesMut;
use gnsq_fuzz::Cuts;
use gnsq_proto::compress::{Codec, CompressError, Progress};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((cuts, data)) = Cuts::split(data) else { return };
    let Some((&[kind, limit], data)) = data.split_first_chunk() else { return };
    let codec = || if kind & 1 == 0 { Codec::snappy() } else { Codec::deflate(i32::from(kind >> 4)) };
    if kind & 2 == 0 {
        decompress(codec, data, &cuts, usize::from(limit) * 64 + 1);
    } else {
        round_trip(codec, data, &cuts, usize::from(limit) + 1);
    }
});

/// A stranger's bytes: however they come, they are the same bytes or an error, and never more at once than allowed.
fn decompress(codec: impl Fn() -> Codec, stream: &[u8], cuts: &Cuts, limit: usize) {
    let (whole, error) = run(&mut codec(), stream, &Cuts::NONE, 64 * 1024);
    let (cut, error_of_cut) = run(&mut codec(), stream, cuts, limit);
    if whole.len() >= ENOUGH || cut.len() >= ENOUGH {
        return;
    }
    // What came before a fault may be there or not.
    assert_eq!(error.is_some(), error_of_cut.is_some(), "{error:?} or {error_of_cut:?}");
    let common = whole.len().min(cut.len());
    assert_eq!(whole[..common], cut[..common]);
    assert!(error.is_some() || whole.len() == cut.len());
}

/// What one side compresses, in pieces, the other side has at once, piece by piece.
fn round_trip(codec: impl Fn() -> Codec, data: &[u8], cuts: &Cuts, limit: usize) {
    let (mut here, mut there) = (codec(), codec());
    for piece in cuts.pieces(data) {
        let mut wire = BytesMut::new();
        here.compress(piece, &mut wire);
        let (received, error) = run(&mut there, &wire, cuts, limit);
        assert_eq!((&received[..], error), (piece, None));
    }
}

fn run(codec: &mut Codec, stream: &[u8], cuts: &Cuts, limit: usize) -> (BytesMut, Option<CompressError>) {
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    for piece in cuts.pieces(stream) {
        input.extend_from_slice(piece);
        loop {
            let before = (input.len(), out.len());
            let result = codec.decompress(&mut input, &mut out, limit);
            let grown = out.len() - before.1;
            assert!(grown <= limit, "{grown} bytes at once, of {limit}");
            assert!(input.len() <= before.0);
            match result {
                Ok(Progress::Starved) => break,
                Ok(Progress::Full) => assert_eq!(grown, limit),
                Err(error) => return (out, Some(error)),
            }
            if out.len() >= ENOUGH {
                return (out, None);
            }
        }
        assert!(input.len() < MAX_LEFT, "{} bytes are left", input.len());
    }
    (out, None)
}

/// A few bytes may stand for very many; what matters has shown by then.
const ENOUGH: usize = 1024 * 1024;

/// What may be left of an incomplete chunk.
const MAX_LEFT: usize = 80_000;
