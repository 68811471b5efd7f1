//! An nsqd that is a stream in the client's own thread: what a client itself costs can be counted on it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::identify_reply;

/// One connection to an nsqd, in memory: no socket, no other thread, no waiting. It does the same each time, so that
/// the instructions of a client on it can be counted.
///
/// It sends what RDY allows at once, confirms every publish at once, and keeps nothing. It has no heartbeats. It closes when the
/// client has.
///
/// Its own work is in [`take`](Self::take) and [`give`](Self::give), which are never inlined: a profiler can leave it out by
/// these names.
#[derive(Debug)]
pub struct MemoryNsqd {
    /// How many messages are still to be sent.
    left: usize,
    message: Vec<u8>,
    ready: usize,
    in_flight: usize,
    sent: u64,
    /// What came, from the first command on that isn't complete.
    commands: Vec<u8>,
    answers: VecDeque<u8>,
    reader: Option<Waker>,
    /// The client has said that it sends nothing more.
    ended: bool,
}

impl MemoryNsqd {
    /// An nsqd whose channel has so many messages with bodies of this size.
    ///
    /// # Panics
    ///
    /// For a size that no frame can have.
    pub fn new(messages: usize, body: usize) -> Self {
        let size = u32::try_from(TYPE + HEAD + body).expect("a message is small");
        let mut message = size.to_be_bytes().to_vec();
        message.extend(2_u32.to_be_bytes());
        // In 2023; the first attempt.
        message.extend(1_700_000_000_000_000_000_u64.to_be_bytes());
        message.extend(1_u16.to_be_bytes());
        message.extend([b'0'; ID]);
        message.resize(message.len() + body, b'x');
        Self {
            left: messages,
            message,
            ready: 0,
            in_flight: 0,
            sent: 0,
            commands: Vec::new(),
            answers: VecDeque::new(),
            reader: None,
            ended: false,
        }
    }

    /// Carries out the commands in what the client sends.
    ///
    /// # Panics
    ///
    /// At what is no command.
    #[inline(never)]
    pub fn take(&mut self, bytes: &[u8]) {
        self.commands.extend_from_slice(bytes);
        let commands = std::mem::take(&mut self.commands);
        let mut rest = &commands[..];
        while let Some(behind) = self.command(rest) {
            rest = behind;
        }
        self.commands.extend_from_slice(rest);
    }

