//! Bytes on their way to the socket.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A queue of bytes to send: small pieces are gathered in one buffer, large bodies are kept as they are
/// and never copied. Read it as a [`Buf`], with `chunks_vectored` and `advance`.
#[derive(Default)]
pub struct Outgoing {
    /// What goes out before `tail`.
    ready: VecDeque<Bytes>,
    ready_len: usize,
    tail: BytesMut,
    /// All bytes ever queued.
    queued: u64,
}

impl Outgoing {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for small pieces of so many bytes in all.
    pub fn reserve(&mut self, bytes: usize) {
        self.tail.reserve(bytes);
    }

    /// Appends a piece, by copy.
    pub fn put(&mut self, piece: &[u8]) {
        self.queued += piece.len() as u64;
        self.tail.put_slice(piece);
    }

    /// Appends a body: by copy when it is small, else by reference.
    pub fn put_body(&mut self, body: &Bytes) {
        if body.len() < COPY_BELOW {
            return self.put(body);
        }
        self.queued += body.len() as u64;
        if !self.tail.is_empty() {
            let tail = self.tail.split().freeze();
            self.push_ready(tail);
        }
        self.push_ready(body.clone());
    }

    /// How many bytes have been queued since the beginning: the position in the stream behind the last one.
    pub fn queued(&self) -> u64 {
        self.queued
    }

    /// How many bytes have been taken out with `advance` since the beginning.
    pub fn sent(&self) -> u64 {
        self.queued - self.remaining() as u64
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.tail.is_empty()
    }

    fn push_ready(&mut self, piece: Bytes) {
        self.ready_len += piece.len();
        self.ready.push_back(piece);
    }
}

/// Shows sizes only: what is to be sent may hold a secret.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("remaining", &self.remaining())
            .field("queued", &self.queued)
            .finish_non_exhaustive()
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.ready_len + self.tail.len()
    }

    fn chunk(&self) -> &[u8] {
        self.ready.front().map_or(&self.tail, |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.ready.iter().map(|piece| &piece[..]).chain([&self.tail[..]]);
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces.filter(|piece| !piece.is_empty())) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.ready.front_mut() {
            let step = count.min(front.len());
            front.advance(step);
            self.ready_len -= step;
            count -= step;
            if !front.is_empty() {
                return;
            }
            self.ready.pop_front();
        }
        if count == self.tail.len() {
            // Emptied rather than advanced: the whole buffer can be used again, unless a burst made it large.
            self.tail.clear();
            if self.tail.capacity() > KEEP_AT_MOST {
                self.tail = BytesMut::new();
            }
        } else {
            self.tail.advance(count);
        }
    }
}

/// Below this many bytes a copy costs less than one more piece in a vectored write.
const COPY_BELOW: usize = 8 * 1024;

/// An idle connection keeps no more memory than this for its next burst.
const KEEP_AT_MOST: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(outgoing: &mut Outgoing, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while outgoing.has_remaining() {
            let mut slices = [IoSlice::new(&[]); 4];
            let count = outgoing.chunks_vectored(&mut slices);
            let before = all.len();
            all.extend(slices[..count].iter().flat_map(|slice| slice.iter()).take(step));
            outgoing.advance(all.len() - before);
        }
        all
    }

    #[test]
    fn keeps_the_order_of_small_and_large_pieces() {
        for step in [1, 7, 8191, 100_000] {
            let mut outgoing = Outgoing::new();
            let mut expected: Vec<u8> = Vec::new();
            for (index, len) in [3, 9000, 0, 8192, 1, 2, 20_000, 5].into_iter().enumerate() {
                let piece = vec![u8::try_from(index).unwrap(); len];
                expected.extend(&piece);
                outgoing.put_body(&piece.into());
            }
            assert_eq!(outgoing.remaining(), expected.len());
            assert_eq!(drain(&mut outgoing, step), expected, "in steps of {step}");
            assert_eq!((outgoing.sent(), outgoing.queued()), (expected.len() as u64, expected.len() as u64));
            assert!(outgoing.is_empty());
        }
    }

    #[test]
    fn a_large_body_is_not_copied() {
        let body = Bytes::from(vec![1; 9000]);
        let mut outgoing = Outgoing::new();
        outgoing.put_body(&body);
        assert_eq!(outgoing.chunk().as_ptr(), body.as_ptr());
    }
}
