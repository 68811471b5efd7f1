//! A stream that changes under way.

use bytes::BytesMut;
use gnsq_proto::Frame;
use gnsq_proto::compress::{Codec, Progress};
use gnsq_proto::frame::FrameDecoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::super::resumed::Resumed;
use super::{Peer, SECOND, Server, command};
use crate::clock::Clock;
use crate::listen::Socket;

/// The client's end of a compressed stream.
struct Compressed {
    peer: Peer,
    codec: Codec,
    plain: BytesMut,
}

impl Compressed {
    async fn send(&mut self, bytes: &[u8]) {
        let mut wire = BytesMut::new();
        self.codec.compress(bytes, &mut wire);
        self.peer.send(&wire).await;
    }

    async fn frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = FrameDecoder::new(usize::MAX).decode(&mut self.plain).unwrap() {
                return frame;
            }
            // What has come behind IDENTIFY's answer waits already.
            let before = self.plain.len();
            while self.codec.decompress(&mut self.peer.received, &mut self.plain, 1 << 20).unwrap() == Progress::Full {}
            if self.plain.len() == before {
                let read = timeout(SECOND * 10, self.peer.socket.read_buf(&mut self.peer.received)).await;
                assert_ne!(read.expect("something comes").unwrap(), 0);
            }
        }
    }
}

#[tokio::test]
async fn what_follows_identify_at_once_is_compressed_already() {
    for (feature, mut codec) in [("snappy", Codec::snappy()), ("deflate", Codec::deflate(6))] {
        let server = Server::new();
        let mut peer = server.connect().await;
        let body = vec![b'x'; 300_000];
        let identify = format!(r#"{{"feature_negotiation":true,"{feature}":true}}"#);
        let mut bytes = BytesMut::from(&command("IDENTIFY", identify.as_bytes())[..]);
        let pipelined = [&b"SUB t c\nRDY 1\n"[..], &command("PUB t", &body)].concat();
        codec.compress(&pipelined, &mut bytes);
        peer.send(&bytes).await;
        let Some(Frame::Response(reply)) = peer.frame().await else { panic!("no answer") };
        assert!(String::from_utf8_lossy(&reply).contains(&format!(r#""{feature}":true"#)));
        let mut compressed = Compressed { peer, codec, plain: BytesMut::new() };
        for _ in 0..3 {
            assert_eq!(compressed.frame().await, Frame::Response("OK".into()), "with {feature}");
        }
        let Frame::Message(message) = compressed.frame().await else { panic!("no message") };
        assert_eq!(message.body, body);
        // Also at the end of a compressed stream, an error is told.
        compressed.send(b"FOO\n").await;
        assert!(matches!(compressed.frame().await, Frame::Error(_)));
    }
}

#[tokio::test]
async fn what_is_not_compressed_ends_a_compressed_stream() {
    let server = Server::new();
    let mut peer = server.connect().await;
    peer.send(command("IDENTIFY", br#"{"feature_negotiation":true,"snappy":true}"#)).await;
    peer.frame().await;
    peer.send([0xff; 100]).await;
    peer.task.await.unwrap();
}

#[tokio::test]
async fn bytes_that_came_early_are_handed_on_first() {
    let (mut client, server) = UnixStream::pair().unwrap();
    let mut resumed = Resumed::new(BytesMut::from(&b"\x16ab"[..]), Socket::Unix(server), std::future::pending());
    assert!(resumed.looks_like_tls().await.unwrap());
    client.write_all(b"cd").await.unwrap();
    let mut read = [0; 2];
    for expected in [b"\x16a".as_slice(), b"b", b"cd"] {
        let count = resumed.read(&mut read).await.unwrap();
        assert_eq!(&read[..count], expected);
    }
}

#[tokio::test]
async fn the_first_byte_tells_what_is_no_tls() {
    for (sent, is_tls) in [("\x16", true), ("PUB", false)] {
        let (mut client, server) = UnixStream::pair().unwrap();
        let mut resumed = Resumed::new(BytesMut::new(), Socket::Unix(server), std::future::pending());
        client.write_all(sent.as_bytes()).await.unwrap();
        assert_eq!(resumed.looks_like_tls().await.unwrap(), is_tls);
    }
    let (client, server) = UnixStream::pair().unwrap();
    drop(client);
    let mut resumed = Resumed::new(BytesMut::new(), Socket::Unix(server), std::future::pending());
    assert!(resumed.looks_like_tls().await.is_err());
}

#[tokio::test]
async fn a_handshake_has_a_deadline() {
    let (_client, server) = UnixStream::pair().unwrap();
    let clock = Clock::manual();
    let until = clock.now().after(SECOND * 5);
    let alarm = {
        let clock = clock.clone();
        async move { clock.sleep_until(Some(until)).await }
    };
    let mut resumed = Resumed::new(BytesMut::new(), Socket::Unix(server), alarm);
    clock.advance(SECOND * 5);
    let error = resumed.looks_like_tls().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
