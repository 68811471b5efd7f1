//! The socket under a connection.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::dialer::Dialed;

/// A socket to an nsqd.
pub(crate) struct Socket {
    kind: Kind,
    read: u64,
    written: u64,
}

enum Kind {
    Tcp(TcpStream),
    /// From the user's dialer.
    Dialed(Box<dyn Dialed>),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    /// How many bytes it has taken since the beginning: the only sign, under other layers, that the peer reads.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// How many bytes it has given.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Whether it is the system's own, without a dialer's layers.
    pub(super) fn is_systems(&self) -> bool {
        !matches!(self.kind, Kind::Dialed(_))
    }

    /// Writes as much as the system takes at once. A dialer's takes nothing.
    pub(super) fn try_send(&mut self, output: &mut impl Buf) -> io::Result<()> {
        while output.has_remaining() {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let count = output.chunks_vectored(&mut pieces);
            let written = match &self.kind {
                Kind::Tcp(socket) => socket.try_write_vectored(&pieces[..count]),
                #[cfg(unix)]
                Kind::Unix(socket) => socket.try_write_vectored(&pieces[..count]),
                Kind::Dialed(_) => return Ok(()),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.written += written as u64;
                    output.advance(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn count(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = result {
            self.written += written as u64;
        }
        result
    }
}

impl From<Box<dyn Dialed>> for Socket {
    fn from(stream: Box<dyn Dialed>) -> Self {
        Self { kind: Kind::Dialed(stream), read: 0, written: 0 }
    }
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        Self { kind: Kind::Tcp(socket), read: 0, written: 0 }
    }
}

#[cfg(unix)]
impl From<UnixStream> for Socket {
    fn from(socket: UnixStream) -> Self {
        Self { kind: Kind::Unix(socket), read: 0, written: 0 }
    }
}

/// Calls a method on whichever socket it is.
macro_rules! on_socket {
    ($self:expr, $socket:ident => $call:expr) => {
        match &mut $self.kind {
            Kind::Tcp($socket) => {
                let $socket = Pin::new($socket);
                $call
            }
            Kind::Dialed($socket) => {
                let $socket = Pin::new(&mut **$socket);
                $call
            }
            #[cfg(unix)]
            Kind::Unix($socket) => {
                let $socket = Pin::new($socket);
                $call
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = on_socket!(self, socket => socket.poll_read(cx, buf));
        self.read += (buf.filled().len() - before) as u64;
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = on_socket!(self, socket => socket.poll_write(cx, buf));
        self.count(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = on_socket!(self, socket => socket.poll_write_vectored(cx, bufs));
        self.count(result)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Dialed(stream) => stream.is_write_vectored(),
            _ => true,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, socket => socket.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, socket => socket.poll_shutdown(cx))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("written", &self.written).finish_non_exhaustive()
    }
}

/// How many pieces one write has at the most.
const PIECES: usize = 16;
