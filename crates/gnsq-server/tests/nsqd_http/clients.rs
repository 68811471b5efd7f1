//! What `/stats` tells of connections, beside the real one's.

use std::net::SocketAddr;

use gnsq_server::Nsqd;
use gnsq_testkit::DEADLINE;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::requests::Both;

/// A consumer that says who it is and one that doesn't, one that closes, a producer, one that is both, and one that
/// has done nothing.
struct Clients {
    _sockets: Vec<TcpStream>,
}

impl Clients {
    async fn start(address: SocketAddr) -> Self {
        let mut sockets = Vec::new();
        for (identity, commands, answers) in [
            ("named", "SUB t c\nRDY 1\n", &["OK", "first"][..]),
            ("", "SUB t c\nRDY 0\n", &["OK"]),
            ("closing", "SUB t c\nCLS\n", &["OK", "CLOSE_WAIT"]),
            ("producer", "PUB t\n\0\0\0\x05thirdPUB t\n\0\0\0\x06fourth", &["OK", "OK"]),
            ("both", "SUB u c\nRDY 5\nPUB u\n\0\0\0\x01x", &["OK", "OK", "x"]),
            ("idle", "NOP\n", &[]),
        ] {
            let mut socket = TcpStream::connect(address).await.unwrap();
            let mut request = b"  V2".to_vec();
            let mut expected = answers.to_vec();
            if !identity.is_empty() {
                let json =
                    format!(r#"{{"client_id":"{identity}","hostname":"{identity}.host","user_agent":"test/1"}}"#);
                request.extend(b"IDENTIFY\n");
                request.extend(u32::try_from(json.len()).unwrap().to_be_bytes());
                request.extend(json.as_bytes());
                expected.insert(0, "OK");
            }
            request.extend(commands.as_bytes());
            socket.write_all(&request).await.unwrap();
            // Answers and messages come in an order of their own.
            let mut received = Vec::new();
            for _ in &expected {
                received.push(timeout(DEADLINE, frame(&mut socket)).await.expect("an answer"));
            }
            received.sort();
            expected.sort_unstable();
            assert_eq!(received, expected, "{identity}");
            sockets.push(socket);
        }
        Self { _sockets: sockets }
    }
}

/// What a response says, or a message's body.
async fn frame(socket: &mut TcpStream) -> String {
    let size = socket.read_u32().await.unwrap();
    let mut frame = vec![0; size as usize];
    socket.read_exact(&mut frame).await.unwrap();
    let header = if frame[..4] == [0, 0, 0, 2] { 4 + 26 } else { 4 };
    String::from_utf8(frame[header..].to_vec()).unwrap()
}

async fn start() -> (Both, [Clients; 2]) {
    let both = Both::start(Nsqd::builder(), &[]).await;
    both.agree("POST /topic/create?topic=t", "").await;
    both.agree("POST /channel/create?topic=t&channel=c", "").await;
    both.agree("POST /topic/create?topic=other", "").await;
    both.agree("POST /mpub?topic=t", "first\nsecond").await;
    let embedded = both.embedded.tcp_address().parse().unwrap();
    let clients = [Clients::start(embedded).await, Clients::start(both.real.tcp_address()).await];
    // Its topic gives the channel what was published in its own time.
    both.real.wait_for_channel("t", "c", |channel| channel.message_count == 4).await;
    (both, clients)
}

#[tokio::test]
async fn clients_are_told_as_json() {
    let (both, _clients) = start().await;
    for query in ["", "&topic=t", "&topic=u", "&topic=other", "&topic=none", "&channel=c", "&include_clients=false"] {
        let request = format!("GET /stats?format=json&include_mem=false{query}");
        let [embedded, real] = both.ask(&request, "").await.map(|answer| {
            let mut stats: Value = serde_json::from_str(answer.rsplit('\n').next().unwrap()).unwrap();
            stats["start_time"] = 0.into();
            for client in clients(&mut stats) {
                let address = client["remote_address"].as_str().unwrap().to_owned();
                assert!(address.parse::<SocketAddr>().is_ok(), "{address}");
                assert!(client["connect_ts"].as_i64() > Some(1_700_000_000));
                client["remote_address"] = "".into();
                client["connect_ts"] = 0.into();
            }
            sort_clients(&mut stats);
            stats
        });
        assert_eq!(embedded, real, "{query}");
    }
}

#[tokio::test]
async fn clients_are_told_as_text() {
    let (both, _clients) = start().await;
    for query in ["", "topic=t", "topic=u", "topic=other", "topic=none", "channel=c", "include_clients=false"] {
        let request = format!("GET /stats?include_mem=false&{query}");
        let [embedded, real] = both.ask(&request, "").await.map(|answer| {
            let text = answer.split_once("Health:").unwrap().1;
            let mut lines: Vec<_> = text.lines().map(without_port).collect();
            // The real one lists clients in no order.
            lines.sort();
            lines
        });
        assert_eq!(embedded, real, "{query}");
    }
}

/// One topic after the other, where the real one names but one of them.
#[tokio::test]
async fn a_producer_is_told_with_all_its_topics() {
    let nsqd = Nsqd::start().await.unwrap();
    let mut socket = TcpStream::connect(nsqd.tcp_address()).await.unwrap();
    socket.write_all(b"  V2PUB b\n\0\0\0\x01xMPUB a\n\0\0\0\x0e\0\0\0\x02\0\0\0\x01x\0\0\0\x01y").await.unwrap();
    for _ in 0..2 {
        assert_eq!(timeout(DEADLINE, frame(&mut socket)).await.unwrap(), "OK");
    }
    let stats = nsqd.stats();
    let counts: Vec<_> =
        stats.producers[0].pub_counts.iter().map(|counted| (counted.topic.as_str(), counted.count)).collect();
    assert_eq!(counts, [("a", 2), ("b", 1)]);
    let text = crate::requests::ask(nsqd.http_address().parse().unwrap(), "GET /stats", b"").await;
    assert!(text.contains("] msgs: 3        topics: a=2,b=1 connected: "), "{text}");
}

fn clients(stats: &mut Value) -> Vec<&mut Value> {
    let Value::Object(stats) = stats else { panic!("{stats}") };
    let mut all = Vec::new();
    for (key, value) in stats {
        match (key.as_str(), value) {
            ("producers", Value::Array(producers)) => all.extend(producers),
            ("topics", Value::Array(topics)) => {
                for channel in topics.iter_mut().flat_map(|topic| topic["channels"].as_array_mut().unwrap()) {
                    all.extend(channel["clients"].as_array_mut().into_iter().flatten());
                }
            }
            _ => {}
        }
    }
    all
}

fn sort_clients(stats: &mut Value) {
    let by_id = |client: &Value| client["client_id"].as_str().unwrap().to_owned();
    if let Some(producers) = stats["producers"].as_array_mut() {
        producers.sort_by_key(by_id);
    }
    for topic in stats["topics"].as_array_mut().into_iter().flatten() {
        for channel in topic["channels"].as_array_mut().unwrap() {
            if let Some(clients) = channel["clients"].as_array_mut() {
                clients.sort_by_key(by_id);
            }
        }
    }
}

/// Without a client's port, its column and how long it is connected.
fn without_port(line: &str) -> String {
    let Some((name, rest)) = line.split_once(']').filter(|(name, _)| name.contains("[V2 ")) else {
        return line.to_owned();
    };
    let (host, rest_of_name) = name.rsplit_once(':').unwrap();
    let agent = rest_of_name.trim_start_matches(|c: char| c.is_ascii_digit()).trim_end();
    format!("{host}:{agent}]{}", rest.split_once("connected: ").unwrap().0)
}
