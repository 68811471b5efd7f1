//! The layers between a connection's bytes and its socket.

#[cfg(any(feature = "snappy", feature = "deflate"))]
mod compression;
mod transport;

use std::io;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};

#[cfg(any(feature = "snappy", feature = "deflate"))]
use self::compression::Compression;
use self::transport::Transport;
use super::socket::Socket;

/// Takes a connection's bytes to its socket and back: as they are, until IDENTIFY has agreed on TLS or compression.
#[derive(Debug)]
pub(crate) struct Stream {
    transport: Transport,
    #[cfg(any(feature = "snappy", feature = "deflate"))]
    compression: Option<Box<Compression>>,
}

impl Stream {
    pub(crate) fn new(socket: Socket) -> Self {
        Self {
            transport: Transport::Plain(socket),
            #[cfg(any(feature = "snappy", feature = "deflate"))]
            compression: None,
        }
    }

    /// Sends all of `output`. While it waits, what is behind it has taken as much as it can, which is little.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, output: &mut impl Buf) -> Poll<io::Result<()>> {
        #[cfg(any(feature = "snappy", feature = "deflate"))]
        if let Some(compression) = &mut self.compression {
            return compression.poll_send(&mut self.transport, cx, output);
        }
        self.transport.poll_send(cx, output)
    }

    /// Whether what is sent goes to the system's socket as it is.
    pub(super) fn takes_at_once(&self) -> bool {
        #[cfg(any(feature = "snappy", feature = "deflate"))]
        if self.compression.is_some() {
            return false;
        }
        matches!(&self.transport, Transport::Plain(socket) if socket.is_systems())
    }

    /// Sends as much of `output` as the socket takes at once, on any thread. What is left waits for
    /// [`poll_send`](Self::poll_send). Only where it [can](Self::takes_at_once).
    pub(super) fn try_send(&mut self, output: &mut impl Buf) -> io::Result<()> {
        match &mut self.transport {
            Transport::Plain(socket) => socket.try_send(output),
            #[cfg(feature = "tls")]
            _ => Ok(()),
        }
    }

    /// Appends what has arrived to `input`, at most as much as there is room; returns how many bytes, 0 at the end.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        #[cfg(any(feature = "snappy", feature = "deflate"))]
        if let Some(compression) = &mut self.compression {
            return compression.poll_receive(&mut self.transport, cx, input);
        }
        self.transport.poll_receive(cx, input)
    }

    /// Says that nothing more will be sent, when all is.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        #[cfg(any(feature = "snappy", feature = "deflate"))]
        if let Some(compression) = &mut self.compression {
            std::task::ready!(compression.poll_send(&mut self.transport, cx, &mut &b""[..]))?;
        }
        self.transport.poll_shutdown(cx)
    }

    /// How many bytes the socket has taken.
    pub(super) fn written(&self) -> u64 {
        self.transport.socket().map_or(0, Socket::written)
    }

    /// How many bytes the socket has given and taken, unless it is shaking hands.
    pub(super) fn traffic(&self) -> Option<(u64, u64)> {
        self.transport.socket().map(|socket| (socket.bytes_read(), socket.written()))
    }

    /// Begins the TLS handshake, which goes on with `poll_receive`.
    #[cfg(feature = "tls")]
    pub(super) fn start_tls(
        &mut self,
        config: std::sync::Arc<rustls::ClientConfig>,
        name: rustls::pki_types::ServerName<'static>,
    ) {
        self.transport.start_tls(config, name);
    }

    /// Whether a TLS handshake is under way.
    pub(super) fn is_shaking_hands(&self) -> bool {
        self.transport.is_shaking_hands()
    }

    /// From here on bytes travel compressed; `received` are the first ones.
    #[cfg(any(feature = "snappy", feature = "deflate"))]
    pub(super) fn start_compression(&mut self, codec: gnsq_proto::compress::Codec, received: BytesMut) {
        self.compression = Some(Box::new(Compression::new(codec, received)));
    }
}
