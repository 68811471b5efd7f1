//! Faulty networks.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use gnsq_testkit::{DEADLINE, Nsqd, Proxy, eventually, http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

#[tokio::test]
async fn a_healthy_network_carries_all_both_ways() {
    let (proxy, mut client) = echo().await;
    assert_eq!(say(&mut client, b"hello").await, b"hello");
    client.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "the end goes through too");
    assert_eq!((proxy.upstream().bytes(), proxy.downstream().bytes()), (5, 5));
    assert_eq!(proxy.accepted_connections(), 1);
    eventually(DEADLINE, "no open connection", async || (proxy.open_connections() == 0).then_some(())).await;
}

#[tokio::test]
async fn it_carries_the_real_servers() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.http_address()).await;
    let body = vec![b'x'; 1 << 20];
    assert_eq!(http::post(proxy.address(), "/pub?topic=events", &body).await, (200, "OK".to_owned()));
    assert!(proxy.upstream().bytes() > 1 << 20);
    assert_eq!(nsqd.topic_stats("events").await.unwrap().message_count, 1);
}

#[tokio::test]
async fn a_stall_holds_everything_and_loses_nothing() {
    let (proxy, mut client) = echo().await;
    say(&mut client, b"before").await;
    proxy.stall();
    client.write_all(b"during").await.unwrap();
    assert!(timeout(Duration::from_millis(50), client.read_u8()).await.is_err());
    assert_eq!(proxy.upstream().bytes(), 6);
    assert_eq!(proxy.open_connections(), 1);

    proxy.downstream().resume();
    assert!(timeout(Duration::from_millis(50), client.read_u8()).await.is_err());
    proxy.resume();
    assert_eq!(read(&mut client, 6).await, b"during");
}

#[tokio::test]
async fn a_stall_holds_new_connections_too() {
    let (proxy, _client) = echo().await;
    proxy.stall();
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    second.write_all(b"hello").await.unwrap();
    assert!(timeout(Duration::from_millis(50), second.read_u8()).await.is_err());
    proxy.pass();
    assert_eq!(read(&mut second, 5).await, b"hello");
}

#[tokio::test]
async fn a_delay_adds_to_each_direction_and_not_to_each_message() {
    let (proxy, mut client) = echo().await;
    let delay = Duration::from_millis(50);
    proxy.upstream().delay(delay);
    proxy.downstream().delay(delay);
    let start = Instant::now();
    for _ in 0..20 {
        client.write_all(b"ping").await.unwrap();
    }
    read(&mut client, 80).await;
    assert!(start.elapsed() >= 2 * delay);

    // Were it an hour, the answer would miss every deadline.
    proxy.upstream().delay(Duration::from_secs(3600));
    client.write_all(b"last").await.unwrap();
    proxy.pass();
    assert_eq!(read(&mut client, 4).await, b"last");
}

#[tokio::test]
async fn a_full_network_makes_its_sender_wait() {
    let (proxy, mut client) = echo().await;
    proxy.upstream().delay(Duration::from_secs(3600));
    let much = vec![0; 64 << 20];
    assert!(timeout(Duration::from_millis(500), client.write_all(&much)).await.is_err());
}

#[tokio::test]
async fn a_throttled_line_takes_its_time() {
    let (proxy, mut client) = echo().await;
    proxy.downstream().throttle(10_000);
    let start = Instant::now();
    say(&mut client, &[b'x'; 2000]).await;
    // The last of the pieces, each a hundredth of a second's worth, doesn't wait for itself.
    assert!(start.elapsed() >= Duration::from_millis(190), "{:?}", start.elapsed());
}

#[tokio::test]
async fn corruption_begins_where_it_was_told() {
    let (proxy, mut client) = echo().await;
    proxy.downstream().corrupt_after(6);
    assert_eq!(say(&mut client, b"good ").await, b"good ");
    assert_eq!(say(&mut client, b"bad").await, [b'b', !b'a', !b'd']);
    proxy.downstream().pass();
    assert_eq!(say(&mut client, b"good").await, b"good");
}

#[tokio::test]
async fn a_connection_is_cut_at_every_byte() {
    let said = b"\0\0\0\x06\0\0\0\0OK";
    for length in 1..said.len() {
        let (proxy, mut client) = echo().await;
        proxy.downstream().cut_after(length as u64);
        client.write_all(said).await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, said[..length]);
        eventually(DEADLINE, "the cut", async || (proxy.open_connections() == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn a_cut_closes_what_is_open_and_takes_what_comes() {
    let (proxy, mut client) = echo().await;
    say(&mut client, b"hello").await;
    proxy.cut().await;
    assert_eq!(proxy.open_connections(), 0);
    assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));

    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut client, b"again").await, b"again");
    assert_eq!((proxy.accepted_connections(), proxy.open_connections()), (2, 1));
}

#[tokio::test]
async fn refused_connections_are_reset_and_open_ones_stay() {
    let (proxy, mut client) = echo().await;
    say(&mut client, b"hello").await;
    proxy.refuse();
    // The reset may come while the client still connects.
    let error = match TcpStream::connect(proxy.address()).await {
        Ok(mut refused) => refused.read(&mut [0]).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!((proxy.accepted_connections(), proxy.refused_connections()), (1, 1));
    assert_eq!(say(&mut client, b"still").await, b"still");

    proxy.accept();
    let mut accepted = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut accepted, b"again").await, b"again");
}

#[tokio::test]
async fn without_its_server_connections_are_closed_and_with_it_they_work() {
    let mut nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.http_address()).await;
    nsqd.stop().await;
    assert!(http::request(proxy.address(), "GET", "/ping", b"").await.is_err());
    nsqd.start_again().await;
    assert_eq!(http::get(proxy.address(), "/ping").await.0, 200);
}

#[tokio::test]
async fn a_dropped_proxy_closes_everything() {
    let (proxy, mut client) = echo().await;
    say(&mut client, b"hello").await;
    drop(proxy);
    assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
}

/// A proxy before a server that says what it hears, and a client of it.
async fn echo() -> (Proxy, TcpStream) {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let proxy = Proxy::to(server.local_addr().expect("it listens")).await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    let client = TcpStream::connect(proxy.address()).await.expect("the proxy listens");
    (proxy, client)
}

async fn say(client: &mut TcpStream, words: &[u8]) -> Vec<u8> {
    client.write_all(words).await.expect("the connection is open");
    read(client, words.len()).await
}

async fn read(client: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut heard = vec![0; length];
    timeout(DEADLINE, client.read_exact(&mut heard)).await.expect("an answer in time").expect("a whole answer");
    heard
}
