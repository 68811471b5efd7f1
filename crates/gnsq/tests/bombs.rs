//! Few bytes that stand for many: a consumer reads no more of them than it has room for.
//!
//! A program of its own: its memory is measured.

#![cfg(all(target_os = "linux", feature = "snappy", feature = "deflate"))]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod common;

use bytes::{Buf, BytesMut};
use common::{event, id, within};
use gnsq::{ConnectionConfig, ConnectionError, Consumer, Error};
use gnsq_proto::compress::{Codec, Progress};
use gnsq_testkit::identify_reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The far end of a compressed connection.
struct Peer {
    socket: TcpStream,
    codec: Codec,
    received: BytesMut,
    plain: BytesMut,
}

impl Peer {
    /// Accepts a connection up to the OK for SUB; what was granted is compressed from IDENTIFY's answer on.
    async fn accept(listener: &TcpListener, feature: &str, codec: Codec) -> Self {
        let (mut socket, _) = within(listener.accept()).await.unwrap();
        within(socket.read_exact(&mut [0; 4 + 9])).await.unwrap();
        let length = within(socket.read_u32()).await.unwrap();
        within(socket.read_exact(&mut vec![0; length as usize])).await.unwrap();
        let mut reply = identify_reply();
        reply[feature] = true.into();
        socket.write_all(&frame(0, reply.to_string().as_bytes())).await.unwrap();
        let mut peer = Self { socket, codec, received: BytesMut::new(), plain: BytesMut::new() };
        peer.send(&frame(0, b"OK")).await;
        assert_eq!(peer.line().await, "SUB t c");
        peer.send(&frame(0, b"OK")).await;
        assert_eq!(peer.line().await, "RDY 1");
        peer
    }

    async fn send(&mut self, bytes: &[u8]) {
        let mut compressed = BytesMut::new();
        self.codec.compress(bytes, &mut compressed);
        // A client that has seen enough has closed its side.
        let _ = within(self.socket.write_all(&compressed)).await;
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.plain.iter().position(|byte| *byte == b'\n') {
                let line = self.plain.split_to(end);
                self.plain.advance(1);
                return String::from_utf8(line.to_vec()).unwrap();
            }
            assert_ne!(within(self.socket.read_buf(&mut self.received)).await.unwrap(), 0, "the client is gone");
            let progress = self.codec.decompress(&mut self.received, &mut self.plain, 1 << 20);
            assert_eq!(progress, Ok(Progress::Starved));
        }
    }
}

fn frame(kind: u32, data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len() + 4).unwrap();
    [&size.to_be_bytes()[..], &kind.to_be_bytes(), data].concat()
}

#[tokio::test]
async fn a_bomb_takes_no_more_memory_than_a_consumer_has_room_for() {
    let config = ConnectionConfig::new;
    for (feature, config, codec) in [
        ("deflate", config().deflate(6), (|| Codec::deflate(1)) as fn() -> Codec),
        ("snappy", config().snappy(true), Codec::snappy),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut consumer = Consumer::builder("t", "c")
            .nsqd(listener.local_addr().unwrap())
            .connection(config)
            .max_in_flight(1)
            .max_reconnect_delay(std::time::Duration::from_millis(50))
            .build()
            .unwrap();
        let mut closes = consumer.handle().signals().on_close.subscribe(8);

        // More messages than RDY allows, which nobody takes: some are kept, the others go back.
        let mut peer = Peer::accept(&listener, feature, codec()).await;
        let before = peak();
        let body = vec![0; LARGE];
        for number in 0..MESSAGES {
            let data = [&[0; 8][..], &[0, 1], &id(number), &body].concat();
            peer.send(&frame(2, &data)).await;
        }
        peer.send(&frame(0, b"_heartbeat_")).await;
        let mut back = 0;
        while peer.line().await != "NOP" {
            back += 1;
        }
        assert!(back >= MESSAGES - 66, "{feature}: only {back} went back");
        let grown = peak() - before;
        assert!(grown < LIMIT, "{feature}: {grown} bytes more");
        within(consumer.recv()).await.unwrap().finish().unwrap();

        // A frame of a gigabyte, which would be a megabyte deflated: its size is enough.
        peer.send(&(1_u32 << 30).to_be_bytes()).await;
        for _ in 0..8 {
            peer.send(&vec![0; 1 << 20]).await;
        }
        let cause = event(&mut closes).await.cause;
        assert!(matches!(cause, Error::Connection { source: ConnectionError::Frame(_), .. }), "{feature}: {cause}");
        let grown = peak() - before;
        assert!(grown < LIMIT, "{feature}: {grown} bytes more");

        // Another connection is as good as the first one was.
        Peer::accept(&listener, feature, codec()).await;
    }
}

/// The most memory that was ever resident, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Of a message, in bytes.
const LARGE: usize = 256 << 10;
/// 50 MiB together.
const MESSAGES: usize = 200;
/// Room for the 66 messages that are kept, this test's own copies, and what the allocator doesn't give back.
const LIMIT: usize = 40 << 20;
