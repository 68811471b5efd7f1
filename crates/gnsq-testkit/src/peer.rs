//! A peer that says what a test dictates: listens, and accepts connections.

mod connection;

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::DEADLINE;

pub use connection::PeerConnection;

/// A TCP server that does what a test's script says, and fails the test when the client departs from it.
///
/// # Examples
///
/// ```
/// use gnsq_testkit::ScriptedPeer;
/// # use tokio::io::AsyncWriteExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let peer = ScriptedPeer::bind().await;
/// // In place of a client that connects to peer.address():
/// let mut client = tokio::net::TcpStream::connect(peer.address()).await.unwrap();
/// client.write_all(b"  V2IDENTIFY\n\0\0\0\x02{}SUB events archive\nRDY 1\n").await.unwrap();
///
/// let mut connection = peer.accept().await;
/// connection.handshake().await;
/// connection.expect_subscribe("events", "archive").await;
/// connection.expect_command("RDY 1").await;
/// connection.send_message(b"0123456789abcdef", 1, 1, b"hello").await;
/// # }
/// ```
#[derive(Debug)]
pub struct ScriptedPeer {
    listener: TcpListener,
    address: SocketAddr,
}

impl ScriptedPeer {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("127.0.0.1 has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        Self { listener, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection of the client.
    ///
    /// # Panics
    ///
    /// If none comes within [`DEADLINE`].
    pub async fn accept(&self) -> PeerConnection {
        let Ok(connection) = timeout(DEADLINE, self.listener.accept()).await else {
            panic!("the script expects a connection, but none came within {DEADLINE:?}");
        };
        let (stream, _) = connection.expect("a connection can be accepted");
        PeerConnection::new(stream)
    }
}

/// What nsqd 1.3.0 answers to IDENTIFY by default, to be changed and given to [`PeerConnection::handshake_with`].
pub fn identify_reply() -> Value {
    json!({
        "max_rdy_count": 2500,
        "version": "1.3.0",
        "max_msg_timeout": 900_000,
        "msg_timeout": 60_000,
        "tls_v1": false,
        "deflate": false,
        "deflate_level": 6,
        "max_deflate_level": 6,
        "snappy": false,
        "sample_rate": 0,
        "auth_required": false,
        "output_buffer_size": 16_384,
        "output_buffer_timeout": 250,
    })
}