    /// Fills the client's buffer with what there is to send. Returns whether there was anything.
    #[inline(never)]
    pub fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let before = buffer.filled().len();
        loop {
            let (first, _) = self.answers.as_slices();
            let count = first.len().min(buffer.remaining());
            buffer.put_slice(&first[..count]);
            self.answers.drain(..count);
            if buffer.remaining() == 0 {
                return true;
            }
            if self.answers.is_empty() && !self.message() {
                return buffer.filled().len() > before;
            }
        }
    }

    /// Queues the next message, if it may be sent.
    fn message(&mut self) -> bool {
        if self.left == 0 || self.in_flight >= self.ready {
            return false;
        }
        self.left -= 1;
        self.in_flight += 1;
        self.sent += 1;
        // As nsqd makes them: its time, its number, and a count within a moment of that time.
        let id = (EPOCH + self.sent / A_MOMENT) << 22 | NODE << 12 | (self.sent % A_MOMENT);
        self.message[ID_AT..ID_AT + ID].copy_from_slice(format!("{id:016x}").as_bytes());
        self.answers.extend(&self.message);
        true
    }

    /// Carries out the first command; returns what is behind it if it was complete.
    fn command<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        if let Some(rest) = bytes.strip_prefix(b"  V2") {
            return Some(rest);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        let mut words = line.split(|byte| *byte == b' ');
        match words.next()? {
            b"FIN" | b"REQ" => self.in_flight = self.in_flight.saturating_sub(1),
            b"RDY" => {
                let count = words.next().and_then(|count| std::str::from_utf8(count).ok()?.parse().ok());
                self.ready = count.expect("RDY has a number");
            }
            b"NOP" | b"TOUCH" => {}
            b"SUB" => self.answer(b"OK"),
            b"CLS" => self.answer(b"CLOSE_WAIT"),
            b"IDENTIFY" => {
                let rest = body(rest)?;
                self.answer(identify_reply().to_string().as_bytes());
                return Some(rest);
            }
            b"PUB" | b"MPUB" => {
                let rest = body(rest)?;
                self.answer(b"OK");
                return Some(rest);
            }
            _ => panic!("no command: {}", String::from_utf8_lossy(line)),
        }
        Some(rest)
    }

    fn answer(&mut self, data: &[u8]) {
        let size = u32::try_from(TYPE + data.len()).expect("an answer is small");
        self.answers.extend(size.to_be_bytes());
        self.answers.extend(0_u32.to_be_bytes());
        self.answers.extend(data);
    }

    /// Tells who waits to read that there may be something.
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl AsyncRead for MemoryNsqd {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.give(buf) || self.ended {
            return Poll::Ready(Ok(()));
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for MemoryNsqd {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.take(buf);
        self.wake();
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        for buf in bufs {
            self.take(buf);
        }
        self.wake();
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ended = true;
        self.wake();
        Poll::Ready(Ok(()))
    }
}

/// What is behind a sized body, if all of it is there.
fn body(bytes: &[u8]) -> Option<&[u8]> {
    let (size, rest) = bytes.split_first_chunk()?;
    rest.get(u32::from_be_bytes(*size) as usize..)
}

/// A frame's type.
const TYPE: usize = 4;
const ID: usize = 16;
/// A message's timestamp, attempts and id.
const HEAD: usize = 8 + 2 + ID;
/// Where a message's id is in its frame, behind size, type, timestamp and attempts.
const ID_AT: usize = 4 + TYPE + 8 + 2;
/// Some moment, in about milliseconds.
const EPOCH: u64 = 0x2d_5e6f_7081;
const NODE: u64 = 0x155;
/// How many messages are published in about a millisecond.
const A_MOMENT: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(nsqd: &mut MemoryNsqd) -> Vec<u8> {
        let mut all = [0; 2000];
        let mut buffer = ReadBuf::new(&mut all);
        nsqd.give(&mut buffer);
        buffer.filled().to_vec()
    }

    #[test]
    fn sends_what_ready_allows_wherever_commands_are_cut() {
        let mut nsqd = MemoryNsqd::new(3, 5);
        for byte in b"  V2SUB t c\nRDY 2\n" {
            nsqd.take(&[*byte]);
        }
        let came = read(&mut nsqd);
        assert!(came.starts_with(b"\0\0\0\x06\0\0\0\0OK\0\0\0\x23\0\0\0\x02"), "{}", came.escape_ascii());
        assert_eq!(came.len(), 10 + 2 * (8 + 26 + 5));
        assert!(came.ends_with(b"002xxxxx"));
        assert!(read(&mut nsqd).is_empty());
        nsqd.take(b"FIN 0000000000000001\n");
        assert!(read(&mut nsqd).ends_with(b"003xxxxx"));
        nsqd.take(b"FIN 0000000000000002\n");
        assert!(read(&mut nsqd).is_empty());
    }

    #[test]
    fn confirms_what_is_published() {
        let mut nsqd = MemoryNsqd::new(0, 0);
        nsqd.take(b"  V2PUB t\n\0\0\0\x03abcMPUB t\n\0\0\0\x09\0\0\0\x01\0\0\0\x01xPUB t\n\0\0\0\x02a");
        assert_eq!(read(&mut nsqd), b"\0\0\0\x06\0\0\0\0OK".repeat(2));
        nsqd.take(b"b");
        assert_eq!(read(&mut nsqd), b"\0\0\0\x06\0\0\0\0OK");
    }
}
