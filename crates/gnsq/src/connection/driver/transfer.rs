//! Bytes to and from the socket.

use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};

use super::Driver;
use crate::error::Error;

impl Driver {
    pub(super) fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), Error> {
        if self.shut {
            return Ok(());
        }
        if let Some(error) = self.failed_write.take() {
            return Err(self.io_error(error));
        }
        let written = self.stream.written();
        let sent = self.stream.poll_send(cx, self.protocol.output());
        self.tell_flushed();
        match sent {
            Poll::Ready(Ok(())) => self.stalled = None,
            Poll::Ready(Err(error)) => return Err(self.io_error(error)),
            Poll::Pending => {
                if self.stream.written() != written {
                    self.stalled = None;
                }
                self.stalled.get_or_insert(now);
                return self.check_unsent();
            }
        }
        Ok(())
    }

    /// Tells those who wait for bytes that have left.
    pub(super) fn tell_flushed(&mut self) {
        if self.flushes.is_empty() {
            return;
        }
        let sent = self.protocol.output().sent();
        let left = self.flushes.partition_point(|(end, _)| *end <= sent);
        for (_, reply) in self.flushes.drain(..left) {
            reply.answer(Bytes::new());
        }
    }

    /// Called when the socket has taken all that it can: what is left waits for the peer.
    fn check_unsent(&mut self) -> Result<(), Error> {
        let unsent = self.protocol.output().remaining();
        if unsent <= self.handle.shared().config.max_unsent_bytes {
            return Ok(());
        }
        let text = format!("{unsent} bytes wait to be sent (max_unsent_bytes): nsqd doesn't read");
        Err(self.io_error(io::Error::new(io::ErrorKind::OutOfMemory, text)))
    }

    /// Whether nothing more will have to be sent: all is sent and answered, and no message can come that would have to be
    /// given back. nsqd would hold it until its timeout.
    pub(super) fn may_shut(&mut self, now: Instant) -> bool {
        let nothing_to_send = self.protocol.output().is_empty() && self.lanes.waiting() == 0;
        // Whoever sends by hand has taken the answers that were wanted.
        let nothing_to_come = self.protocol.outstanding() == 0 || self.handle.observer().takes_frames();
        if self.closing.is_none() || !nothing_to_send || !nothing_to_come {
            return false;
        }
        if self.most_ready == 0 {
            return true;
        }
        self.late_until.get_or_insert(now + LATE_MESSAGE);
        self.settled
    }

    /// Says that nothing more will be sent. nsqd reads all before it closes in turn, which ends the connection; to
    /// close it from here could destroy what it hasn't read yet.
    pub(super) fn shut(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if !self.shut {
            self.shut = match self.stream.poll_shutdown(cx) {
                Poll::Ready(result) => result.map(|()| true).map_err(|error| self.io_error(error))?,
                Poll::Pending => false,
            };
        }
        Ok(())
    }

    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Error> {
        let missing = self.protocol.missing();
        let input = self.protocol.input();
        let wanted = self.read_size.bytes();
        let room = input.capacity() - input.len();
        if room < missing || room < wanted / 2 {
            input.reserve(wanted.max(missing));
        }
        let room = input.capacity() - input.len();
        match self.stream.poll_receive(cx, input) {
            Poll::Ready(Ok(0)) if self.shut => Err(Error::Closed),
            Poll::Ready(Ok(0)) => Err(self.io_error(io::Error::new(io::ErrorKind::UnexpectedEof, "nsqd closed it"))),
            Poll::Ready(Ok(count)) => {
                self.read_size.observe(count, room, self.tally.received);
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Err(error)) => Err(self.io_error(error)),
            Poll::Pending => Ok(Poll::Pending),
        }
    }
}

/// nsqd may be about to send one message more when it says that it sends none.
const LATE_MESSAGE: Duration = Duration::from_millis(10);
