//! Just enough HTTP to ask nsqd and nsqlookupd, without the weight of a client.

use std::fmt::Write;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::DEADLINE;

/// Asks for `target`, a path with its query, and returns the status and the body.
///
/// # Panics
///
/// If no answer comes; see [`request`] for a server that may be down.
pub async fn get(address: SocketAddr, target: &str) -> (u16, String) {
    request(address, "GET", target, b"").await.unwrap_or_else(|error| panic!("GET http://{address}{target}: {error}"))
}

/// Sends `body` to `target`, a path with its query, and returns the status and the body of the answer.
///
/// # Panics
///
/// If no answer comes; see [`request`] for a server that may be down.
pub async fn post(address: SocketAddr, target: &str, body: impl AsRef<[u8]>) -> (u16, String) {
    request(address, "POST", target, body.as_ref())
        .await
        .unwrap_or_else(|error| panic!("POST http://{address}{target}: {error}"))
}

/// Sends one request and returns the status and the body of the answer.
///
/// # Errors
///
/// Those of the connection; [`ErrorKind::TimedOut`] after [`DEADLINE`]; [`ErrorKind::InvalidData`] if the answer isn't
/// HTTP, ends before its announced length, or has a body that isn't UTF-8.
pub async fn request(address: SocketAddr, method: &str, target: &str, body: &[u8]) -> Result<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        // 1.0 promises that the answer isn't chunked and ends with the connection.
        let head = format!("{method} {target} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
        parse(&answer)
            .ok_or_else(|| Error::new(ErrorKind::InvalidData, format!("not an HTTP answer: {}", answer.escape_ascii())))
    };
    timeout(DEADLINE, exchange).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// Makes `text` fit for the value of a query parameter.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let (head, body) = std::str::from_utf8(answer).ok()?.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") && value.trim().parse() != Ok(body.len()) {
            return None;
        }
    }
    Some((status, body.to_owned()))
}

/// Far beyond any statistics; a server gone mad fails the test instead of filling the memory.
const MAX_ANSWER: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        assert_eq!(parse(b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\nnone"), Some((404, "none".to_owned())));
    }

    #[test]
    fn an_answer_that_is_cut_anywhere_is_refused() {
        let answer = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(parse(answer), Some((200, "hello".to_owned())));
        for length in 0..answer.len() {
            assert_eq!(parse(&answer[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn what_a_query_would_misread_is_escaped() {
        assert_eq!(escape("a.b-c_1#ephemeral"), "a.b-c_1%23ephemeral");
    }
}
