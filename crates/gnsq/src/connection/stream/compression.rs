//! Compression between a connection and its transport.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use gnsq_proto::compress::Codec;

use super::transport::Transport;

#[derive(Debug)]
pub(super) struct Compression {
    codec: Codec,
    /// Received, not yet decompressed.
    received: BytesMut,
    /// Compressed, not yet sent.
    to_send: BytesMut,
}

impl Compression {
    pub(super) fn new(codec: Codec, received: BytesMut) -> Self {
        Self { codec, received, to_send: BytesMut::new() }
    }

    pub(super) fn poll_send(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
        output: &mut impl Buf,
    ) -> Poll<io::Result<()>> {
        loop {
            // No more is compressed before it is gone, so that what can't be sent waits where it is counted.
            ready!(transport.poll_send(cx, &mut self.to_send))?;
            if !output.has_remaining() {
                return Poll::Ready(Ok(()));
            }
            let piece = output.chunk();
            let len = piece.len().min(PIECE);
            self.codec.compress(&piece[..len], &mut self.to_send);
            output.advance(len);
        }
    }

    pub(super) fn poll_receive(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let before = input.len();
        let room = (input.capacity() - before).max(1);
        loop {
            self.codec
                .decompress(&mut self.received, input, room)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let count = input.len() - before;
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            if self.received.capacity() - self.received.len() < PIECE / 2 {
                self.received.reserve(PIECE);
            }
            if ready!(transport.poll_receive(cx, &mut self.received))? == 0 {
                return Poll::Ready(Ok(0));
            }
        }
    }
}

/// How many bytes are compressed, or read, at once: half of what the largest chunk of snappy stands for.
const PIECE: usize = 32 * 1024;
