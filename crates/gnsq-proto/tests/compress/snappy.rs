//! Snappy's framing format.

use std::io::{Read, Write};

use snap::read::FrameDecoder;
use snap::write::FrameEncoder;

use super::*;

const IDENTIFIER: &[u8] = b"\xff\x06\0\0sNaPpY";
/// "hello", uncompressed.
const HELLO: &[u8] = b"\x01\x09\0\0\xbb\x1f\x1c\x19hello";

fn read_with(wire: &[u8], sizes: &[usize]) -> Result<Vec<u8>, CompressError> {
    receive(&mut Codec::snappy(), wire, sizes, &[1, 70_000])
}

#[test]
fn a_stream_begins_with_its_identifier_and_what_does_not_shrink_is_sent_as_it_is() {
    let (mut codec, mut wire) = (Codec::snappy(), BytesMut::new());
    codec.compress(b"", &mut wire);
    assert!(wire.is_empty());
    codec.compress(b"hello", &mut wire);
    codec.compress(b"hello", &mut wire);
    assert_eq!(wire, [IDENTIFIER, HELLO, HELLO].concat());
}

#[test]
fn a_chunk_stands_for_64_kib_at_the_most() {
    let (mut codec, mut wire) = (Codec::snappy(), BytesMut::new());
    let mut rng = Rng(7);
    let data: Vec<u8> = (0..65_537).map(|_| u8::try_from(rng.next() % 256).unwrap()).collect();
    codec.compress(&data, &mut wire);
    assert_eq!(wire[10..14], [1, 4, 0, 1], "an uncompressed chunk of 64 KiB and a checksum");
    assert_eq!(wire[10 + 8 + 65_536..][..4], [1, 5, 0, 0], "then one of a byte");
}

#[test]
fn chunks_that_do_not_matter_are_skipped_at_every_cut() {
    let skipped: Vec<u8> = (0x80..=0xfe).flat_map(|kind| [kind, 3, 0, 0, 1, 2, 3]).collect();
    let wire = [IDENTIFIER, &skipped, HELLO, IDENTIFIER, b"\xfe\0\0\0", HELLO].concat();
    for cut in 1..wire.len() {
        assert_eq!(read_with(&wire, &[cut, wire.len()]).unwrap(), b"hellohello", "cut at {cut}");
    }
    assert_eq!(read_with(&wire, &[1]).unwrap(), b"hellohello");
}

#[test]
fn a_long_padding_takes_no_memory() {
    let (mut codec, mut out) = (Codec::snappy(), BytesMut::new());
    let mut input = BytesMut::from(&[IDENTIFIER, b"\xfe\xff\xff\xff"].concat()[..]);
    for _ in 0..0xff_ff_ff / 0xff_ff {
        input.extend_from_slice(&vec![9; 0xff_ff]);
        assert_eq!(codec.decompress(&mut input, &mut out, 1), Ok(Progress::Starved));
        assert!(input.is_empty());
    }
    input.extend_from_slice(&vec![9; 0xff_ff_ff % 0xff_ff]);
    input.extend_from_slice(HELLO);
    assert_eq!(codec.decompress(&mut input, &mut out, 100), Ok(Progress::Starved));
    assert_eq!(out, b"hello"[..]);
}

#[test]
fn what_is_no_snappy_is_refused_as_soon_as_it_shows() {
    let chunk = |kind: u8, len: usize| [IDENTIFIER, &[kind], &u32::try_from(len).unwrap().to_le_bytes()[..3]].concat();
    let size = |kind, len| CompressError::ChunkSize { kind, len };
    for (wire, error) in [
        (b"\0".to_vec(), CompressError::NoIdentifier),
        (b"\xfe\0\0\0".to_vec(), CompressError::NoIdentifier),
        (b"\xff\x05\0\0".to_vec(), size(0xff, 5)),
        (b"\xff\x06\0\0SnApPy".to_vec(), CompressError::WrongIdentifier),
        (chunk(0x00, 4), size(0x00, 4)),
        (chunk(0x00, 76_491 + 4), size(0x00, 76_495)),
        (chunk(0x01, 3), size(0x01, 3)),
        (chunk(0x01, 65_541), size(0x01, 65_541)),
    ] {
        assert_eq!(read_with(&wire, &[1]), Err(error), "{wire:02x?}");
    }
    for kind in 0x02..=0x7f {
        assert_eq!(read_with(&[IDENTIFIER, &[kind]].concat(), &[1]), Err(CompressError::UnknownChunk(kind)));
    }
}

