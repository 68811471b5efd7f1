//! A client's byte stream: plain, under TLS, compressed.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use gnsq_proto::compress::{Codec, Progress};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio_rustls::server::TlsStream;

use super::buffers::SIZE;
use super::resumed::Resumed;
use crate::listen::Socket;

/// A client's byte stream.
#[derive(Debug)]
pub(super) struct Transport {
    stream: Stream,
    /// Most streams have none.
    compression: Option<Box<Compression>>,
}

#[derive(Debug)]
pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Resumed>>),
}

#[derive(Debug)]
struct Compression {
    codec: Codec,
    /// Compressed, as it came.
    received: BytesMut,
    /// There may be more in the codec, whatever else comes.
    full: bool,
    /// Compressed, or what was said before the compression began.
    to_send: BytesMut,
}

/// How far a write has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) all: bool,
    /// Whether the peer has taken anything.
    pub(super) some: bool,
}

impl Transport {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, compression: None }
    }

    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Compresses from here on, both ways. `received` came already; `to_send` has yet to leave as it is.
    pub(super) fn compress(&mut self, codec: Codec, received: BytesMut, to_send: BytesMut) {
        self.compression = Some(Box::new(Compression { codec, received, full: false, to_send }));
    }

    /// Bytes that were taken from the output and have yet to leave.
    pub(super) fn unsent(&self) -> usize {
        self.compression.as_ref().map_or(0, |compression| compression.to_send.len())
    }

    /// Appends to `input`, into the room that it has or a little more. 0 at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        let Some(compression) = &mut self.compression else { return self.stream.poll_read(cx, input) };
        let before = input.len();
        loop {
            if compression.full || !compression.received.is_empty() {
                let progress = compression
                    .codec
                    .decompress(&mut compression.received, input, SIZE)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                compression.full = progress == Progress::Full;
                if input.len() > before {
                    return Poll::Ready(Ok(input.len() - before));
                }
            }
            compression.received.reserve(SIZE);
            if ready!(self.stream.poll_read(cx, &mut compression.received))? == 0 {
                return Poll::Ready(Ok(0));
            }
        }
    }

    /// Says goodbye, where that takes a word: without it, a client can't tell the end from a cut.
    pub(super) fn close(&mut self, cx: &mut Context<'_>) {
        if let Stream::Tls(stream) = &mut self.stream {
            // A client that doesn't read learns it from the closed socket.
            let _ = Pin::new(&mut **stream).poll_shutdown(cx);
        }
    }

    /// Sends as much of `output` as goes, and leaves in it what doesn't.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, output: &mut BytesMut) -> io::Result<Written> {
        let Some(compression) = &mut self.compression else { return self.stream.write(cx, output) };
        let mut some = false;
        loop {
            let written = self.stream.write(cx, &mut compression.to_send)?;
            some |= written.some;
            if !written.all || output.is_empty() {
                return Ok(Written { all: written.all, some });
            }
            compression.codec.compress(output, &mut compression.to_send);
            output.clear();
        }
    }
}

impl Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => pin!(socket.read_buf(input)).poll(cx),
            Self::Tls(stream) => pin!(stream.read_buf(input)).poll(cx),
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, output: &mut BytesMut) -> io::Result<Written> {
        match self {
            Self::Plain(socket) => write(socket, cx, output),
            Self::Tls(stream) => {
                let mut written = write(&mut **stream, cx, output)?;
                // TLS takes what it can't send yet.
                written.all &= match Pin::new(stream).poll_flush(cx) {
                    Poll::Ready(result) => result.map(|()| true)?,
                    Poll::Pending => false,
                };
                Ok(written)
            }
        }
    }
}

fn write(stream: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>, output: &mut BytesMut) -> io::Result<Written> {
    let mut sent = 0;
    while sent < output.len() {
        match Pin::new(&mut *stream).poll_write(cx, &output[sent..]) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => sent += count,
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => {
                output.advance(sent);
                return Ok(Written { all: false, some: sent > 0 });
            }
        }
    }
    // Rather than step over it, which would use up the buffer's room.
    output.clear();
    Ok(Written { all: true, some: sent > 0 })
}
