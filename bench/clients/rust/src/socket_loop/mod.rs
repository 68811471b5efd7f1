//! The least work that does the job: what no client can beat by much.

mod consume;
mod pace;
mod publish;
mod round_trip;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::clock::Clock;
use crate::options::{Options, Work};
pub(crate) use consume::IDLING;
pub(crate) use publish::publish;
pub(crate) use round_trip::WARM_UP;

pub(crate) fn run(options: &Options) {
    match options.work {
        Work::Publish | Work::Multipublish => publish::run(options),
        Work::Consume => consume::run(options),
        Work::RoundTrip => round_trip::run(options),
        Work::Idle => consume::idle(options),
        Work::First => consume::first(options),
        Work::Pace => pace::run(options),
        Work::Latency => panic!("gnsq does that"),
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).expect("nsqd listens");
    socket.set_nodelay(true).expect("it is a TCP socket");
    socket.write_all(b"  V2").expect("nsqd reads");
    socket
}

/// Subscribed, and not ready for messages yet.
fn subscribe(address: SocketAddr, topic: &str) -> TcpStream {
    let mut socket = connect(address);
    let command = format!("SUB {topic} {}\n", crate::CHANNEL).into_bytes();
    publish::answered(&mut socket, &[command], 1, 1);
    socket
}

/// What was read and not looked at yet.
pub(crate) struct Input {
    buffer: Vec<u8>,
    filled: usize,
}

impl Input {
    /// `body`: how large one can be.
    pub(crate) fn new(body: usize) -> Self {
        Self { buffer: vec![0; 256 * 1024 + 2 * body], filled: 0 }
    }

    /// Reads once and hands each whole frame over; false at the end of the stream.
    fn read(&mut self, mut socket: &TcpStream, mut frame: impl FnMut(u32, &[u8])) -> std::io::Result<bool> {
        let read = socket.read(self.room())?;
        self.take(read, &mut frame);
        Ok(read > 0)
    }

    /// Where to read to.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// Hands each whole frame over, after so many bytes were read.
    pub(crate) fn take(&mut self, read: usize, mut frame: impl FnMut(u32, &[u8])) {
        self.filled += read;
        let mut at = 0;
        while let Some((kind, data, end)) = first_frame(&self.buffer[at..self.filled]) {
            frame(kind, data);
            at += end;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
    }
}

/// The first frame's type and data, and where it ends.
fn first_frame(input: &[u8]) -> Option<(u32, &[u8], usize)> {
    let size = u32::from_be_bytes(*input.first_chunk()?) as usize;
    let frame = input.get(4..4 + size)?;
    let (kind, data) = frame.split_first_chunk()?;
    Some((u32::from_be_bytes(*kind), data, 4 + size))
}

pub(crate) fn refused(data: &[u8]) -> ! {
    panic!("nsqd refuses: {}", String::from_utf8_lossy(data))
}

pub(crate) fn finish(answers: &mut Vec<u8>, message: &[u8]) {
    answers.extend_from_slice(b"FIN ");
    answers.extend_from_slice(&message[10..26]);
    answers.push(b'\n');
}

pub(crate) const RESPONSE: u32 = 0;
pub(crate) const MESSAGE: u32 = 2;
/// Of a message's data: what stands before the body.
pub(crate) const HEAD: usize = 26;
