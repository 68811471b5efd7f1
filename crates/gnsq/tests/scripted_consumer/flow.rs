//! RDY: who may send how much, and when nobody may.

use std::convert::Infallible;
use std::time::Duration;

use gnsq::Consumer;
use gnsq_testkit::{DEADLINE, PeerConnection, ScriptedPeer, eventually};
use serde_json::json;

use super::common::{
    ONE, TWO, expect_nothing_sent, id, plain_consumer, ready, reply_with, subscribed, subscribed_with, text,
    until_command, within,
};
use super::{Pair, SHORT, frame};

#[tokio::test]
async fn a_quiet_connection_begins_with_room_for_one_message() {
    let peer = ScriptedPeer::bind().await;
    let _consumer = Consumer::builder("t", "c").nsqd(peer.address()).build().unwrap();
    let mut connection = ready(&peer, 1).await;
    expect_nothing_sent(&mut connection).await;
}

#[tokio::test]
async fn rdy_grows_with_a_backlog_and_stays_within_max_in_flight_over_all_connections() {
    const MOST: u32 = 20;
    let peers = [ScriptedPeer::bind().await, ScriptedPeer::bind().await];
    let consumer = Consumer::builder("t", "c")
        .nsqds(peers.iter().map(ScriptedPeer::address))
        .max_in_flight(MOST)
        .concurrency(4)
        .build()
        .unwrap();
    let run = tokio::spawn(consumer.run(|_| async { Ok::<_, Infallible>(()) }));
    let [first, second] = &peers;
    let (first, second) = tokio::join!(subscribed(first), subscribed(second));
    let mut nsqds = [Nsqd::new(first), Nsqd::new(second)];
    within(async {
        while nsqds.iter().any(|nsqd| nsqd.ready != MOST / 2) {
            let [first, second] = &mut nsqds;
            tokio::select! {
                () = first.step() => {}
                () = second.step() => {}
            }
            if first.ready + second.ready > MOST {
                // What was lowered before the other was raised may not have been read yet.
                tokio::time::sleep(Duration::from_millis(50)).await;
                first.read_what_is_there().await;
                second.read_what_is_there().await;
            }
            assert!(first.ready + second.ready <= MOST, "{} and {}", first.ready, second.ready);
        }
    })
    .await;
    run.abort();
}

#[tokio::test]
async fn rdy_stays_within_the_peers_own_maximum() {
    let peer = ScriptedPeer::bind().await;
    let _consumer = plain_consumer(&[&peer]).max_in_flight(100).build().unwrap();
    let mut connection = subscribed_with(&peer, &reply_with([("max_rdy_count", json!(3))])).await;
    connection.expect_command("RDY 3").await;
    expect_nothing_sent(&mut connection).await;
}

#[tokio::test]
async fn connections_take_turns_where_there_is_not_one_message_for_each() {
    let peers = [ScriptedPeer::bind().await, ScriptedPeer::bind().await];
    let _consumer =
        plain_consumer(&[&peers[0], &peers[1]]).max_in_flight(1).turns(SHORT / 4, SHORT / 2).build().unwrap();
    let (mut first, mut second) = tokio::join!(subscribed(&peers[0]), subscribed(&peers[1]));
    for _ in 0..3 {
        tokio::join!(until_command(&mut first, "RDY 1"), until_command(&mut second, "RDY 1"));
        tokio::join!(until_command(&mut first, "RDY 0"), until_command(&mut second, "RDY 0"));
    }
}

#[tokio::test]
async fn a_pause_takes_no_messages_until_it_is_resumed() {
    let mut pair = Pair::new(|builder| builder).await;
    let handle = pair.consumer.as_ref().unwrap().handle().clone();
    handle.pause();
    assert!(handle.is_paused());
    pair.first.expect_command("RDY 0").await;
    pair.second.expect_command("RDY 0").await;
    handle.resume();
    until_command(&mut pair.first, "RDY 5").await;
    until_command(&mut pair.second, "RDY 5").await;
}

#[tokio::test]
async fn a_consumer_that_is_paused_when_a_connection_comes_takes_nothing_from_it() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(10).build().unwrap();
    consumer.handle().pause();
    let mut connection = subscribed(&peer).await;
    expect_nothing_sent(&mut connection).await;
    consumer.handle().resume();
    connection.expect_command("RDY 10").await;
}

#[tokio::test]
async fn max_in_flight_changes_at_once() {
    let mut pair = Pair::new(|builder| builder).await;
    let handle = pair.consumer.as_ref().unwrap().handle().clone();
    for (most, ready) in [(4, "RDY 2"), (0, "RDY 0"), (60, "RDY 30"), (10, "RDY 5")] {
        handle.set_max_in_flight(most);
        until_command(&mut pair.first, ready).await;
        until_command(&mut pair.second, ready).await;
        assert_eq!(handle.max_in_flight(), most);
    }
}

#[tokio::test]
async fn a_full_connection_is_starved() {
    let peer = ScriptedPeer::bind().await;
    let mut consumer = plain_consumer(&[&peer]).max_in_flight(2).build().unwrap();
    let handle = consumer.handle().clone();
    let mut connection = ready(&peer, 2).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    let message = within(consumer.recv()).await.unwrap();
    assert!(!handle.is_starved());
    connection.send_message(TWO, 1, 1, b"body").await;
    eventually(DEADLINE, "two messages", async || (handle.total_in_flight() == 2).then_some(())).await;
    assert!(handle.is_starved());
    assert_eq!(handle.total_ready(), 2);
    message.finish().unwrap();
    connection.expect_command(&format!("FIN {}", text(ONE))).await;
}

#[tokio::test]
async fn a_quiet_connection_is_not_starved_by_its_small_rdy() {
    let peer = ScriptedPeer::bind().await;
    let mut consumer = plain_consumer(&[&peer]).low_latency(true).max_in_flight(10).build().unwrap();
    let handle = consumer.handle().clone();
    let mut connection = ready(&peer, 1).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    let message = within(consumer.recv()).await.unwrap();
    assert!(!handle.is_starved(), "nine more may come");
    handle.set_max_in_flight(1);
    eventually(DEADLINE, "no more to come", async || handle.is_starved().then_some(())).await;
    drop(message);
}

/// nsqd with an endless backlog: sends as many messages as RDY allows.
struct Nsqd {
    connection: PeerConnection,
    ready: u32,
    in_flight: u32,
    sent: usize,
}

impl Nsqd {
    fn new(connection: PeerConnection) -> Self {
        Self { connection, ready: 0, in_flight: 0, sent: 0 }
    }

    /// Cancel safe up to a message that is sent in part, which is too short for that.
    async fn step(&mut self) {
        let line = self.connection.expect_line().await;
        self.take(&line);
        let mut bytes = Vec::new();
        while self.in_flight < self.ready {
            self.in_flight += 1;
            self.sent += 1;
            bytes.extend(frame(2, &[&[0; 9], &[1][..], &id(self.sent), b"body"].concat()));
        }
        if !bytes.is_empty() {
            self.connection.send_raw(&bytes).await;
        }
    }

    async fn read_what_is_there(&mut self) {
        while let Ok(line) = tokio::time::timeout(Duration::from_millis(1), self.connection.expect_line()).await {
            self.take(&line);
        }
    }

    fn take(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("RDY", ready)) => self.ready = ready.parse().expect("RDY has a number"),
            Some(("FIN", _)) => self.in_flight -= 1,
            _ => panic!("{line} came"),
        }
    }
}
