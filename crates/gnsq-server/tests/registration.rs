//! The embedded nsqd, which registers with real and embedded nsqlookupds.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

use std::net::SocketAddr;
use std::time::Duration;

use gnsq_proto::lookupd::{LookupdCommand, LookupdReply, MAGIC_V1};
use gnsq_server::{Clock, Nsqd, NsqdBuilder, Nsqlookupd, TopicRegistration};
use gnsq_testkit::{DEADLINE, Nsqlookupd as RealLookupd, eventually, http};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

fn nsqd(lookupds: &[String]) -> NsqdBuilder {
    Nsqd::builder().lookupd_tcp_addresses(lookupds)
}

fn web(nsqd: &Nsqd) -> SocketAddr {
    nsqd.http_address().parse().unwrap()
}

async fn post(nsqd: &Nsqd, target: &str, body: &str) {
    let (status, answer) = http::post(web(nsqd), target, body).await;
    assert_eq!(status, 200, "{target}: {answer}");
}

async fn create(nsqd: &Nsqd, topic: &str, channel: &str) {
    post(nsqd, &format!("/topic/create?topic={topic}"), "").await;
    post(nsqd, &format!("/channel/create?topic={topic}&channel={channel}"), "").await;
}

async fn wait_until(lookupd: &Nsqlookupd, wanted: impl FnMut(&[TopicRegistration]) -> bool) {
    timeout(DEADLINE, lookupd.wait_until(wanted))
        .await
        .unwrap_or_else(|_| panic!("unwanted registrations: {:?}", lookupd.registrations()));
}

fn has(topics: &[TopicRegistration], topic: &str, channels: &[&str], nsqds: usize) -> bool {
    topics.iter().any(|found| found.topic == topic && found.channels == channels && found.producers.len() == nsqds)
}

/// Waits until the real nsqlookupd knows the topic of `nsqds` nsqds, with these channels.
async fn wait_until_known(lookupd: &RealLookupd, topic: &str, channels: &[&str], nsqds: usize) {
    eventually(DEADLINE, "the topic to be known", async || {
        let (status, body) =
            http::request(lookupd.http_address(), "GET", &format!("/lookup?topic={topic}"), b"").await.ok()?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        let mut known: Vec<_> = answer["channels"].as_array()?.iter().filter_map(Value::as_str).collect();
        known.sort_unstable();
        (status == 200 && known == channels && answer["producers"].as_array()?.len() == nsqds).then_some(())
    })
    .await;
}

fn tcp(lookupd: &RealLookupd) -> String {
    lookupd.tcp_address().to_string()
}

#[tokio::test]
async fn a_real_nsqlookupd_knows_what_an_embedded_nsqd_has() {
    let lookupd = RealLookupd::start().await;
    let nsqd = nsqd(&[tcp(&lookupd)]).start().await.unwrap();
    create(&nsqd, "orders", "archive").await;
    wait_until_known(&lookupd, "orders", &["archive"], 1).await;
    let producer = &lookupd.lookup("orders").await.unwrap()[0];
    let address = format!("{}:{}", producer["broadcast_address"].as_str().unwrap(), producer["tcp_port"]);
    assert_eq!(address, nsqd.tcp_address());
    assert_eq!(producer["version"], "1.3.0");
    post(&nsqd, "/channel/delete?topic=orders&channel=archive", "").await;
    // It keeps the name of a channel that was deleted on its last nsqd.
    create(&nsqd, "more", "c%23ephemeral").await;
    wait_until_known(&lookupd, "more", &["c#ephemeral"], 1).await;
    post(&nsqd, "/topic/delete?topic=more", "").await;
    wait_until_known(&lookupd, "more", &[], 0).await;
    nsqd.shutdown().await;
    wait_until_known(&lookupd, "orders", &["archive"], 0).await;
}

#[tokio::test]
async fn a_real_nsqlookupd_that_restarts_is_told_all_anew() {
    let mut lookupd = RealLookupd::start().await;
    let nsqd = nsqd(&[tcp(&lookupd)]).start().await.unwrap();
    create(&nsqd, "orders", "archive").await;
    wait_until_known(&lookupd, "orders", &["archive"], 1).await;
    lookupd.kill().await;
    create(&nsqd, "meanwhile", "c").await;
    lookupd.start_again().await;
    wait_until_known(&lookupd, "orders", &["archive"], 1).await;
    wait_until_known(&lookupd, "meanwhile", &["c"], 1).await;
}

