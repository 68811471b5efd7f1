//! What an nsqd refuses when it is full, and that nothing it has taken is lost by that.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::time::Duration;

use gnsq_server::{Nsqd, NsqdBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);

/// A client that takes one frame at a time.
struct Client(TcpStream);

impl Client {
    async fn connect(nsqd: &Nsqd) -> Self {
        let mut socket = TcpStream::connect(nsqd.tcp_address()).await.unwrap();
        socket.write_all(b"  V2").await.unwrap();
        Self(socket)
    }

    async fn send(&mut self, command: impl AsRef<[u8]>) {
        self.0.write_all(command.as_ref()).await.unwrap();
    }

    /// The next frame's type and data; nothing at the end.
    async fn frame(&mut self) -> Option<(i32, Vec<u8>)> {
        let frame = async {
            let size = self.0.read_i32().await.ok()?;
            let kind = self.0.read_i32().await.unwrap();
            let mut data = vec![0; usize::try_from(size).unwrap() - 4];
            self.0.read_exact(&mut data).await.unwrap();
            Some((kind, data))
        };
        timeout(DEADLINE, frame).await.expect("a frame or the end")
    }

    async fn answer(&mut self, command: impl AsRef<[u8]>) -> String {
        self.send(command).await;
        let (_, data) = self.frame().await.expect("an answer");
        String::from_utf8(data).unwrap()
    }
}

fn publish(topic: &str, body: &[u8]) -> Vec<u8> {
    [b"PUB ", topic.as_bytes(), b"\n", &u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

async fn start(change: impl FnOnce(NsqdBuilder) -> NsqdBuilder) -> Nsqd {
    change(Nsqd::builder()).start().await.unwrap()
}

#[tokio::test]
async fn beyond_max_messages_publishing_is_refused_until_there_is_room() {
    let nsqd = start(|options| options.max_messages(2_usize)).await;
    let mut consumer = Client::connect(&nsqd).await;
    assert_eq!(consumer.answer("SUB t c\n").await, "OK");
    let mut producer = Client::connect(&nsqd).await;
    assert_eq!(producer.answer(publish("t", b"1")).await, "OK");
    assert_eq!(producer.answer(publish("t", b"2")).await, "OK");
    let refused = producer.answer(publish("t", b"3")).await;
    assert!(refused.starts_with("E_PUB_FAILED PUB failed ") && refused.contains("max_messages"), "{refused}");
    assert_eq!(producer.frame().await, None, "the protocol closes after it");

    let mut other = Client::connect(&nsqd).await;
    let two = b"MPUB t\n\0\0\0\x0e\0\0\0\x02\0\0\0\x01a\0\0\0\x01b";
    let refused = other.answer(two).await;
    assert!(refused.starts_with("E_MPUB_FAILED MPUB failed "), "{refused}");

    let stats = nsqd.stats();
    assert_eq!(stats.topic("t").unwrap().channel("c").unwrap().depth, 2);
    consumer.send("RDY 2\n").await;
    for body in [b"1", b"2"] {
        let (_, message) = consumer.frame().await.unwrap();
        assert_eq!(&message[26..], body);
        consumer.send([b"FIN ", &message[10..26], b"\n"].concat()).await;
    }
    // The answers come in order, so what was finished before is gone when this is answered.
    consumer.send("CLS\n").await;
    assert_eq!(consumer.frame().await.unwrap().1, b"CLOSE_WAIT");
    assert_eq!(Client::connect(&nsqd).await.answer(publish("t", b"3")).await, "OK");
}

#[tokio::test]
async fn beyond_max_bytes_http_says_so_too() {
    let nsqd = start(|options| options.max_bytes(1000_usize)).await;
    let mut producer = Client::connect(&nsqd).await;
    assert_eq!(producer.answer(publish("t", &[7; 800])).await, "OK");
    let address = nsqd.http_address().parse().unwrap();
    let (status, body) = gnsq_testkit::http::post(address, "/pub?topic=t", [7; 200]).await;
    assert!(status == 503 && body.contains("max_bytes"), "{status} {body}");
    assert_eq!(producer.answer(publish("t", &[7; 10])).await, "OK", "what fits is taken");
}

#[tokio::test]
async fn a_flood_of_topics_and_channels_ends_at_their_limits() {
    let nsqd = start(|options| options.max_topics(10_usize).max_channels(5_usize)).await;
    let mut refused = 0;
    for topic in 0..20 {
        let answer = Client::connect(&nsqd).await.answer(publish(&format!("t{topic}"), b"x")).await;
        refused += usize::from(answer.starts_with("E_PUB_FAILED PUB failed ") && answer.contains("max_topics"));
    }
    assert_eq!((refused, nsqd.stats().topics.len()), (10, 10));
    for channel in 0..5 {
        assert_eq!(Client::connect(&nsqd).await.answer(format!("SUB t0 c{channel}\n")).await, "OK");
    }
    let answer = Client::connect(&nsqd).await.answer("SUB t0 more\n").await;
    assert!(answer.starts_with("E_SUB_FAILED SUB failed ") && answer.contains("max_channels"), "{answer}");
    assert_eq!(Client::connect(&nsqd).await.answer(publish("t3", b"x")).await, "OK", "old topics go on");
}

#[tokio::test]
async fn a_connection_too_many_is_closed_and_the_others_stay() {
    let nsqd = start(|options| options.max_connections(3_usize)).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(&nsqd).await;
        assert_eq!(client.answer(publish("t", b"x")).await, "OK");
        clients.push(client);
    }
    let mut late = TcpStream::connect(nsqd.tcp_address()).await.unwrap();
    let _ = late.write_all(b"  V2NOP\n").await;
    let end = timeout(DEADLINE, late.read(&mut [0; 1])).await.expect("it is closed");
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    for client in &mut clients {
        assert_eq!(client.answer(publish("t", b"x")).await, "OK");
    }
}

#[tokio::test]
async fn one_that_never_reads_is_sent_no_more_than_its_room_and_harms_nobody() {
    let nsqd = start(|options| options.max_rdy_count(1_000_000_u32)).await;
    let mut idle = Client::connect(&nsqd).await;
    assert_eq!(idle.answer("SUB t c\n").await, "OK");
    idle.send("RDY 1000000\n").await;
    let mut producer = Client::connect(&nsqd).await;
    let body = vec![7; 100_000];
    for _ in 0..500 {
        assert_eq!(producer.answer(publish("t", &body)).await, "OK");
    }
    // 50 MB are published; what is in flight is what the sockets and one output buffer hold.
    let stats = nsqd.stats();
    let channel = stats.topic("t").unwrap().channel("c").unwrap();
    assert_eq!(channel.depth + channel.in_flight_count, 500);
    assert!(channel.in_flight_count < 250, "{} are in flight", channel.in_flight_count);

    let mut other = Client::connect(&nsqd).await;
    assert_eq!(other.answer("SUB t c\n").await, "OK");
    other.send("RDY 1\n").await;
    assert_eq!(other.frame().await.unwrap().1.len(), 26 + body.len());
}
