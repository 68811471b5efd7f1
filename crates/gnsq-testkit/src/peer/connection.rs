//! One scripted connection: what it expects and what it sends.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io;

use bytes::{Buf, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::identify_reply;
use crate::DEADLINE;

/// One connection of a client to a [`ScriptedPeer`](super::ScriptedPeer).
///
/// Whatever the client does that the script doesn't expect, or fails to do within [`DEADLINE`], is a panic that says
/// what was expected, what came, and which steps of the script went well before.
#[derive(Debug)]
pub struct PeerConnection {
    stream: TcpStream,
    received: BytesMut,
    /// The latest steps that went well.
    steps: VecDeque<String>,
}

/// What the client says.
impl PeerConnection {
    /// Expects exactly these bytes.
    ///
    /// # Panics
    ///
    /// At the first byte that differs.
    pub async fn expect_bytes(&mut self, expected: &[u8]) {
        let wanted = format!("the bytes \"{}\"", expected.escape_ascii());
        while self.received.len() < expected.len() && expected.starts_with(&self.received) {
            self.receive(&wanted).await;
        }
        if !self.received.starts_with(expected) {
            self.fail(&wanted, "other bytes came");
        }
        self.received.advance(expected.len());
        self.done(wanted);
    }

    /// Expects a line, and returns it without its `\n`.
    ///
    /// # Panics
    ///
    /// If 16 KiB, nsqd's limit, come without `\n`.
    pub async fn expect_line(&mut self) -> String {
        let line = self.line("a line").await;
        self.done(format!("the line {line:?}"));
        line
    }

    /// The next line without its `\n`, whatever it is, or `None` when the client has closed its side in order.
    ///
    /// # Panics
    ///
    /// If 16 KiB come without `\n`, the connection is reset, or it ends within a line.
    pub async fn next_line(&mut self) -> Option<String> {
        let wanted = "a line or the end";
        if self.received.is_empty() && !self.receive_some(wanted).await {
            self.done("the end".to_owned());
            return None;
        }
        let line = self.line(wanted).await;
        self.done(format!("the line {line:?}"));
        Some(line)
    }

    /// Expects this line, given without its `\n`.
    ///
    /// # Panics
    ///
    /// If another one comes.
    pub async fn expect_command(&mut self, expected: &str) {
        let wanted = format!("the line {expected:?}");
        let line = self.line(&wanted).await;
        if line != expected {
            self.fail(&wanted, format_args!("the line {line:?} came"));
        }
        self.done(wanted);
    }

    /// Expects a body: its length as 4 bytes, big endian, and that many bytes, which are returned.
    ///
    /// # Panics
    ///
    /// If it is longer than 64 MiB.
    pub async fn expect_body(&mut self) -> Vec<u8> {
        let body = self.body("a body").await;
        self.done(format!("a body of {} bytes", body.len()));
        body
    }

    /// Expects what a client of nsqd says first, `"  V2"`.
    ///
    /// # Panics
    ///
    /// If something else comes.
    pub async fn expect_magic(&mut self) {
        self.expect_bytes(b"  V2").await;
    }

    /// Expects IDENTIFY and returns its body. There is no answer yet.
    ///
    /// # Panics
    ///
    /// If something else comes, or a body that isn't JSON.
    pub async fn expect_identify(&mut self) -> Value {
        self.expect_command("IDENTIFY").await;
        let body = self.expect_body().await;
        match serde_json::from_slice(&body) {
            Ok(value) => value,
            Err(error) => self.fail("JSON in IDENTIFY", format_args!("{error} in \"{}\"", body.escape_ascii())),
        }
    }

    /// Expects the magic and IDENTIFY, answers as nsqd does by default, and returns IDENTIFY's body.
    ///
    /// # Panics
    ///
    /// If something else comes.
    pub async fn handshake(&mut self) -> Value {
        self.handshake_with(&identify_reply()).await
    }

    /// Expects the magic and IDENTIFY, answers `reply`, and returns IDENTIFY's body.
    ///
    /// # Panics
    ///
    /// If something else comes.
    pub async fn handshake_with(&mut self, reply: &Value) -> Value {
        self.expect_magic().await;
        let identify = self.expect_identify().await;
        self.send_response(reply.to_string()).await;
        identify
    }

    /// Expects SUB for this topic and channel, and answers `OK`.
    ///
    /// # Panics
    ///
    /// If something else comes.
    pub async fn expect_subscribe(&mut self, topic: &str, channel: &str) {
        self.expect_command(&format!("SUB {topic} {channel}")).await;
        self.send_response("OK").await;
    }

    /// Expects PUB for this topic and returns the message. There is no answer yet.
    ///
    /// # Panics
    ///
    /// If something else comes.
    pub async fn expect_publish(&mut self, topic: &str) -> Vec<u8> {
        self.expect_command(&format!("PUB {topic}")).await;
        self.expect_body().await
    }

    /// Expects the client to close the connection, or reset it, without another byte.
    ///
    /// # Panics
    ///
    /// If bytes come.
    pub async fn expect_closed(mut self) {
        let wanted = "the client to close the connection";
        if self.received.is_empty() {
            match timeout(DEADLINE, self.stream.read_buf(&mut self.received)).await {
                Ok(Ok(0)) => return,
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => return,
                Ok(Err(error)) => self.fail(wanted, error),
                Ok(Ok(_)) => {}
                Err(_) => self.fail(wanted, format_args!("it stayed open for {DEADLINE:?}")),
            }
        }
        self.fail(wanted, "bytes came");
    }
}

/// What the server says.
impl PeerConnection {
    /// Sends a response, such as `OK`.
    ///
    /// # Panics
    ///
    /// If the client has closed the connection, or doesn't read for [`DEADLINE`]; so do all that send.
    pub async fn send_response(&mut self, response: impl AsRef<[u8]>) {
        self.send_frame(RESPONSE, response.as_ref()).await;
    }

    /// Sends an error: its code, a space and its text.
    ///
    /// # Panics
    ///
    /// As [`send_response`](Self::send_response).
    pub async fn send_error(&mut self, error: &str) {
        self.send_frame(ERROR, error.as_bytes()).await;
    }

    /// Sends a message with its timestamp in nanoseconds since 1970.
    ///
    /// # Panics
    ///
    /// As [`send_response`](Self::send_response).
    pub async fn send_message(&mut self, id: &[u8; 16], timestamp: i64, attempts: u16, body: &[u8]) {
        let data = [&timestamp.to_be_bytes()[..], &attempts.to_be_bytes(), id, body].concat();
        self.send_frame(MESSAGE, &data).await;
    }

    /// Sends a heartbeat. The client owes a NOP, or any other command, which the script has to expect.
    ///
    /// # Panics
    ///
    /// As [`send_response`](Self::send_response).
    pub async fn heartbeat(&mut self) {
        self.send_response("_heartbeat_").await;
    }

    /// Sends a frame of any type: 0 is a response, 1 an error, 2 a message.
    ///
    /// # Panics
    ///
    /// As [`send_response`](Self::send_response), or if the frame is longer than its length can tell.
    pub async fn send_frame(&mut self, kind: i32, data: &[u8]) {
        let size = i32::try_from(data.len() + 4).expect("a frame is shorter than 2 GiB");
        self.send_raw(&[&size.to_be_bytes()[..], &kind.to_be_bytes(), data].concat()).await;
    }

    /// Sends these bytes and nothing around them.
    ///
    /// # Panics
    ///
    /// As [`send_response`](Self::send_response).
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        let wanted = format!("to send {}", summary(bytes));
        match timeout(DEADLINE, self.stream.write_all(bytes)).await {
            Ok(Ok(())) => self.done(format!("sent {}", summary(bytes))),
            Ok(Err(error)) => self.fail(&wanted, error),
            Err(_) => self.fail(&wanted, format_args!("the client read nothing for {DEADLINE:?}")),
        }
    }

    /// Closes the connection in order: the client reads what was sent, then the end.
    ///
    /// What else the client sends is dropped.
    pub async fn close(mut self) {
        // Fails only if the client has closed the connection first.
        let _ = self.stream.shutdown().await;
        // Unread bytes would make the system reset the connection.
        tokio::spawn(async move {
            let _ = timeout(DEADLINE, tokio::io::copy(&mut self.stream, &mut tokio::io::sink())).await;
        });
    }

    /// Resets the connection: the client's next read or write fails, and what it has not read may be lost.
    ///
    /// # Panics
    ///
    /// If the system can't.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("a socket can be told to linger for no time");
    }
}

