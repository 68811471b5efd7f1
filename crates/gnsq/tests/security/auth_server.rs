//! An auth server, as nsqd asks one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Grants the same to everyone, or nothing, and remembers what it was asked.
pub(crate) struct AuthServer {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    answer: Mutex<String>,
    asked: Mutex<Vec<String>>,
}

impl AuthServer {
    /// Grants these authorizations for an hour.
    pub(crate) async fn granting(authorizations: Value) -> Self {
        let server = Self::refusing().await;
        server.grant(3600, &authorizations);
        server
    }

    /// Everything with the topic `t`, and the channel `c`.
    pub(crate) async fn granting_t() -> Self {
        Self::granting(everything_with_t()).await
    }

    pub(crate) async fn refusing() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, state: Arc::default() };
        server.refuse();
        let state = server.state.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // A connection that nsqd gives up has no answer to get.
                let _ = serve(socket, &state).await;
            }
        });
        server
    }

    /// Grants these authorizations from now on, for so many seconds.
    pub(crate) fn grant(&self, ttl: u32, authorizations: &Value) {
        let answer = json!({
            "ttl": ttl,
            "identity": "billing",
            "identity_url": "http://who.example",
            "authorizations": authorizations,
        });
        self.answer("200 OK", &answer.to_string());
    }

    /// Fails from now on.
    pub(crate) fn refuse(&self) {
        self.answer("500 Internal Server Error", "");
    }

    /// The questions so far: the query of each URL.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }

    fn answer(&self, status: &str, body: &str) {
        let length = body.len();
        *self.state.answer.lock().unwrap() =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    }
}

/// Everything with the topic `t`, and the channel `c`.
pub(crate) fn everything_with_t() -> Value {
    json!([{"topic": "^t$", "channels": ["^c?$"], "permissions": ["publish", "subscribe"]}])
}

async fn serve(mut socket: TcpStream, state: &State) -> std::io::Result<()> {
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        request.push(char::from(socket.read_u8().await?));
    }
    let query = request.split(' ').nth(1).and_then(|target| target.strip_prefix("/auth?")).unwrap_or_default();
    state.asked.lock().unwrap().push(query.to_owned());
    let answer = state.answer.lock().unwrap().clone();
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await
}
