//! Raw deflate.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::*;

#[test]
fn a_bomb_goes_off_in_small_parts() {
    let mut bomb = BytesMut::new();
    let mut here = Codec::deflate(9);
    let zeros = vec![0; 64 << 20];
    here.compress(&zeros, &mut bomb);
    assert!(bomb.len() < 100_000);
    let (mut there, mut out, mut total) = (Codec::deflate(1), BytesMut::new(), 0);
    while there.decompress(&mut bomb, &mut out, 100_000).unwrap() == Progress::Full {
        assert_eq!(out.len(), 100_000);
        total += out.len();
        out.clear();
    }
    assert_eq!(total + out.len(), zeros.len());
    assert!(out.capacity() <= 200_000, "{}", out.capacity());
}

#[test]
fn what_stands_behind_the_end_is_refused() {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"the last").unwrap();
    let whole = encoder.finish().unwrap();
    let mut codec = Codec::deflate(6);
    assert_eq!(receive(&mut codec, &whole, &[3], &[1]).unwrap(), b"the last");
    assert_eq!(receive(&mut codec, b"x", &[1], &[1]), Err(CompressError::BehindEnd));
}

#[test]
fn zlib_and_gzip_are_no_raw_deflate() {
    for header in [&b"\x78\x9c\x03\0\0\0\0\x01"[..], b"\x1f\x8b\x08\0\0\0\0\0\0\xff"] {
        let result = receive(&mut Codec::deflate(6), header, &[100], &[100]);
        assert!(matches!(result, Err(CompressError::Deflate(_))), "{result:?}");
    }
}

#[test]
fn every_level_can_be_read() {
    let text = b"which level it was doesn't matter to the one who reads".repeat(1000);
    for level in [i32::MIN, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, i32::MAX] {
        let mut wire = BytesMut::new();
        Codec::deflate(level).compress(&text, &mut wire);
        assert!(wire.len() < text.len() / 10);
        assert!(receive(&mut Codec::deflate(1), &wire, &[997], &[997]).unwrap() == text);
    }
}

#[test]
fn nothing_costs_nothing() {
    let mut wire = BytesMut::new();
    Codec::deflate(6).compress(b"", &mut wire);
    assert!(wire.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_deflated_is_inflated(pieces in vec(data(), 1..4), level in 1..=9, sizes in sizes(), limits in limits()) {
        each_flush_is_delivered(Codec::deflate(level), Codec::deflate(6), &pieces, &sizes, &limits);
    }

    #[test]
    fn another_reader_reads_it(pieces in vec(data(), 1..4)) {
        let (mut codec, mut wire) = (Codec::deflate(6), BytesMut::new());
        for piece in &pieces {
            codec.compress(piece, &mut wire);
        }
        let expected = pieces.concat();
        let mut read = vec![0; expected.len()];
        // What was flushed can be read although the stream has no end.
        DeflateDecoder::new(&wire[..]).read_exact(&mut read).unwrap();
        prop_assert!(read == expected);
    }

    #[test]
    fn what_another_writer_wrote_is_read(pieces in vec(data(), 1..4), level in 0..=9_u32, sizes in sizes(), limits in limits()) {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
        for piece in &pieces {
            encoder.write_all(piece).unwrap();
            encoder.flush().unwrap();
        }
        let wire = encoder.finish().unwrap();
        prop_assert!(receive(&mut Codec::deflate(6), &wire, &sizes, &limits).unwrap() == pieces.concat());
    }

    #[test]
    fn garbage_ends(wire in data(), sizes in sizes(), limits in limits()) {
        garbage_is_refused_or_read(Codec::deflate(6), &wire, &sizes, &limits);
    }

    #[test]
    fn damage_ends(data in data(), at in any::<usize>(), to in any::<u8>(), sizes in sizes(), limits in limits()) {
        let mut wire = BytesMut::new();
        Codec::deflate(6).compress(&data, &mut wire);
        if !wire.is_empty() {
            let at = at % wire.len();
            wire[at] = to;
        }
        garbage_is_refused_or_read(Codec::deflate(6), &wire, &sizes, &limits);
    }
}