#[tokio::test]
async fn every_nsqlookupd_is_told_also_when_others_are_down() {
    let (real, embedded) = (RealLookupd::start().await, Nsqlookupd::start().await.unwrap());
    let down = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let addresses = [down, "nowhere".to_owned(), tcp(&real), embedded.tcp_address()];
    let nsqd = nsqd(&addresses).start().await.unwrap();
    create(&nsqd, "orders", "archive").await;
    wait_until_known(&real, "orders", &["archive"], 1).await;
    wait_until(&embedded, |topics| has(topics, "orders", &["archive"], 1)).await;
}

#[tokio::test]
async fn an_embedded_nsqlookupd_that_restarts_is_told_all_anew() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let address = lookupd.tcp_address();
    let nsqd = nsqd(std::slice::from_ref(&address)).start().await.unwrap();
    create(&nsqd, "orders", "archive").await;
    wait_until(&lookupd, |topics| has(topics, "orders", &["archive"], 1)).await;
    lookupd.shutdown().await;
    let lookupd = Nsqlookupd::builder().tcp_address(address).start().await.unwrap();
    wait_until(&lookupd, |topics| has(topics, "orders", &["archive"], 1)).await;
}

#[tokio::test]
async fn nsqlookupds_can_be_changed_while_it_runs() {
    let (first, second) = (Nsqlookupd::start().await.unwrap(), Nsqlookupd::start().await.unwrap());
    let nsqd = nsqd(&[first.tcp_address()]).start().await.unwrap();
    create(&nsqd, "orders", "archive").await;
    wait_until(&first, |topics| has(topics, "orders", &["archive"], 1)).await;
    let addresses = format!(r#"["{}"]"#, second.tcp_address());
    let (status, _) =
        http::request(web(&nsqd), "PUT", "/config/nsqlookupd_tcp_addresses", addresses.as_bytes()).await.unwrap();
    assert_eq!(status, 200);
    wait_until(&first, |topics| has(topics, "orders", &["archive"], 0)).await;
    wait_until(&second, |topics| has(topics, "orders", &["archive"], 1)).await;
}

#[tokio::test]
async fn a_tombstone_ends_when_the_topic_is_created_anew() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let nsqd = nsqd(&[lookupd.tcp_address()]).start().await.unwrap();
    create(&nsqd, "orders", "archive").await;
    wait_until(&lookupd, |topics| has(topics, "orders", &["archive"], 1)).await;
    let node = nsqd.http_address();
    http::post(lookupd.http_address().parse().unwrap(), &format!("/topic/tombstone?topic=orders&node={node}"), "")
        .await;
    wait_until(&lookupd, |topics| has(topics, "orders", &["archive"], 0)).await;
    post(&nsqd, "/topic/delete?topic=orders", "").await;
    create(&nsqd, "orders", "archive").await;
    wait_until(&lookupd, |topics| has(topics, "orders", &["archive"], 1)).await;
}

#[tokio::test]
async fn a_new_topic_has_the_channels_that_it_has_elsewhere_before_its_first_message_is_handed_out() {
    let (real, embedded) = (RealLookupd::start().await, Nsqlookupd::start().await.unwrap());
    for (lookupd, channel) in [
        (real.http_address(), "a"),
        (real.http_address(), "tail%23ephemeral"),
        (embedded.http_address().parse().unwrap(), "b"),
    ] {
        let (status, _) = http::post(lookupd, &format!("/channel/create?topic=orders&channel={channel}"), "").await;
        assert_eq!(status, 200);
    }
    // At once: it asks as soon as it knows where.
    let nsqd = nsqd(&[tcp(&real), embedded.tcp_address()]).start().await.unwrap();
    post(&nsqd, "/pub?topic=orders", "first").await;
    let depths = eventually(DEADLINE, "the message in both channels", async || {
        let stats = nsqd.stats();
        let depths: Vec<_> =
            stats.topics[0].channels.iter().map(|channel| (channel.channel_name.to_string(), channel.depth)).collect();
        (depths.len() == 2).then_some(depths)
    })
    .await;
    assert_eq!(depths, [("a".to_owned(), 1), ("b".to_owned(), 1)]);
}

#[tokio::test]
async fn a_topic_is_not_held_up_by_an_nsqlookupd_that_is_down() {
    let down = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let nsqd = nsqd(&[down]).start().await.unwrap();
    post(&nsqd, "/pub?topic=orders", "first").await;
    post(&nsqd, "/channel/create?topic=orders&channel=c", "").await;
    eventually(DEADLINE, "the message in the channel", async || {
        (nsqd.stats().topics[0].channels[0].depth == 1).then_some(())
    })
    .await;
}

/// A connection of an nsqd to an nsqlookupd that the test plays.
struct Scripted {
    socket: TcpStream,
    input: bytes::BytesMut,
}