#[test]
fn a_damaged_chunk_is_refused_and_not_delivered() {
    let mut wrong = HELLO.to_vec();
    wrong[8] = b'H';
    let result = read_with(&[IDENTIFIER, &wrong].concat(), &[5]);
    assert!(matches!(result, Err(CompressError::Checksum { .. })), "{result:?}");
    for body in [&b"\xff\xff\xff\xff\x0f"[..], b"\x81\x80\x04\0", b"\x05\0", b"\x80"] {
        let len = u8::try_from(body.len() + 4).unwrap();
        let wire = [IDENTIFIER, &[0, len, 0, 0, 1, 2, 3, 4], body].concat();
        let (mut input, mut out) = (BytesMut::from(&wire[..]), BytesMut::new());
        let result = Codec::snappy().decompress(&mut input, &mut out, 100_000);
        assert!(matches!(result, Err(CompressError::Snappy(_))), "{body:?}: {result:?}");
        assert!(out.is_empty());
    }
}

#[test]
fn its_debug_output_shows_no_data() {
    let (mut codec, mut out) = (Codec::snappy(), BytesMut::new());
    let mut input = BytesMut::from(&[IDENTIFIER, HELLO].concat()[..]);
    assert_eq!(codec.decompress(&mut input, &mut out, 1), Ok(Progress::Full));
    assert!(!format!("{codec:?}").contains("ello"));
}

/// Chunks of any type, also right ones, with lengths that fit or don't.
fn chunks() -> impl Strategy<Value = Vec<u8>> {
    let chunk = (any::<u8>(), vec(any::<u8>(), 0..40), prop_oneof![4 => Just(0), 1 => 1..1000_usize]).prop_map(
        |(kind, body, more)| {
            let len = u32::try_from(body.len() + more).unwrap().to_le_bytes();
            [&[kind], &len[..3], &body].concat()
        },
    );
    vec(prop_oneof![3 => chunk, 1 => Just(IDENTIFIER.to_vec()), 2 => Just(HELLO.to_vec())], 0..10)
        .prop_map(|chunks| [IDENTIFIER, &chunks.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_compressed_is_read(pieces in vec(data(), 1..4), sizes in sizes(), limits in limits()) {
        each_flush_is_delivered(Codec::snappy(), Codec::snappy(), &pieces, &sizes, &limits);
    }

    #[test]
    fn another_reader_reads_it(pieces in vec(data(), 1..4)) {
        let (mut codec, mut wire) = (Codec::snappy(), BytesMut::new());
        for piece in &pieces {
            codec.compress(piece, &mut wire);
        }
        let mut read = Vec::new();
        FrameDecoder::new(&wire[..]).read_to_end(&mut read).unwrap();
        prop_assert!(read == pieces.concat());
    }

    #[test]
    fn what_another_writer_wrote_is_read(pieces in vec(data(), 1..4), sizes in sizes(), limits in limits()) {
        let mut encoder = FrameEncoder::new(Vec::new());
        for piece in &pieces {
            encoder.write_all(piece).unwrap();
            encoder.flush().unwrap();
        }
        let wire = encoder.into_inner().unwrap();
        prop_assert!(receive(&mut Codec::snappy(), &wire, &sizes, &limits).unwrap() == pieces.concat());
    }

    #[test]
    fn garbage_ends(wire in prop_oneof![data(), chunks()], sizes in sizes(), limits in limits()) {
        garbage_is_refused_or_read(Codec::snappy(), &wire, &sizes, &limits);
    }

    #[test]
    fn damage_does_not_go_unnoticed(data in data(), at in any::<usize>(), to in any::<u8>()) {
        let mut wire = BytesMut::new();
        Codec::snappy().compress(&data, &mut wire);
        if !wire.is_empty() {
            let at = at % wire.len();
            wire[at] = to;
        }
        // A chunk that is cut off, or skipped since it changed into one that may be, is missing.
        if let Ok(read) = receive(&mut Codec::snappy(), &wire, &[wire.len().max(1)], &[1_000_000]) {
            prop_assert!(read.len() < data.len() || read == data);
        }
    }
}
