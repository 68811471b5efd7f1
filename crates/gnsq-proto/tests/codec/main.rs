//! The codecs, in both directions: whatever was written is read again, however it is cut on the way, and whatever
//! else arrives ends in an error before it takes memory.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod command;
mod frame;
mod lookupd;
#[path = "../reader/mod.rs"]
mod reader;
mod stages;

use bytes::{Buf, Bytes, BytesMut};
use gnsq_proto::{ChannelName, Command, ErrorCode, MessageId, Outgoing, ServerError, TopicName};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a decoder made of a stream: the items, and what ended it, if not the stream's end.
#[derive(Debug, PartialEq)]
struct Decoded<T, E> {
    items: Vec<T>,
    error: Option<E>,
    /// What stayed behind without being an item.
    left: usize,
    /// The most bytes that had arrived without being an item or an error.
    held: usize,
}

/// Feeds `stream` to a decoder in pieces of the sizes given, over and over, until an error or the end.
fn feed<T, E>(stream: &[u8], sizes: &[usize], decode: impl Fn(&mut BytesMut) -> Result<Option<T>, E>) -> Decoded<T, E> {
    let mut result = Decoded { items: Vec::new(), error: None, left: 0, held: 0 };
    let mut input = BytesMut::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        let (piece, behind) = rest.split_at((*size).min(rest.len()));
        input.extend_from_slice(piece);
        rest = behind;
        loop {
            match decode(&mut input) {
                Ok(Some(item)) => result.items.push(item),
                Ok(None) => break,
                Err(error) => {
                    result.error = Some(error);
                    return result;
                }
            }
        }
        result.held = result.held.max(input.len());
        if rest.is_empty() {
            break;
        }
    }
    result.left = input.len();
    result
}

/// The same stream in one piece, cut at every byte in turn, and byte by byte: always the same items.
fn every_cut_gives<T, E>(stream: &[u8], expected: &[T], decode: impl Fn(&mut BytesMut) -> Result<Option<T>, E>)
where
    T: PartialEq + std::fmt::Debug,
    E: PartialEq + std::fmt::Debug,
{
    let cuts = (1..stream.len()).map(|cut| vec![cut, stream.len()]);
    for sizes in cuts.chain([vec![stream.len()], vec![1]]) {
        let decoded = feed(stream, &sizes, &decode);
        assert_eq!(decoded.items, expected, "in pieces of {sizes:?}");
        assert_eq!((decoded.error, decoded.left), (None, 0), "in pieces of {sizes:?}");
    }
}

fn wire(commands: impl IntoIterator<Item = Command>) -> Bytes {
    let mut out = Outgoing::new();
    for command in commands {
        command.encode(&mut out);
    }
    out.copy_to_bytes(out.remaining())
}

fn topic() -> impl Strategy<Value = TopicName> {
    name().prop_map(|name| TopicName::new(name).unwrap())
}

fn channel() -> impl Strategy<Value = ChannelName> {
    name().prop_map(|name| ChannelName::new(name).unwrap())
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[.a-zA-Z0-9_-]{1,64}", "[.a-zA-Z0-9_-]{1,54}#ephemeral"]
}

/// An id as nsqd makes them: one with a space or a line end would break a command line.
fn id() -> impl Strategy<Value = MessageId> {
    "[0-9a-f]{16}".prop_map(|text| text.parse().unwrap())
}

/// Mostly short, sometimes long enough to be sent without a copy.
fn body(least: usize) -> impl Strategy<Value = Bytes> {
    prop_oneof![
        8 => vec(any::<u8>(), least..40).prop_map(Bytes::from),
        1 => (any::<u8>(), 8000_usize..9000).prop_map(|(byte, len)| vec![byte; len].into()),
    ]
}

fn server_error() -> impl Strategy<Value = ServerError> {
    let code = prop_oneof![
        Just(ErrorCode::Invalid),
        Just(ErrorCode::BadTopic),
        Just(ErrorCode::PubFailed),
        Just(ErrorCode::FinFailed),
        "E_NEW_[A-Z]{0,9}".prop_map(|code| ErrorCode::Other(code.into())),
    ];
    (code, "\\PC{0,200}").prop_map(|(code, text)| ServerError::new(code, text))
}

/// The sizes in which a stream arrives.
fn pieces() -> impl Strategy<Value = Vec<usize>> {
    vec(1_usize..60, 1..8)
}

/// Bytes that look like the protocol here and there, so that a decoder gets somewhere with them.
fn plausible_bytes(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        2 => (-2_i32..40).prop_map(|number| number.to_be_bytes().to_vec()),
        1 => any::<i32>().prop_map(|number| number.to_be_bytes().to_vec()),
        2 => vec(any::<u8>(), 0..20),
    ];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// Where to damage a stream, and with what.
fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    vec((any::<prop::sample::Index>(), 1_u8..), 1..5)
}

fn damaged(stream: &[u8], damage: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut stream = stream.to_vec();
    for (index, flip) in damage {
        let at = index.index(stream.len());
        stream[at] ^= flip;
    }
    stream
}
