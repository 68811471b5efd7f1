//! A socket under a TLS handshake: some of its bytes came early, and it has a deadline.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::listen::Socket;

/// A socket of which some bytes have been read ahead.
pub(super) struct Resumed {
    ahead: BytesMut,
    pub(super) socket: Socket,
    /// When it comes, waiting fails.
    alarm: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl Resumed {
    pub(super) fn new(
        ahead: BytesMut,
        socket: Socket,
        alarm: impl Future<Output = ()> + Send + Sync + 'static,
    ) -> Self {
        Self { ahead, socket, alarm: Some(Box::pin(alarm)) }
    }

    /// Takes the deadline away.
    pub(super) fn disarm(&mut self) {
        self.alarm = None;
    }

    /// Waits for the first byte, which tells whether it can be TLS. An alert would be no answer to anything else.
    pub(super) async fn looks_like_tls(&mut self) -> io::Result<bool> {
        if self.ahead.is_empty() {
            let mut first = [0];
            if self.read(&mut first).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.ahead.extend_from_slice(&first);
        }
        Ok(self.ahead.first() == Some(&HANDSHAKE_RECORD))
    }

    /// What is ready, or the deadline's error once that has passed.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_pending()
            && let Some(alarm) = &mut self.alarm
        {
            ready!(alarm.as_mut().poll(cx));
            self.alarm = None;
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "i/o timeout")));
        }
        result
    }
}

impl AsyncRead for Resumed {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            let result = Pin::new(&mut this.socket).poll_read(cx, buf);
            return this.in_time(cx, result);
        }
        let count = this.ahead.len().min(buf.remaining());
        buf.put_slice(&this.ahead.split_to(count));
        if this.ahead.is_empty() {
            // It isn't needed any more, for as long as the connection lasts.
            this.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Resumed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.socket).poll_write(cx, buf);
        this.in_time(cx, result)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl fmt::Debug for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resumed")
            .field("ahead", &self.ahead.len())
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// The type of a TLS record that begins a handshake.
const HANDSHAKE_RECORD: u8 = 22;
