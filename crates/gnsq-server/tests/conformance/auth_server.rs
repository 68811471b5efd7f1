//! An auth server that grants what a test tells it to.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers each request in the same way, until it is told another.
pub(crate) struct AuthServer {
    pub(crate) address: String,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

struct Shared {
    status: u16,
    body: String,
    requests: Vec<String>,
}

impl AuthServer {
    /// A server that grants everything, for an hour.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Shared { status: 200, body: grants(3600, &json!([all()])), requests: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        let task = tokio::spawn(serve(listener, shared.clone()));
        Self { address, shared, task }
    }

    /// From now on it answers with this.
    pub(crate) fn answer(&self, status: u16, body: impl Into<String>) {
        let mut shared = self.shared.lock().unwrap();
        (shared.status, shared.body) = (status, body.into());
    }

    /// From now on it grants this for so many seconds.
    pub(crate) fn grant(&self, ttl: i64, authorizations: &Value) {
        self.answer(200, grants(ttl, authorizations));
    }

    /// The first lines and the headers of the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().unwrap().requests)
    }

    /// The flag that makes an nsqd ask here.
    pub(crate) fn flag(&self) -> String {
        format!("--auth-http-address={}", self.address)
    }
}

impl Drop for AuthServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Everything is granted.
pub(crate) fn all() -> Value {
    grant(".*", &[".*"], &["publish", "subscribe"])
}

pub(crate) fn grant(topic: &str, channels: &[&str], permissions: &[&str]) -> Value {
    json!({"topic": topic, "channels": channels, "permissions": permissions})
}

fn grants(ttl: i64, authorizations: &Value) -> String {
    let answer = json!({"ttl": ttl, "identity": "me", "identity_url": "http://me/", "authorizations": authorizations});
    answer.to_string()
}

async fn serve(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
        let answer = {
            let mut shared = shared.lock().unwrap();
            shared.requests.push(String::from_utf8(request).unwrap());
            let Shared { status, body, .. } = &*shared;
            format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        };
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}