impl PeerConnection {
    pub(super) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket can be told not to delay");
        Self { stream, received: BytesMut::new(), steps: VecDeque::new() }
    }

    async fn line(&mut self, wanted: &str) -> String {
        loop {
            if let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
                let line = self.received.split_to(end);
                self.received.advance(1);
                return String::from_utf8_lossy(&line).into_owned();
            }
            if self.received.len() > MAX_LINE {
                self.fail(wanted, "its end is missing");
            }
            self.receive(wanted).await;
        }
    }

    async fn body(&mut self, wanted: &str) -> Vec<u8> {
        while self.received.len() < 4 {
            self.receive(wanted).await;
        }
        let length = self.received.get_u32() as usize;
        if length > MAX_BODY {
            self.fail(wanted, format_args!("one of {length} bytes was announced"));
        }
        while self.received.len() < length {
            self.receive(wanted).await;
        }
        self.received.split_to(length).into()
    }

    async fn receive(&mut self, wanted: &str) {
        if !self.receive_some(wanted).await {
            self.fail(wanted, "the client closed the connection");
        }
    }

    /// Returns whether bytes came; they don't at the end.
    async fn receive_some(&mut self, wanted: &str) -> bool {
        match timeout(DEADLINE, self.stream.read_buf(&mut self.received)).await {
            Ok(Ok(count)) => count > 0,
            Ok(Err(error)) => self.fail(wanted, error),
            Err(_) => self.fail(wanted, format_args!("nothing more came for {DEADLINE:?}")),
        }
    }

    fn done(&mut self, step: String) {
        if self.steps.len() == KEPT_STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
    }

    fn fail(&self, wanted: &str, came: impl Display) -> ! {
        let steps: String = self.steps.iter().flat_map(|step| ["\n  ", step]).collect();
        panic!("the script wants {wanted}, but: {came}\nnot yet expected: {}\nbefore:{steps}", summary(&self.received));
    }
}

fn summary(bytes: &[u8]) -> String {
    match bytes.split_at_checked(SHOWN_BYTES) {
        Some((start, rest)) if !rest.is_empty() => {
            format!("\"{}\" and {} bytes more", start.escape_ascii(), rest.len())
        }
        _ => format!("\"{}\"", bytes.escape_ascii()),
    }
}

const RESPONSE: i32 = 0;
const ERROR: i32 = 1;
const MESSAGE: i32 = 2;

/// nsqd reads no longer line.
const MAX_LINE: usize = 16 << 10;
/// Beyond the 5 MiB that nsqd takes by default; more is a length that was misread.
const MAX_BODY: usize = 64 << 20;
/// What a failure shows of the dialogue before it.
const KEPT_STEPS: usize = 16;
const SHOWN_BYTES: usize = 200;
