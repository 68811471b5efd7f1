//! Strangers at the HTTP API.

use std::net::SocketAddr;
use std::time::Duration;

use gnsq_testkit::DEADLINE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::garbage;
use crate::memory::{grew_at_most, resident};
use crate::server::Server;

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn those_who_send_a_byte_at_a_time_leave_others_their_turn() {
    let mut server = Server::start(|nsqd| nsqd).await;
    let request = b"POST /pub?topic=t HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let mut slow = Vec::new();
    for _ in 0..200 {
        slow.push(TcpStream::connect(server.http()).await.unwrap());
    }
    for (number, byte) in request.iter().enumerate() {
        for connection in &mut slow {
            connection.write_all(&[*byte]).await.unwrap();
        }
        if number % 20 == 0 {
            server.serves_others().await;
        }
    }
    for mut connection in slow {
        let mut answer = [0; 15];
        timeout(DEADLINE, connection.read_exact(&mut answer)).await.expect("an answer").unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
    }
    assert_eq!(server.nsqd.stats().topic("t").unwrap().message_count, 200);
}

#[tokio::test]
async fn a_head_that_never_ends_is_refused() {
    let mut server = Server::start(|nsqd| nsqd).await;
    for head in [
        format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MIB)),
        format!("GET /ping HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(MIB)),
        format!("GET /ping HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(100_000)),
    ] {
        let answer = exchange(server.http(), head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        server.serves_others().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_never_ends_is_refused_and_takes_little_memory() {
    let mut server = Server::start_alone(|nsqd| nsqd).await;
    let before = resident();
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let mut strangers = Vec::new();
    for path in ["/pub?topic=t", "/mpub?topic=t", "/mpub?topic=t&binary=true"] {
        for framing in ["Transfer-Encoding: chunked", "Content-Length: 99999999999"] {
            let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
            let mut stranger = TcpStream::connect(server.http()).await.unwrap();
            stranger.write_all(head.as_bytes()).await.unwrap();
            // 64 MiB, or until the server hangs up.
            for _ in 0..1024 {
                if timeout(DEADLINE, stranger.write_all(chunk.as_bytes())).await.expect("room to send").is_err() {
                    break;
                }
            }
            strangers.push(stranger);
        }
    }
    grew_at_most(before, 24 * MIB);
    assert_eq!(server.nsqd.stats().topic("t").map_or(0, |topic| topic.message_count), 0);
    server.serves_others().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_body_that_never_comes_takes_no_memory() {
    let mut server = Server::start_alone(|nsqd| nsqd).await;
    let before = resident();
    let mut strangers = Vec::new();
    for _ in 0..100 {
        let mut stranger = TcpStream::connect(server.http()).await.unwrap();
        let head = b"POST /mpub?topic=t HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\na";
        stranger.write_all(head).await.unwrap();
        strangers.push(stranger);
    }
    server.serves_others().await;
    grew_at_most(before, 16 * MIB);
}

/// Many requests, whose answers nobody takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_take_little_memory() {
    let mut server = Server::start_alone(|nsqd| nsqd).await;
    for number in 0..500 {
        let path = format!("/topic/create?topic=a_topic_with_a_long_name_{number}");
        assert_eq!(gnsq_testkit::http::post(server.http(), &path, "").await.0, 200);
    }
    let before = resident();
    let requests = b"GET /stats?format=json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let mut strangers = Vec::new();
    for _ in 0..20 {
        let mut stranger = TcpStream::connect(server.http()).await.unwrap();
        let _ = timeout(Duration::from_millis(300), stranger.write_all(&requests)).await;
        strangers.push(stranger);
    }
    server.serves_others().await;
    grew_at_most(before, 32 * MIB);
}

#[tokio::test]
async fn garbage_is_answered_in_http() {
    let mut server = Server::start(|nsqd| nsqd).await;
    for seed in 0..200 {
        let start: &[u8] = match seed % 4 {
            0 => b"",
            1 => b"GET /stats?",
            2 => b"POST /mpub?topic=t&binary=1 HTTP/1.1\r\nContent-Length: 100\r\n\r\n",
            _ => b"PUT /config/nsqlookupd_tcp_addresses HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n",
        };
        let bytes = [start, &garbage(seed), b"\r\n\r\n"].concat();
        let answer = exchange(server.http(), &bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{answer}");
        assert!(!answer.starts_with("HTTP/1.1 200"), "{}: {answer}", bytes.escape_ascii());
    }
    server.serves_others().await;
}

/// Sends bytes and nothing more; returns what comes until the server hangs up.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    // The server may have heard enough before the end.
    let _ = timeout(DEADLINE, socket.write_all(bytes)).await.expect("room to send");
    let _ = socket.shutdown().await;
    let mut answer = Vec::new();
    let _ = timeout(DEADLINE, socket.read_to_end(&mut answer)).await.expect("the end");
    String::from_utf8_lossy(&answer).into_owned()
}
