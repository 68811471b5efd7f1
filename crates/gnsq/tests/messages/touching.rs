//! When messages are touched without being asked.

use std::convert::Infallible;
use std::sync::Mutex;

use gnsq::Message;
use serde_json::json;

use super::common::{
    ONE, TWO, expect_nothing_sent, id, plain_consumer, ready_with, reply_with, serve_shutdown, text, until, within,
};
use super::next;
use super::receiving_with;
use gnsq_testkit::ScriptedPeer;

#[tokio::test]
async fn a_message_in_hand_is_touched_until_the_servers_maximum_and_one_that_waits_is_not() {
    let reply = reply_with([("msg_timeout", json!(3000)), ("max_msg_timeout", json!(6000))]);
    let (mut consumer, mut peer) = receiving_with(5, &reply, |builder| builder.auto_touch(true)).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    peer.send_message(TWO, 1, 1, b"body").await;
    let message = next(&mut consumer).await;
    let first = message.deadline();
    for _ in 0..2 {
        peer.expect_command(&format!("TOUCH {}", text(ONE))).await;
    }
    assert!(message.deadline() > first);
    let stats = || consumer.handle().stats();
    until(|| stats().expired == 2).await;
    assert!(message.is_expired());
    drop(message);
    expect_nothing_sent(&mut peer).await;
    assert_eq!(stats().requeued, 0);
}

#[tokio::test]
async fn what_was_answered_is_touched_no_more() {
    let reply = reply_with([("msg_timeout", json!(1000))]);
    let (mut consumer, mut peer) = receiving_with(5, &reply, |builder| builder.auto_touch(true)).await;
    for number in 0..100 {
        peer.send_message(&id(number), 1, 1, b"body").await;
        next(&mut consumer).await.finish().unwrap();
        peer.expect_command(&format!("FIN {}", text(&id(number)))).await;
    }
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = next(&mut consumer).await;
    peer.expect_command(&format!("TOUCH {}", text(ONE))).await;
    message.finish().unwrap();
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    expect_nothing_sent(&mut peer).await;
}

#[tokio::test]
async fn a_detached_message_is_touched() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).auto_touch(true).max_in_flight(2).build().unwrap();
    let handle = consumer.handle().clone();
    let kept = std::sync::Arc::new(Mutex::new(None));
    let keeping = kept.clone();
    let run = tokio::spawn(consumer.run(move |message: Message| {
        message.detach();
        *keeping.lock().unwrap() = Some(message);
        std::future::ready(Ok::<_, Infallible>(()))
    }));
    let mut peer = ready_with(&peer, &reply_with([("msg_timeout", json!(1000))]), 2).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    for _ in 0..2 {
        peer.expect_command(&format!("TOUCH {}", text(ONE))).await;
    }
    kept.lock().unwrap().take().unwrap().finish().unwrap();
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(run).await.unwrap();
}
