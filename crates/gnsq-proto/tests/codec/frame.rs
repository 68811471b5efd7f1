//! Frames from nsqd to a client.

use bytes::{Bytes, BytesMut};
use gnsq_proto::frame::{CLOSE_WAIT, FrameDecoder, FrameError, HEARTBEAT, OK};
use gnsq_proto::{ErrorCode, Frame, MessageFrame, MessageId, ServerError};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{body, damage, damaged, every_cut_gives, feed, pieces, plausible_bytes, server_error};

fn frame() -> impl Strategy<Value = Frame> {
    let known = prop_oneof![Just(OK), Just(HEARTBEAT), Just(CLOSE_WAIT)];
    let message = (any::<i64>(), any::<u16>(), any::<[u8; 16]>(), body(0));
    prop_oneof![
        known.prop_map(|data| Frame::Response(Bytes::from_static(data))),
        body(0).prop_map(Frame::Response),
        server_error().prop_map(Frame::Error),
        message.prop_map(|(timestamp, attempts, id, body)| {
            Frame::Message(MessageFrame { timestamp, attempts, id: MessageId(id), body })
        }),
    ]
}

fn one_of_each() -> Vec<Frame> {
    vec![
        Frame::Response(Bytes::from_static(OK)),
        Frame::Response(Bytes::new()),
        Frame::Response(Bytes::from_static(br#"{"version":"1.3.0"}"#)),
        Frame::Response(Bytes::from_static(HEARTBEAT)),
        Frame::Error(ServerError::new(ErrorCode::PubFailed, "PUB failed exiting")),
        Frame::Error(ServerError::new(ErrorCode::BadProtocol, "")),
        message(b"two\nlines"),
        message(b""),
        Frame::Response(Bytes::from_static(CLOSE_WAIT)),
    ]
}

fn message(body: &'static [u8]) -> Frame {
    Frame::Message(MessageFrame {
        timestamp: 1_700_000_000_123_456_789,
        attempts: 1,
        id: MessageId(*b"0d2a5b7c9e1f3a00"),
        body: Bytes::from_static(body),
    })
}

fn wire(frames: &[Frame]) -> BytesMut {
    let mut out = BytesMut::new();
    for frame in frames {
        frame.encode(&mut out);
    }
    out
}

const LIMIT: usize = 100;

fn small() -> FrameDecoder {
    FrameDecoder::new(LIMIT)
}

fn large() -> FrameDecoder {
    FrameDecoder::new(16 * 1024)
}

const WORDS: &[&str] = &[
    "\0\0\0\x06\0\0\0\0OK",
    "\0\0\0\x0f\0\0\0\0_heartbeat_",
    "\0\0\0\x0d\0\0\0\x01E_INVALID",
    "\0\0\0\x1e\0\0\0\x02",
    "\0\0\0\x1f\0\0\0\x02\0\0\0\0\0\0\0\0\0\x010123456789abcdefx",
    "\0\0\0",
];

proptest! {
    #[test]
    fn every_frame_is_read_as_it_was_written(frame in frame()) {
        let mut input = wire(std::slice::from_ref(&frame));
        prop_assert_eq!(large().decode(&mut input), Ok(Some(frame)));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn frames_stay_the_same_however_the_stream_is_cut(frames in vec(frame(), 1..6), sizes in pieces()) {
        let decoded = feed(&wire(&frames), &sizes, |input| large().decode(input));
        prop_assert_eq!(decoded.items, frames);
        prop_assert_eq!((decoded.error, decoded.left), (None, 0));
    }

    #[test]
    fn any_bytes_are_frames_or_an_error_and_the_cuts_do_not_matter(
        stream in plausible_bytes(WORDS),
        sizes in pieces(),
    ) {
        let cut = feed(&stream, &sizes, |input| small().decode(input));
        let whole = feed(&stream, &[stream.len().max(1)], |input| small().decode(input));
        prop_assert!(cut.held < 4 + LIMIT);
        prop_assert_eq!((cut.items, cut.error, cut.left), (whole.items, whole.error, whole.left));
    }

    #[test]
    fn a_damaged_stream_ends_in_frames_or_an_error(
        frames in vec(frame(), 1..6),
        damage in damage(),
        sizes in pieces(),
    ) {
        let decoded = feed(&damaged(&wire(&frames), &damage), &sizes, |input| small().decode(input));
        prop_assert!(decoded.held < 4 + LIMIT);
    }

    #[test]
    fn what_is_missing_is_never_more_than_the_limit(bytes in plausible_bytes(WORDS)) {
        let missing = small().missing(&bytes);
        prop_assert!(missing <= 4 + LIMIT);
        let waits = small().decode(&mut BytesMut::from(&bytes[..])) == Ok(None);
        prop_assert_eq!(missing > 0, waits, "{} missing", missing);
    }

    #[test]
    fn reading_what_is_missing_ends_with_the_frame_and_not_behind_it(frame in frame()) {
        let stream = wire(&[frame.clone(), frame.clone()]);
        let mut input = BytesMut::new();
        for _ in 0..2 {
            let missing = large().missing(&input);
            let at = input.len();
            input.extend_from_slice(&stream[at..at + missing]);
        }
        prop_assert_eq!(large().missing(&input), 0);
        prop_assert_eq!(input.len(), stream.len() / 2);
        prop_assert_eq!(large().decode(&mut input), Ok(Some(frame)));
    }
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    let frames = one_of_each();
    every_cut_gives(&wire(&frames), &frames, |input| large().decode(input));
}

#[test]
fn what_is_missing_is_exact_at_every_byte_of_a_frame() {
    let stream = wire(&[message(b"body")]);
    for cut in 0..stream.len() {
        let exact = if cut < 4 { 4 - cut } else { stream.len() - cut };
        assert_eq!(large().missing(&stream[..cut]), exact, "after {cut} bytes");
    }
    assert_eq!(large().missing(&stream), 0);
}

#[test]
fn a_frame_of_the_limit_is_read_and_one_more_byte_is_not() {
    let frame = Frame::Response(Bytes::from(vec![b'x'; LIMIT - 4]));
    assert_eq!(small().decode(&mut wire(std::slice::from_ref(&frame))), Ok(Some(frame)));
    let mut input = wire(&[Frame::Response(Bytes::from(vec![b'x'; LIMIT - 3]))]);
    let error = FrameError::TooLarge { size: LIMIT + 1, limit: LIMIT };
    assert_eq!(small().decode(&mut input), Err(error));
    assert_eq!(small().decode(&mut BytesMut::from(&input[..4])), Err(error));
}

#[test]
fn a_message_body_is_not_copied() {
    let mut input = wire(&[message(b"a body")]);
    let memory = input.as_ptr_range();
    let Ok(Some(Frame::Message(message))) = small().decode(&mut input) else { panic!("no message") };
    assert_eq!(message.body, "a body");
    assert!(memory.contains(&message.body.as_ptr()));
}
