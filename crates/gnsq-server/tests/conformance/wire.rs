//! A client that sends what it is told and takes the answers apart by itself, so that it shares no misreading with gnsq.

mod compression;
mod frame;
mod tls;

use std::io::ErrorKind;
use std::time::Duration;

use gnsq_testkit::DEADLINE;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::server::Address;
use compression::Compression;
pub(crate) use frame::{Frame, Message};
pub(crate) use tls::TlsClient;

/// One connection. Everything that waits fails the test after [`DEADLINE`].
pub(crate) struct Client {
    socket: Box<dyn Socket>,
    compression: Compression,
    /// What has arrived and has not been taken, without compression.
    input: Vec<u8>,
    /// For the message of a test that fails.
    last_sent: Vec<u8>,
}

pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

impl Client {
    /// Connects, and says nothing.
    pub(crate) async fn open(address: &Address) -> Self {
        let socket: Box<dyn Socket> = match address {
            Address::Tcp(address) => Box::new(TcpStream::connect(address).await.unwrap()),
            Address::Unix(path) => Box::new(UnixStream::connect(path).await.unwrap()),
        };
        Self { socket, compression: Compression::None, input: Vec::new(), last_sent: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.last_sent = bytes.to_vec();
        let compressed = self.compression.compress(bytes);
        let write = async {
            self.socket.write_all(&compressed).await?;
            self.socket.flush().await
        };
        match timeout(DEADLINE, write).await {
            // The answer tells why the server hung up.
            Ok(Ok(())) => {}
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            other => panic!("{other:?} when sending {}", self.sent()),
        }
    }

    /// Says that nothing more will be sent, and goes on receiving.
    pub(crate) async fn end_sending(&mut self) {
        self.socket.shutdown().await.unwrap();
    }

    /// The next frame from nsqd.
    pub(crate) async fn frame(&mut self) -> Frame {
        let data = self.sized().await;
        Frame::decode(&data).unwrap_or_else(|| panic!("not a frame: {}, after {}", data.escape_ascii(), self.sent()))
    }

    /// The next response.
    pub(crate) async fn response(&mut self) -> String {
        match self.frame().await {
            Frame::Response(text) => text,
            other => panic!("expected a response, got {other:?}, after {}", self.sent()),
        }
    }

    pub(crate) async fn expect(&mut self, response: &str) {
        let got = self.response().await;
        assert_eq!(got, response, "after {}", self.sent());
    }

    pub(crate) async fn ok(&mut self) {
        self.expect("OK").await;
    }

    pub(crate) async fn message(&mut self) -> Message {
        match self.frame().await {
            Frame::Message(message) => message,
            other => panic!("expected a message, got {other:?}, after {}", self.sent()),
        }
    }

    /// Publishes to topic `t`, of which it is the only consumer, and takes the message and the OK, whichever is first.
    pub(crate) async fn published(&mut self, body: &str) -> Message {
        self.send(command("PUB t", body)).await;
        match self.frame().await {
            Frame::Message(message) => {
                self.ok().await;
                message
            }
            other => {
                assert_eq!(other, Frame::Response("OK".to_owned()));
                self.message().await
            }
        }
    }

    /// The next frame must be this error; the connection stays open.
    pub(crate) async fn error(&mut self, error: impl AsRef<[u8]>) {
        let frame = self.frame().await;
        assert_eq!(frame, Frame::Error(error.into()), "after {}", self.sent());
    }

    /// The next frame must be this error, and the last one.
    pub(crate) async fn refused(&mut self, error: impl AsRef<[u8]>) {
        self.error(error).await;
        self.end().await;
    }

    /// The server must hang up without another byte.
    pub(crate) async fn end(&mut self) {
        while self.fill().await {}
        assert!(self.input.is_empty(), "more came: {}, after {}", self.input.escape_ascii(), self.sent());
    }

    /// The next frame must be an error, of which this is the text.
    pub(crate) async fn any_error(&mut self) -> String {
        match self.frame().await {
            Frame::Error(error) => error.to_string(),
            other => panic!("expected an error, got {other:?}, after {}", self.sent()),
        }
    }

    /// Whether an OK is next; the end of the connection is no OK.
    pub(crate) async fn is_ok(&mut self) -> bool {
        while self.input.len() < 10 {
            if !self.fill().await {
                assert!(self.input.is_empty(), "ended after {}", self.input.escape_ascii());
                return false;
            }
        }
        self.ok().await;
        true
    }

    /// Goes through the handshake; none if the server refuses.
    pub(crate) async fn upgrade_to_tls(&mut self, tls: TlsClient<'_>) -> Option<()> {
        assert!(self.input.is_empty(), "more came in clear text: {}", self.input.escape_ascii());
        let socket = std::mem::replace(&mut self.socket, Box::new(tokio::io::empty()));
        self.socket = timeout(DEADLINE, tls.handshake(socket)).await.expect("an end of the handshake").ok()?;
        Some(())
    }

    /// What is behind the reply to IDENTIFY is deflated.
    pub(crate) fn upgrade_to_deflate(&mut self) {
        self.upgrade(Compression::deflate());
    }

    /// What is behind the reply to IDENTIFY is in snappy's frames.
    pub(crate) fn upgrade_to_snappy(&mut self) {
        self.upgrade(Compression::snappy());
    }

    fn upgrade(&mut self, compression: Compression) {
        self.compression = compression;
        let received = std::mem::take(&mut self.input);
        self.compression.decompress(&received, &mut self.input);
    }

    /// The server must have kept the connection and have sent nothing more: an OK comes next, and is for this PUB.
    pub(crate) async fn stays(&mut self) {
        let sent = std::mem::take(&mut self.last_sent);
        self.send(command("PUB stays#ephemeral", "x")).await;
        self.last_sent = sent;
        self.ok().await;
    }

    /// An HTTP server must hang up, and must not have answered with success.
    pub(crate) async fn ends_without_success(&mut self) {
        while self.fill().await {}
        assert!(!self.input.starts_with(b"HTTP/1.1 2"), "{}", self.input.escape_ascii());
    }

    /// The next answer from nsqlookupd: a size and a text.
    pub(crate) async fn answer(&mut self) -> String {
        let answer = self.sized().await;
        String::from_utf8(answer).unwrap_or_else(|error| panic!("{error}, after {}", self.sent()))
    }

    /// The next answer from nsqlookupd must be this one.
    pub(crate) async fn answers(&mut self, expected: impl AsRef<[u8]>) {
        let answer = self.sized().await;
        let expected = expected.as_ref();
        assert!(
            answer == expected,
            "{}, not {}, after {}",
            answer.escape_ascii(),
            expected.escape_ascii(),
            self.sent()
        );
    }

    /// The next bytes, without compression, as many as asked for.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.input.len() < count {
            let more = self.fill().await;
            assert!(more, "ended after {}, when {} was sent", self.input.escape_ascii(), self.sent());
        }
        let rest = self.input.split_off(count);
        std::mem::replace(&mut self.input, rest)
    }

    /// How long passes until the server hangs up, of which it gives no other sign than heartbeats: their number too.
    pub(crate) async fn heartbeats_until_end(&mut self) -> (usize, Duration) {
        let start = std::time::Instant::now();
        while self.fill().await {}
        let heartbeat = [&[0, 0, 0, 15, 0, 0, 0, 0][..], b"_heartbeat_"].concat();
        let heartbeats = self.input.chunks(heartbeat.len()).inspect(|&chunk| assert_eq!(chunk, heartbeat)).count();
        self.input.clear();
        (heartbeats, start.elapsed())
    }

    /// What a size of four bytes announces.
    async fn sized(&mut self) -> Vec<u8> {
        let size = i32::from_be_bytes(self.bytes(4).await.try_into().unwrap());
        let size = usize::try_from(size).ok().filter(|&size| size <= MAX_SIZE);
        let Some(size) = size else { panic!("a frame of a bad size, after {}", self.sent()) };
        self.bytes(size).await
    }

    /// Receives more; false at the end.
    async fn fill(&mut self) -> bool {
        let mut buffer = Vec::with_capacity(16 * 1024);
        let received = match timeout(DEADLINE, self.socket.read_buf(&mut buffer)).await {
            Ok(Ok(received)) => received,
            // A server that closes before it has read everything resets, and everything that came before is read.
            // A refused certificate ends the stream too.
            Ok(Err(error))
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::InvalidData
                ) =>
            {
                0
            }
            Ok(Err(error)) => panic!("{error} when receiving, after {}", self.sent()),
            Err(elapsed) => {
                panic!("{elapsed}: nothing comes, after {}; got so far: {}", self.sent(), self.input.escape_ascii())
            }
        };
        self.compression.decompress(&buffer, &mut self.input);
        received > 0
    }

    fn sent(&self) -> String {
        let (start, more) = match self.last_sent.split_at_checked(200) {
            Some((start, _)) => (start, "…"),
            None => (&self.last_sent[..], ""),
        };
        format!("{}{more}", start.escape_ascii())
    }
}

/// A command with a body.
pub(crate) fn command(line: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    [line.as_bytes(), b"\n", &size(body.len()), body].concat()
}

/// MPUB of these messages.
pub(crate) fn mpub(topic: &str, messages: &[&str]) -> Vec<u8> {
    let mut body = size(messages.len()).to_vec();
    for message in messages {
        body.extend(size(message.len()));
        body.extend(message.as_bytes());
    }
    command(&format!("MPUB {topic}"), body)
}

/// A line, and behind it these numbers of four bytes.
pub(crate) fn numbers(line: &str, numbers: &[i32]) -> Vec<u8> {
    let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    [line.as_bytes(), b"\n", &numbers].concat()
}

fn size(length: usize) -> [u8; 4] {
    i32::try_from(length).unwrap().to_be_bytes()
}

/// Beyond anything that these tests make a server send.
const MAX_SIZE: usize = 8 << 20;
