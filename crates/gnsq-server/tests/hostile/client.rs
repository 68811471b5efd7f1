//! A client of nsqd's TCP protocol that says what it is told, polite or not.

use std::io::ErrorKind;
use std::net::SocketAddr;

use gnsq_testkit::DEADLINE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One connection. Whatever waits fails the test after [`DEADLINE`].
#[derive(Debug)]
pub(crate) struct Client(TcpStream);

/// What nsqd has sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Response(String),
    Error(String),
    /// Its id and body.
    Message(String, Vec<u8>),
}

impl Client {
    /// Connects, and says nothing.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(timeout(DEADLINE, TcpStream::connect(address)).await.expect("a connection").unwrap())
    }

    /// Connects, and says hello.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut this = Self::open(address).await;
        this.send("  V2").await;
        this
    }

    /// Sends; a server that has hung up is none of its business.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        match timeout(DEADLINE, self.0.write_all(bytes.as_ref())).await.expect("room to send") {
            Ok(()) => {}
            Err(error) => assert!(is_hang_up(error.kind()), "{error}"),
        }
    }

    /// Says that nothing more comes.
    pub(crate) async fn end_sending(&mut self) {
        let _ = self.0.shutdown().await;
    }

    /// Sends a command and expects its OK.
    pub(crate) async fn ok(&mut self, command: impl AsRef<[u8]>) {
        let command = command.as_ref();
        self.send(command).await;
        assert_eq!(self.frame().await, Some(Frame::Response("OK".to_owned())), "{}", command.escape_ascii());
    }

    /// The next frame that is no heartbeat; nothing when nsqd has hung up.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 8];
            if !self.read(&mut head).await {
                return None;
            }
            let [size, kind] = [&head[..4], &head[4..]].map(|number| u32::from_be_bytes(number.try_into().unwrap()));
            let mut data = vec![0; size as usize - 4];
            assert!(self.read(&mut data).await, "nsqd hung up within a frame");
            let frame = match kind {
                0 => Frame::Response(String::from_utf8(data).unwrap()),
                1 => Frame::Error(data.escape_ascii().to_string()),
                2 => Frame::Message(String::from_utf8(data[10..26].to_vec()).unwrap(), data[26..].to_vec()),
                other => panic!("a frame of type {other}"),
            };
            if frame != Frame::Response("_heartbeat_".to_owned()) {
                return Some(frame);
            }
        }
    }

    /// The next frame, which must be a message: its id and body.
    pub(crate) async fn message(&mut self) -> (String, Vec<u8>) {
        match self.frame().await {
            Some(Frame::Message(id, body)) => (id, body),
            other => panic!("a message was expected: {other:?}"),
        }
    }

    /// The next frame must be this error, behind which nsqd hangs up.
    pub(crate) async fn refused(mut self, error: &str) {
        assert_eq!(self.frame().await, Some(Frame::Error(error.to_owned())));
        assert_eq!(self.frame().await, None, "nsqd hangs up behind {error}");
    }

    /// nsqd must hang up without another word.
    pub(crate) async fn hung_up(mut self) {
        assert_eq!(self.frame().await, None);
    }

    /// Sends without ever reading until nsqd takes no more; returns how many bytes it took.
    pub(crate) async fn send_until_stuck(&mut self, bytes: &[u8], most: usize) -> usize {
        let mut sent = 0;
        while sent < most {
            match timeout(STUCK, self.0.write(&bytes[sent % bytes.len()..])).await {
                Ok(Ok(count)) => sent += count,
                Ok(Err(error)) => panic!("nsqd hung up: {error}"),
                Err(_) => break,
            }
        }
        sent
    }

    /// Whether nsqd has not hung up; what it has sent is dropped.
    pub(crate) fn is_connected(&self) -> bool {
        loop {
            match self.0.try_read(&mut [0; 1024]) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// For a thread that does nothing else.
    pub(crate) fn into_blocking(self) -> std::net::TcpStream {
        let socket = self.0.into_std().unwrap();
        socket.set_nonblocking(false).unwrap();
        socket
    }

    /// Fills `buffer`, or nothing of it if the other side has hung up.
    async fn read(&mut self, buffer: &mut [u8]) -> bool {
        let mut at = 0;
        while at < buffer.len() {
            match timeout(DEADLINE, self.0.read(&mut buffer[at..])).await.expect("an answer or the end") {
                Ok(0) => {
                    assert_eq!(at, 0, "nsqd hung up within a frame");
                    return false;
                }
                Ok(count) => at += count,
                Err(error) if at == 0 && is_hang_up(error.kind()) => return false,
                Err(error) => panic!("{error}"),
            }
        }
        true
    }
}

/// A command with a body.
pub(crate) fn command(line: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    [line.as_bytes(), b"\n", &sized(body.as_ref())].concat()
}

/// The body of an MPUB.
pub(crate) fn messages(bodies: &[&[u8]]) -> Vec<u8> {
    let bodies = bodies.iter().map(|body| sized(body)).collect::<Vec<_>>();
    [&i32::try_from(bodies.len()).unwrap().to_be_bytes()[..], &bodies.concat()].concat()
}

/// Bytes that nobody has thought of, the same each time.
pub(crate) fn garbage(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let count = random.usize(1..3000);
    std::iter::repeat_with(|| random.u8(..)).take(count).collect()
}

fn sized(body: &[u8]) -> Vec<u8> {
    [&i32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

fn is_hang_up(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

/// A server that takes nothing for so long has stopped reading; one that is only slow is sent less, and no harm done.
const STUCK: std::time::Duration = std::time::Duration::from_millis(500);
