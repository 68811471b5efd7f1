//! An auth server, as nsqd asks one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Grants the same to everyone, or nothing, and remembers what it was asked.
pub(crate) struct AuthServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl AuthServer {
    /// Grants these authorizations.
    pub(crate) async fn granting(authorizations: Value) -> Self {
        let answer = json!({
            "ttl": 3600,
            "identity": "billing",
            "identity_url": "http://who.example",
            "authorizations": authorizations,
        });
        Self::start("200 OK", answer.to_string()).await
    }

    pub(crate) async fn refusing() -> Self {
        Self::start("500 Internal Server Error", String::new()).await
    }

    /// The questions so far: the query of each URL.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    async fn start(status: &'static str, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let memory = asked.clone();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // A connection that nsqd gives up has no answer to get.
                let _ = serve(socket, &answer, &memory).await;
            }
        });
        Self { address, asked }
    }
}

async fn serve(mut socket: TcpStream, answer: &str, memory: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        request.push(char::from(socket.read_u8().await?));
    }
    let query = request.split(' ').nth(1).and_then(|target| target.strip_prefix("/auth?")).unwrap_or_default();
    memory.lock().unwrap().push(query.to_owned());
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await
}
