//! Connections over a pair of sockets, in a time that only the tests move.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod ends;
mod flow;
mod garbage;
mod upgrades;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use gnsq_proto::Frame;
use gnsq_proto::frame::FrameDecoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::serve;
use crate::clock::Clock;
use crate::listen::Socket;
use crate::nsqd::broker::Broker;
use crate::nsqd::options::NsqdOptions;

const SECOND: Duration = Duration::from_secs(1);

/// An nsqd without listeners.
struct Server {
    broker: Arc<Broker>,
    clock: Clock,
    stop: CancellationToken,
}

/// One who connects to it.
struct Peer {
    socket: UnixStream,
    received: BytesMut,
    /// The server's side.
    task: JoinHandle<()>,
}

impl Server {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut NsqdOptions)) -> Self {
        let clock = Clock::manual();
        let mut options = NsqdOptions { clock: clock.clone(), ..NsqdOptions::default() };
        change(&mut options);
        Self { broker: Broker::alone(options), clock, stop: CancellationToken::new() }
    }

    /// A connection that has said nothing.
    fn connect_silently(&self) -> Peer {
        let (socket, other) = UnixStream::pair().unwrap();
        let task = tokio::spawn(serve(Socket::Unix(other), None, self.broker.clone(), &self.stop));
        Peer { socket, received: BytesMut::new(), task }
    }

    async fn connect(&self) -> Peer {
        let mut peer = self.connect_silently();
        peer.send("  V2").await;
        peer
    }

    async fn subscribe(&self) -> Peer {
        let mut peer = self.connect().await;
        peer.send("SUB t c\n").await;
        peer.expect("OK").await;
        peer
    }

    /// Time passes, and whoever waited for it has run.
    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

impl Peer {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(SECOND * 10, self.socket.write_all(bytes.as_ref())).await.expect("the server reads").unwrap();
    }

    /// The next frame, or nothing at the end.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = FrameDecoder::new(usize::MAX).decode(&mut self.received).unwrap() {
                return Some(frame);
            }
            let read = timeout(SECOND * 10, self.socket.read_buf(&mut self.received)).await;
            match read.expect("something comes") {
                Ok(1..) => {}
                Ok(0) => {
                    assert!(self.received.is_empty(), "half a frame: {:?}", self.received);
                    return None;
                }
                // It hung up on something that it had not read.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn expect(&mut self, response: &'static str) {
        assert_eq!(self.frame().await, Some(Frame::Response(response.into())));
    }

    /// The message's body.
    async fn message(&mut self) -> Vec<u8> {
        match self.frame().await {
            Some(Frame::Message(message)) => message.body.to_vec(),
            other => panic!("no message: {other:?}"),
        }
    }

    async fn expect_error(&mut self, text: &str) {
        match self.frame().await {
            Some(Frame::Error(error)) => assert_eq!(String::from_utf8_lossy(&error.to_wire()), text),
            other => panic!("no error: {other:?}"),
        }
    }

    /// The server closes the connection without another word, and its task ends well.
    async fn expect_end(mut self) {
        assert_eq!(self.frame().await, None);
        self.task.await.unwrap();
    }
}

/// A command with a body.
fn command(line: &str, body: &[u8]) -> Vec<u8> {
    [line.as_bytes(), b"\n", &u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}
