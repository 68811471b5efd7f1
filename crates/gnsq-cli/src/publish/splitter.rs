//! Cuts a stream of bytes into messages.

use bytes::{Buf, Bytes, BytesMut};

/// What the input has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// One message.
    Message(Bytes),
    /// Nothing between two delimiters, which nsqd wouldn't take.
    Empty,
    /// A part of a message that is over the limit. Its parts come one after the other; the last has the whole size
    /// in bytes.
    TooLarge { part: Bytes, size: Option<u64> },
}

/// Contract: after each [`push`](Self::push), take items until there is none; after the last one, [`finish`](Self::finish).
/// It holds what was pushed and not taken, and of an unfinished message no more than the limit.
#[derive(Debug)]
pub(super) struct Splitter {
    delimiter: Vec<u8>,
    limit: usize,
    pending: BytesMut,
    /// How much of `pending` is known to have no delimiter.
    searched: usize,
    /// The bytes so far of a message that is over the limit.
    too_large: Option<u64>,
    /// The bytes of the input that were taken as whole messages, with their delimiters.
    taken: u64,
    finished: bool,
}

impl Splitter {
    /// Cuts at each `delimiter`, which isn't empty; messages of more than `limit` bytes are too large.
    pub(super) fn new(delimiter: Vec<u8>, limit: usize) -> Self {
        Self { delimiter, limit, pending: BytesMut::new(), searched: 0, too_large: None, taken: 0, finished: false }
    }

    /// Adds what comes next.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The input has ended: what is left is a message, too, with or without a delimiter.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// The next item; `None` when more of the input is needed.
    pub(super) fn next(&mut self) -> Option<Item> {
        if let Some(at) = self.find() {
            let message = self.take(at);
            self.pending.advance(self.delimiter.len());
            self.taken += self.delimiter.len() as u64;
            return Some(self.whole(message));
        }
        // The end of what is there may be the beginning of a delimiter.
        let certain = self.pending.len().saturating_sub(if self.finished { 0 } else { self.delimiter.len() - 1 });
        self.searched = certain;
        if certain > self.limit || (self.too_large.is_some() && certain > 0 && !self.finished) {
            let part = self.take(certain);
            *self.too_large.get_or_insert(0) += part.len() as u64;
            return Some(Item::TooLarge { part, size: None });
        }
        if !self.finished || (self.pending.is_empty() && self.too_large.is_none()) {
            return None;
        }
        let message = self.take(self.pending.len());
        Some(self.whole(message))
    }

    /// How many bytes of the input went into whole messages.
    pub(super) fn taken(&self) -> u64 {
        self.taken - self.too_large.unwrap_or(0)
    }

    /// What has come of a message whose end hasn't.
    pub(super) fn rest(&mut self) -> Bytes {
        self.pending.split().freeze()
    }

    fn find(&mut self) -> Option<usize> {
        let first = self.delimiter[0];
        let mut from = self.searched;
        while let Some(offset) = self.pending[from..].iter().position(|byte| *byte == first) {
            let at = from + offset;
            if self.pending[at..].starts_with(&self.delimiter) {
                return Some(at);
            }
            from = at + 1;
        }
        None
    }

    fn take(&mut self, length: usize) -> Bytes {
        self.searched = 0;
        self.taken += length as u64;
        self.pending.split_to(length).freeze()
    }

    fn whole(&mut self, message: Bytes) -> Item {
        let size = self.too_large.take().unwrap_or(0) + message.len() as u64;
        match message.len() {
            _ if size > self.limit as u64 => Item::TooLarge { part: message, size: Some(size) },
            0 => Item::Empty,
            _ => Item::Message(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All items when the input comes in pieces of `size` bytes; the parts of what is too large are put together.
    fn split(input: &[u8], delimiter: &[u8], limit: usize, size: usize) -> Vec<Item> {
        let mut splitter = Splitter::new(delimiter.to_vec(), limit);
        let mut items = Vec::new();
        let mut parts = Vec::new();
        let mut chunks = input.chunks(size);
        loop {
            while let Some(item) = splitter.next() {
                match item {
                    Item::TooLarge { part, size } => {
                        parts.extend_from_slice(&part);
                        if let Some(size) = size {
                            assert_eq!(size, parts.len() as u64);
                            items.push(Item::TooLarge { part: std::mem::take(&mut parts).into(), size: Some(size) });
                        }
                    }
                    item => items.push(item),
                }
                assert!(splitter.pending.len() <= limit + size + delimiter.len());
            }
            match chunks.next() {
                Some(chunk) => splitter.push(chunk),
                None if splitter.finished => break,
                None => splitter.finish(),
            }
        }
        assert_eq!(splitter.taken(), input.len() as u64);
        items
    }

    fn message(text: &'static str) -> Item {
        Item::Message(Bytes::from_static(text.as_bytes()))
    }

    fn too_large(text: &'static str) -> Item {
        Item::TooLarge { part: Bytes::from_static(text.as_bytes()), size: Some(text.len() as u64) }
    }

    #[test]
    fn cuts_at_every_delimiter_wherever_the_input_is_cut() {
        for size in 1..20 {
            let items = split(b"one\ntwo\n\nthree\n", b"\n", 10, size);
            assert_eq!(items, [message("one"), message("two"), Item::Empty, message("three")]);
            let items = split(b"a<<>b<>><>c<", b"<>", 10, size);
            assert_eq!(items, [message("a<"), message("b"), message(">"), message("c<")]);
        }
    }

    #[test]
    fn the_last_message_needs_no_delimiter_and_keeps_its_last_byte() {
        for size in 1..5 {
            assert_eq!(split(b"a\nlast", b"\n", 10, size), [message("a"), message("last")]);
            assert_eq!(split(b"\n\n", b"\n", 10, size), [Item::Empty, Item::Empty]);
            assert_eq!(split(b"", b"\n", 10, size), []);
        }
    }

    #[test]
    fn what_is_too_large_is_told_whole_and_harms_no_neighbour() {
        for size in 1..30 {
            let items = split(b"ab\nabcdefghijk\nabc\nabcd\n", b"\n", 3, size);
            assert_eq!(items, [message("ab"), too_large("abcdefghijk"), message("abc"), too_large("abcd")]);
            assert_eq!(split(b"abcdefgh", b"--", 3, size), [too_large("abcdefgh")]);
            assert_eq!(split(b"abcdefgh-", b"--", 3, size), [too_large("abcdefgh-")]);
        }
    }

    #[test]
    fn an_unfinished_message_is_the_rest() {
        let mut splitter = Splitter::new(b"\n".to_vec(), 10);
        splitter.push(b"one\ntw");
        assert_eq!(splitter.next(), Some(message("one")));
        assert_eq!(splitter.next(), None);
        assert_eq!(splitter.taken(), 4);
        assert_eq!(splitter.rest(), "tw");
    }
}
