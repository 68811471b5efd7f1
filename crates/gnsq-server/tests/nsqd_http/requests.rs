//! Requests to both servers, and what of their answers is comparable.

use std::net::SocketAddr;

use gnsq_server::NsqdBuilder;
use gnsq_testkit::DEADLINE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An embedded nsqd and a real one with the same options.
pub(crate) struct Both {
    pub(crate) embedded: gnsq_server::Nsqd,
    pub(crate) real: gnsq_testkit::Nsqd,
}

impl Both {
    pub(crate) async fn start(embedded: NsqdBuilder, flags: &[&str]) -> Self {
        let real = flags.iter().fold(gnsq_testkit::Nsqd::builder(), |builder, flag| builder.arg(*flag));
        Self { embedded: embedded.start().await.unwrap(), real: real.start().await }
    }

    /// What each answers: the embedded one, then the real one.
    pub(crate) async fn ask(&self, request: &str, body: impl AsRef<[u8]>) -> [String; 2] {
        let embedded = http_address(&self.embedded);
        [ask(embedded, request, body.as_ref()).await, ask(self.real.http_address(), request, body.as_ref()).await]
    }

    /// Both must give the same answer, which is returned.
    pub(crate) async fn agree(&self, request: &str, body: impl AsRef<[u8]>) -> String {
        let body = body.as_ref();
        let [embedded, real] = self.ask(request, body).await;
        let shown = body[..body.len().min(40)].escape_ascii();
        assert_eq!(embedded, real, "{request} with {} bytes: {shown}", body.len());
        real
    }
}

pub(crate) fn http_address(nsqd: &gnsq_server::Nsqd) -> SocketAddr {
    nsqd.http_address().parse().unwrap()
}

/// Sends `request`, such as `POST /pub?topic=a`, with its body, and returns the whole answer without what depends on the
/// time or the way it is sent: the date, whether the connection closes, and the headers' order.
pub(crate) async fn ask(address: SocketAddr, request: &str, body: &[u8]) -> String {
    let length = body.len();
    let head = format!("{request} HTTP/1.1\r\nHost: nsqd\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let answer = exchange(address, &[head.as_bytes(), body].concat()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request} is answered by {answer:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap();
    let is_chunked = lines.clone().any(|line| line == "Transfer-Encoding: chunked");
    let mut headers: Vec<_> = lines
        .filter(|line| !["Date", "Connection", "Transfer-Encoding"].contains(&line.split(':').next().unwrap()))
        .map(str::to_owned)
        .collect();
    // Go sends what is long in chunks; that it is whole is what matters.
    let body = if is_chunked { unchunked(body) } else { body.to_owned() };
    if is_chunked {
        headers.push(format!("Content-Length: {}", body.len()));
    }
    headers.sort();
    format!("{status}\n{}\n\n{body}", headers.join("\n"))
}

/// Sends bytes and returns what comes until the server closes.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let exchange = async {
        // A server that has heard enough may close before the end, and the answer is there nevertheless.
        let _ = socket.write_all(bytes).await;
        let _ = socket.read_to_end(&mut answer).await;
    };
    timeout(DEADLINE, exchange).await.expect("the server closes when it has answered");
    String::from_utf8(answer).unwrap()
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    whole
}
