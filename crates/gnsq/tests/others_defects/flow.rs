//! How many messages are asked for, when, and of whom.

use gnsq_testkit::{ScriptedPeer, identify_reply};
use serde_json::json;

use super::common::{
    event, expect_nothing_sent, id, plain_consumer, reply_with, subscribed, subscribed_with, text, until_command,
    within,
};

// Seen in other clients: the server's limit read as a number of 16 bits.
#[tokio::test]
async fn a_server_may_allow_more_messages_than_16_bits_count() {
    let peer = ScriptedPeer::bind().await;
    let _consumer = plain_consumer(&[&peer]).max_in_flight(70_000).build().unwrap();
    let mut connection = subscribed_with(&peer, &reply_with([("max_rdy_count", json!(100_000))])).await;
    connection.expect_command("RDY 70000").await;
}

// Seen in other clients: RDY right behind SUB, though SUB may be refused.
#[tokio::test]
async fn nothing_is_asked_for_before_sub_is_answered() {
    let peer = ScriptedPeer::bind().await;
    let _consumer = plain_consumer(&[&peer]).max_in_flight(3).build().unwrap();
    let mut connection = peer.accept().await;
    connection.handshake_with(&identify_reply()).await;
    connection.expect_command("SUB t c").await;
    expect_nothing_sent(&mut connection).await;
    connection.send_response("OK").await;
    connection.expect_command("RDY 3").await;
}

// Seen in other clients: one queue for all connections, which the end of any of them empties.
#[tokio::test]
async fn the_end_of_one_connection_takes_no_messages_of_another_away() {
    let peers = [ScriptedPeer::bind().await, ScriptedPeer::bind().await];
    let mut consumer = plain_consumer(&[&peers[0], &peers[1]]).max_in_flight(6).build().unwrap();
    let mut closes = consumer.handle().signals().on_close.subscribe(8);
    let mut messages = consumer.handle().signals().on_message.subscribe(8);
    // Whose connection is there first gets all at first, and gives half of it up.
    let (mut first, mut second) = tokio::join!(subscribed(&peers[0]), subscribed(&peers[1]));
    tokio::join!(until_command(&mut first, "RDY 3"), until_command(&mut second, "RDY 3"));
    for number in [1, 2] {
        first.send_message(&id(number), 1, 1, b"first").await;
        second.send_message(&id(10 + number), 1, 1, b"second").await;
    }
    for _ in 0..4 {
        event(&mut messages).await;
    }
    first.reset();
    event(&mut closes).await;
    let mut finished = 0;
    while finished < 2 {
        let message = within(consumer.recv()).await.unwrap();
        if message.body() == "second" {
            let line = format!("FIN {}", text(&message.id().0));
            message.finish().unwrap();
            // A share that was the other's may come before.
            until_command(&mut second, &line).await;
            finished += 1;
        }
    }
}
