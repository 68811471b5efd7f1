//! What the fuzz targets share: a stream arrives in pieces, whose sizes the fuzzer picks too.

use std::fmt::Debug;

use bytes::BytesMut;
use gnsq_server::{Clock, NsqdOptions};

/// How a stream arrives: pieces of the sizes given, over and over.
#[derive(Debug, Clone)]
pub struct Cuts([usize; 3]);

impl Cuts {
    /// All at once.
    pub const NONE: Self = Self([usize::MAX; 3]);

    /// Takes the sizes from the front of the fuzzer's input; the rest is the stream.
    pub fn split(data: &[u8]) -> Option<(Self, &[u8])> {
        let (sizes, stream) = data.split_first_chunk()?;
        Some((Self(sizes.map(|size: u8| usize::from(size) + 1)), stream))
    }

    /// The pieces of `stream`, larger ones of a long stream: a decoder begins anew with each.
    pub fn pieces<'a>(&self, stream: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let scale = stream.len() / 500 + 1;
        let mut sizes = self.0.into_iter().cycle().map(move |size| size.saturating_mul(scale));
        let mut rest = stream;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (piece, behind) = rest.split_at(sizes.next()?.min(rest.len()));
            rest = behind;
            Some(piece)
        })
    }
}

/// What a decoder has made of a stream.
#[derive(Debug, PartialEq)]
pub struct Decoded<T, E> {
    /// What it took, one after the other.
    pub items: Vec<T>,
    /// What ended it, unless the stream did.
    pub error: Option<E>,
    /// Bytes that were left without being an item.
    pub left: usize,
}

/// Feeds `stream` to a decoder, which must never hold `most` bytes without an item or an error.
pub fn feed<T, E>(
    stream: &[u8],
    cuts: &Cuts,
    most: usize,
    mut decode: impl FnMut(&mut BytesMut) -> Result<Option<T>, E>,
) -> Decoded<T, E> {
    let mut items = Vec::new();
    let mut input = BytesMut::new();
    for piece in cuts.pieces(stream) {
        input.extend_from_slice(piece);
        loop {
            let before = input.len();
            match decode(&mut input) {
                Ok(Some(item)) => {
                    assert!(input.len() < before, "an item took nothing");
                    items.push(item);
                }
                Ok(None) => break,
                Err(error) => return Decoded { items, error: Some(error), left: 0 },
            }
        }
        assert!(input.len() < most, "{} bytes are held, which may be an item of fewer than {most}", input.len());
    }
    Decoded { items, error: None, left: input.len() }
}

/// The same of the whole stream and of the stream in pieces, or a panic.
pub fn feed_both_ways<T, E>(
    stream: &[u8],
    cuts: &Cuts,
    most: usize,
    mut decode: impl FnMut(&mut BytesMut) -> Result<Option<T>, E>,
) -> Decoded<T, E>
where
    T: PartialEq + Debug,
    E: PartialEq + Debug,
{
    let whole = feed(stream, &Cuts::NONE, most, &mut decode);
    assert_eq!(whole, feed(stream, cuts, most, &mut decode), "in pieces ({cuts:?})");
    whole
}

/// Limits that a short input can reach.
pub fn small_limits(clock: &Clock) -> NsqdOptions {
    let mut options = NsqdOptions::default();
    options.clock = clock.clone();
    options.max_msg_size = 200;
    options.max_body_size = 1000;
    options.max_messages = 20;
    options.max_bytes = 2500;
    options.max_topics = 4;
    options.max_channels = 4;
    options.max_channel_consumers = 2;
    options.mem_queue_size = 5;
    options
}
