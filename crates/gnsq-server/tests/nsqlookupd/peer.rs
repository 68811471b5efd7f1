//! A connection of nsqlookupd's TCP protocol, word by word.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) struct Peer(TcpStream);

impl Peer {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// One that has introduced itself as an nsqd of 127.0.0.1.
    pub(crate) async fn nsqd(address: SocketAddr, tcp_port: u16, http_port: u16) -> Self {
        let mut this = Self::connect(address).await;
        this.send(b"  V1").await;
        this.send(identify(&identity(tcp_port, http_port))).await;
        assert!(this.reply().await.unwrap().starts_with('{'));
        this
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a command that has to be answered `OK`.
    pub(crate) async fn command(&mut self, line: &str) {
        self.send(format!("{line}\n")).await;
        assert_eq!(self.reply().await.as_deref(), Some("OK"), "{line}");
    }

    /// The next answer; nothing when the connection is closed.
    pub(crate) async fn reply(&mut self) -> Option<String> {
        let read = async {
            let mut size = [0; 4];
            match self.0.read_exact(&mut size).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
                size => size.unwrap(),
            };
            let mut data = vec![0; u32::from_be_bytes(size) as usize];
            self.0.read_exact(&mut data).await.unwrap();
            Some(String::from_utf8(data).unwrap())
        };
        timeout(Duration::from_secs(20), read).await.expect("an answer")
    }

    /// All answers until the connection is closed.
    pub(crate) async fn replies(mut self) -> Vec<String> {
        let mut replies = Vec::new();
        while let Some(reply) = self.reply().await {
            replies.push(reply);
        }
        replies
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

pub(crate) fn identity(tcp_port: u16, http_port: u16) -> String {
    format!(
        r#"{{"broadcast_address":"127.0.0.1","hostname":"h<&>","tcp_port":{tcp_port},"http_port":{http_port},"version":"1.3.0"}}"#
    )
}

pub(crate) fn identify(body: &str) -> Vec<u8> {
    let size = u32::try_from(body.len()).unwrap().to_be_bytes();
    [b"IDENTIFY\n", &size[..], body.as_bytes()].concat()
}
