//! What the tests against scripted peers have in common.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::time::Duration;

use gnsq::{ConnectionConfig, Consumer, ConsumerBuilder, NsqdTcpClient, Producer, ProducerBuilder, SignalStream};
use gnsq_testkit::{DEADLINE, PeerConnection, ScriptedPeer, identify_reply};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

pub const ONE: &[u8; 16] = b"0000000000000001";
pub const TWO: &[u8; 16] = b"0000000000000002";
pub const THREE: &[u8; 16] = b"0000000000000003";

/// Fails the test when `future` takes too long.
#[track_caller]
pub fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        let output = tokio::time::timeout(DEADLINE, future).await;
        output.unwrap_or_else(|_| panic!("nothing happened for {DEADLINE:?} at {caller}"))
    }
}

/// A message's id by number.
pub fn id(number: usize) -> [u8; 16] {
    format!("{number:016}").into_bytes().try_into().expect("16 digits")
}

/// As [`id`], as text.
pub fn text(id: &[u8; 16]) -> &str {
    std::str::from_utf8(id).expect("ids are digits")
}

/// nsqd's answer to IDENTIFY with some fields changed.
pub fn reply_with<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let mut reply = identify_reply();
    for (name, value) in fields {
        reply[name] = value;
    }
    reply
}

/// A client that has identified, and its peer.
pub async fn client() -> (NsqdTcpClient, PeerConnection) {
    client_with(ConnectionConfig::new(), &identify_reply()).await
}

pub async fn client_with(config: ConnectionConfig, reply: &Value) -> (NsqdTcpClient, PeerConnection) {
    let peer = ScriptedPeer::bind().await;
    let client = within(NsqdTcpClient::connect_with(peer.address(), config, &gnsq::Io::Current))
        .await
        .expect("the peer listens");
    let mut connection = peer.accept().await;
    let (identified, _) = tokio::join!(within(client.identify()), connection.handshake_with(reply));
    identified.expect("the peer answers");
    (client, connection)
}

/// A client that has subscribed and sent RDY.
pub async fn subscribed_client(config: ConnectionConfig, reply: &Value, ready: u32) -> (NsqdTcpClient, PeerConnection) {
    let (client, mut connection) = client_with(config, reply).await;
    let (subscribed, ()) = tokio::join!(within(client.subscribe("t", "c")), connection.expect_subscribe("t", "c"));
    subscribed.expect("the peer answers");
    client.ready(ready).expect("it is subscribed");
    connection.expect_command(&format!("RDY {ready}")).await;
    (client, connection)
}

/// A consumer whose RDY is its share at once, and which doesn't back off, so that what it sends is known beforehand.
pub fn plain_consumer(peers: &[&ScriptedPeer]) -> ConsumerBuilder {
    Consumer::builder("t", "c")
        .nsqds(peers.iter().map(|peer| peer.address()))
        .low_latency(false)
        .max_backoff(Duration::ZERO)
        .max_reconnect_delay(Duration::from_millis(50))
        .shutdown_timeout(DEADLINE)
}

/// Accepts a consumer's connection, up to the OK for SUB.
pub async fn subscribed(peer: &ScriptedPeer) -> PeerConnection {
    subscribed_with(peer, &identify_reply()).await
}

pub async fn subscribed_with(peer: &ScriptedPeer, reply: &Value) -> PeerConnection {
    let mut connection = peer.accept().await;
    connection.handshake_with(reply).await;
    connection.expect_subscribe("t", "c").await;
    connection
}

/// Accepts a consumer's connection, up to its first RDY.
pub async fn ready(peer: &ScriptedPeer, ready: u32) -> PeerConnection {
    ready_with(peer, &identify_reply(), ready).await
}

pub async fn ready_with(peer: &ScriptedPeer, reply: &Value, ready: u32) -> PeerConnection {
    let mut connection = subscribed_with(peer, reply).await;
    connection.expect_command(&format!("RDY {ready}")).await;
    connection
}

/// A runtime that does nothing unless it is [`running`].
pub fn still() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("it can be made")
}

/// Has `io` run while `work` is done.
pub fn running<T>(io: Runtime, work: impl FnOnce() -> T) -> (Runtime, T) {
    let (stop, stopped) = oneshot::channel::<()>();
    let running = std::thread::spawn(move || {
        let _ = io.block_on(stopped);
        io
    });
    let done = work();
    drop(stop);
    (running.join().expect("nothing on it panics"), done)
}

/// For what the clock brings, and no event announces.
pub async fn until(condition: impl Fn() -> bool) {
    gnsq_testkit::eventually(DEADLINE, "a condition", async || condition().then_some(())).await;
}

/// Expects this line; others, such as RDYs, may come before it.
pub async fn until_command(connection: &mut PeerConnection, command: &str) {
    while connection.expect_line().await != command {}
}

/// Shows that the client has sent nothing more: its answer to a heartbeat is the next line.
pub async fn expect_nothing_sent(connection: &mut PeerConnection) {
    connection.heartbeat().await;
    connection.expect_command("NOP").await;
}

pub fn producer(peers: &[&ScriptedPeer]) -> ProducerBuilder {
    Producer::builder()
        .nsqds(peers.iter().map(|peer| peer.address()))
        .max_reconnect_delay(Duration::from_millis(50))
        .publish_timeout(DEADLINE)
}

/// Accepts a producer's connection, up to the answer to IDENTIFY.
pub async fn identified(peer: &ScriptedPeer) -> PeerConnection {
    let mut connection = peer.accept().await;
    connection.handshake().await;
    connection
}

/// The next event.
pub async fn event<T>(events: &mut SignalStream<T>) -> T {
    within(events.recv()).await.expect("the signal is there")
}

/// A producer's publish in a task of its own.
pub fn publishing(producer: &Producer, body: impl Into<String>) -> tokio::task::JoinHandle<gnsq::Result<()>> {
    let (producer, body) = (producer.clone(), body.into());
    tokio::spawn(async move { producer.publish("t", body).await })
}

/// Ends a session as nsqd would, when the client is known to be shutting down with nothing in hand.
pub async fn serve_shutdown(mut connection: PeerConnection) {
    until_command(&mut connection, "CLS").await;
    connection.send_response("CLOSE_WAIT").await;
    serve_end(connection).await;
}

/// Reads until the client has closed its side, and closes in turn.
pub async fn serve_end(mut connection: PeerConnection) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(line) = connection.next_line().await {
        lines.push(line);
    }
    lines
}

/// A connection of this process is there for the peer as soon as it is made.
pub async fn assert_nobody_came(peer: &ScriptedPeer) {
    let ours = within(tokio::net::TcpStream::connect(peer.address())).await.expect("it goes well");
    let mut first = peer.accept().await;
    drop(ours);
    assert_eq!(first.next_line().await, None);
}
