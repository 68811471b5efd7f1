//! A socket, or TLS on it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;
#[cfg(feature = "tls")]
use tokio_rustls::{Connect, TlsConnector, client::TlsStream};
use tokio_util::io::{poll_read_buf, poll_write_buf};

use crate::connection::socket::Socket;

pub(super) enum Transport {
    Plain(Socket),
    #[cfg(feature = "tls")]
    Handshake(Box<Connect<Socket>>),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<Socket>>),
    /// The handshake has failed.
    #[cfg(feature = "tls")]
    Failed,
}

impl Transport {
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, output: &mut impl Buf) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => {
                ready!(send(socket, cx, output))?;
                // A system's socket holds nothing back, but a dialer's may.
                Pin::new(socket).poll_flush(cx)
            }
            #[cfg(feature = "tls")]
            Self::Tls(stream) => {
                ready!(send(&mut **stream, cx, output))?;
                // What it has taken may still be waiting for the socket; so may its answer to what was received.
                Pin::new(stream).poll_flush(cx)
            }
            // To receive is what drives the handshake.
            #[cfg(feature = "tls")]
            Self::Handshake(_) | Self::Failed => {
                if output.has_remaining() {
                    Poll::Pending
                } else {
                    Poll::Ready(Ok(()))
                }
            }
        }
    }

    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        #[cfg(feature = "tls")]
        if let Self::Handshake(connect) = self {
            let connected = ready!(Pin::new(&mut **connect).poll(cx));
            // A future that is done must not be polled again.
            *self = Self::Failed;
            *self = Self::Tls(Box::new(connected?));
        }
        match self {
            Self::Plain(socket) => poll_read_buf(Pin::new(socket), cx, input),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => match ready!(poll_read_buf(Pin::new(&mut **stream), cx, input)) {
                // nsqd closes the socket without a word of TLS. Frames tell their size, so none can be cut off unseen.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
                result => Poll::Ready(result),
            },
            #[cfg(feature = "tls")]
            Self::Handshake(_) | Self::Failed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Handshake(_) | Self::Failed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// The socket below, unless it is shaking hands.
    #[cfg_attr(not(feature = "tls"), allow(clippy::unnecessary_wraps, reason = "without TLS there is no handshake"))]
    pub(super) fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Plain(socket) => Some(socket),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Some(stream.get_ref().0),
            #[cfg(feature = "tls")]
            Self::Handshake(_) | Self::Failed => None,
        }
    }

    pub(super) fn is_shaking_hands(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Handshake(_) => true,
            _ => false,
        }
    }

    #[cfg(feature = "tls")]
    pub(super) fn start_tls(
        &mut self,
        config: std::sync::Arc<rustls::ClientConfig>,
        name: rustls::pki_types::ServerName<'static>,
    ) {
        *self = match std::mem::replace(self, Self::Failed) {
            Self::Plain(socket) => Self::Handshake(Box::new(TlsConnector::from(config).connect(name, socket))),
            other => other,
        };
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            #[cfg(feature = "tls")]
            Self::Handshake(_) => "Handshake",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "Tls",
            #[cfg(feature = "tls")]
            Self::Failed => "Failed",
        })
    }
}

fn send(io: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>, output: &mut impl Buf) -> Poll<io::Result<()>> {
    while output.has_remaining() {
        if ready!(poll_write_buf(Pin::new(io), cx, output))? == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
    }
    Poll::Ready(Ok(()))
}