impl Scripted {
    async fn accept(listener: &TcpListener) -> Self {
        let (socket, _) = timeout(DEADLINE, listener.accept()).await.expect("a connection").unwrap();
        let mut this = Self { socket, input: bytes::BytesMut::new() };
        let mut magic = [0; 4];
        if this.socket.read_exact(&mut magic).await.is_ok() {
            assert_eq!(&magic, MAGIC_V1);
        }
        this
    }

    /// The next command; nothing when the nsqd has closed.
    async fn command(&mut self) -> Option<LookupdCommand> {
        loop {
            if let Some(command) = LookupdCommand::decode(&mut self.input, 1000).unwrap() {
                return Some(command);
            }
            if self.socket.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn reply(&mut self, reply: LookupdReply) {
        let mut wire = bytes::BytesMut::new();
        reply.encode(&mut wire);
        // The nsqd may have closed.
        let _ = self.socket.write_all(&wire).await;
    }
}

#[tokio::test]
async fn it_pings_and_gives_up_an_nsqlookupd_that_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (says, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let _lookupd = AbortOnDrop(tokio::spawn(async move {
        let mut connections = Vec::new();
        let mut pings = 0;
        loop {
            connections.push(Scripted::accept(&listener).await);
            let lookupd = connections.last_mut().unwrap();
            while let Some(command) = lookupd.command().await {
                pings += i32::from(command == LookupdCommand::Ping);
                says.send(command).unwrap();
                if pings == 3 {
                    // No answer, and the next connection.
                    pings += 1;
                    break;
                }
                lookupd.reply(LookupdReply::Ok).await;
            }
        }
    }));
    let clock = Clock::manual();
    let _nsqd = nsqd(&[address]).clock(clock.clone()).start().await.unwrap();
    let mut hear = async |wanted: fn(&LookupdCommand) -> bool| while !wanted(&hears.recv().await.unwrap()) {};
    hear(|command| matches!(command, LookupdCommand::Identify(_))).await;
    for _ in 0..3 {
        advance_until(&clock, Duration::from_secs(15), hear(|command| *command == LookupdCommand::Ping)).await;
    }
    advance_until(&clock, Duration::from_secs(1), hear(|command| matches!(command, LookupdCommand::Identify(_)))).await;
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Moves the clock on by `step` whenever nothing has happened for a while: that what waits for the clock may have begun
/// to wait only after a step.
async fn advance_until<T>(clock: &Clock, step: Duration, happens: impl Future<Output = T>) -> T {
    tokio::pin!(happens);
    let end = std::time::Instant::now() + DEADLINE;
    loop {
        assert!(std::time::Instant::now() < end, "it doesn't happen");
        clock.advance(step);
        if let Ok(happened) = timeout(Duration::from_millis(50), &mut happens).await {
            return happened;
        }
    }
}

#[tokio::test]
async fn whatever_an_nsqlookupd_answers_does_no_harm() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = Nsqlookupd::start().await.unwrap();
    let clock = Clock::manual();
    let bad = listener.local_addr().unwrap().to_string();
    let nsqd = nsqd(&[bad, good.tcp_address()]).clock(clock.clone()).start().await.unwrap();
    for answer in [
        &b"\x7f\xff\xff\xff"[..],
        b"\xff\xff\xff\xff",
        b"\0\0\0\x02{}\0\0\0\x02OK\0\0\0\x02OK",
        b"\0\0\0\x0dE_INVALID foo",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\0\0\x02",
        b"",
    ] {
        let mut lookupd = advance_until(&clock, Duration::from_secs(15), Scripted::accept(&listener)).await;
        // The nsqd may have closed: time flies here.
        let _ = lookupd.socket.write_all(answer).await;
    }
    create(&nsqd, "orders", "archive").await;
    let informed = wait_until(&good, |topics| has(topics, "orders", &["archive"], 1));
    advance_until(&clock, Duration::from_secs(1), informed).await;
}

#[cfg(unix)]
#[tokio::test]
async fn an_nsqd_without_ports_leaves_nsqlookupds_alone() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let path = std::env::temp_dir().join(format!("gnsq-registration-{}.sock", std::process::id()));
    let hidden = nsqd(&[lookupd.tcp_address()]).tcp_address(path.as_path()).start().await.unwrap();
    post(&hidden, "/topic/create?topic=hidden", "").await;
    let nsqd = nsqd(&[lookupd.tcp_address()]).start().await.unwrap();
    create(&nsqd, "orders", "archive").await;
    wait_until(&lookupd, |topics| has(topics, "orders", &["archive"], 1)).await;
    assert_eq!(lookupd.registrations().len(), 1);
}
