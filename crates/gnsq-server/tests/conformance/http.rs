//! HTTP requests as they are typed, and answers taken apart by itself.

mod expect;

use std::fmt::Write;

use gnsq_testkit::DEADLINE;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::server::Address;
use crate::wire::Socket;
pub(crate) use expect::{Empty, Error, Expect, Json, Text};

/// An HTTP server's address.
pub(crate) struct Http(Address);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) fn at(address: Address) -> Self {
        Self(address)
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.request("GET", target, &[], b"").await
    }

    pub(crate) async fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request("POST", target, &[], body.as_ref()).await
    }

    pub(crate) async fn put(&self, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request("PUT", target, &[], body.as_ref()).await
    }

    /// The JSON that answers a GET, which must succeed.
    pub(crate) async fn json(&self, target: &str) -> Value {
        let answer = self.get(target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error} in {}", answer.text()))
    }

    /// Sends one request, with `Content-Length` unless `headers` have a transfer encoding, and takes the answer.
    pub(crate) async fn request(&self, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: nsq\r\nConnection: close\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        if !headers.iter().any(|header| header.starts_with("Transfer-Encoding")) {
            write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(body);
        let answer = self.exchange(&bytes).await;
        Answer::parse(&answer, method == "HEAD")
            .unwrap_or_else(|| panic!("{method} {target} is answered by {}", answer.escape_ascii()))
    }

    /// Sends these bytes and returns all that comes until the server hangs up.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut socket: Box<dyn Socket> = match &self.0 {
            Address::Tcp(address) => Box::new(TcpStream::connect(address).await.unwrap()),
            Address::Unix(path) => Box::new(UnixStream::connect(path).await.unwrap()),
        };
        exchange(&mut socket, bytes).await
    }
}

/// Sends these bytes and returns all that comes until the server hangs up.
pub(crate) async fn exchange(socket: &mut Box<dyn Socket>, bytes: &[u8]) -> Vec<u8> {
    let mut received = Vec::new();
    let exchange = async {
        // Whoever refuses a body hangs up before it has read it: what it said is there all the same.
        let _ = socket.write_all(bytes).await;
        let _ = socket.flush().await;
        let _ = socket.read_to_end(&mut received).await;
    };
    let in_time = timeout(DEADLINE, exchange).await.is_ok();
    assert!(in_time, "no end of the answer to {}: {}", bytes.escape_ascii(), received.escape_ascii());
    received
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8], without_body: bool) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        let headers: Option<_> = lines
            .map(|line| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())))
            .collect();
        let mut answer = Self { status, headers: headers?, body: bytes[end + 4..].to_vec() };
        if answer.header("transfer-encoding").is_some_and(|encoding| encoding == "chunked") {
            answer.body = unchunked(&answer.body)?;
        } else if !without_body && let Some(length) = answer.header("content-length") {
            (length.parse() == Ok(answer.body.len())).then_some(())?;
        }
        Some(answer)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(has, _)| has == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} comes twice");
        value
    }
}

fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        let chunk = bytes.get(end + 2..end + 2 + size)?;
        body.extend(chunk);
        bytes = bytes[end + 2 + size..].strip_prefix(b"\r\n")?;
        if size == 0 {
            return bytes.is_empty().then_some(body);
        }
    }
}
