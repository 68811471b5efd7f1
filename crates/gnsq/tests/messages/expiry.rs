//! Messages that live too long, and how they are kept alive.

use std::time::Duration;

use gnsq::{BackoffStrategy, Consumer, Error, HandlerError, Message};
use gnsq_testkit::{DEADLINE, PeerConnection, ScriptedPeer};
use serde_json::json;

use super::common::{
    self, ONE, TWO, expect_nothing_sent, id, plain_consumer, ready_with, reply_with, serve_shutdown, text, until,
    within,
};
use super::{next, receiving_with};

#[tokio::test]
async fn a_message_that_expired_in_the_queue_is_not_handed_out() {
    let (mut consumer, mut peer) = short_lived(5).await;
    peer.send_message(ONE, 1, 1, b"old").await;
    let handle = consumer.handle().clone();
    until(|| handle.stats().expired == 1).await;
    peer.send_message(TWO, 1, 1, b"new").await;
    assert_eq!(next(&mut consumer).await.id().0, *TWO);
    // The dropped one went back, the expired one needs no answer.
    peer.expect_command(&format!("REQ {} 0", text(TWO))).await;
    expect_nothing_sent(&mut peer).await;
}

#[tokio::test]
async fn messages_that_expire_while_nobody_takes_them_leave_no_trace() {
    let (mut consumer, mut peer) = short_lived(10).await;
    let handle = consumer.handle().clone();
    for round in 1..=2 {
        for number in 0..10 {
            peer.send_message(&id(number), 1, round, b"body").await;
        }
        until(|| handle.stats().expired == 10 * u64::from(round)).await;
        assert_eq!(handle.stats().queued, 10);
    }
    peer.send_message(&id(77), 1, 1, b"body").await;
    until(|| handle.stats().queued == 1).await;
    next(&mut consumer).await.finish().unwrap();
    peer.expect_command(&format!("FIN {}", text(&id(77)))).await;
}

#[tokio::test]
async fn an_answer_that_is_too_late_is_not_sent() {
    let (mut consumer, mut peer) = short_lived(5).await;
    for number in 1..=4 {
        peer.send_message(&id(number), 1, 1, b"body").await;
    }
    let mut messages = Vec::new();
    for _ in 0..4 {
        messages.push(next(&mut consumer).await);
    }
    until(|| messages.iter().all(Message::is_expired)).await;
    let [finished, requeued, touched, dropped] = <[Message; 4]>::try_from(messages).unwrap();
    assert!(
        matches!(finished.finish(), Err(error @ Error::Expired { id }) if id.0 == common::id(1) && error.is_timeout())
    );
    assert!(matches!(requeued.requeue(Duration::ZERO), Err(Error::Expired { .. })));
    assert!(matches!(touched.touch(), Err(Error::Expired { .. })));
    drop(touched);
    drop(dropped);
    expect_nothing_sent(&mut peer).await;
    until(|| consumer.handle().stats().expired == 4).await;
    let stats = consumer.handle().stats();
    assert_eq!((stats.finished, stats.requeued, stats.in_flight), (0, 0, 0));
}

#[tokio::test]
async fn a_touch_extends_the_deadline_up_to_the_cap() {
    let reply = reply_with([("msg_timeout", json!(60_000)), ("max_msg_timeout", json!(90_000))]);
    let (mut consumer, mut peer) = receiving_with(1, &reply, |builder| builder).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = next(&mut consumer).await;
    let first = message.deadline();
    message.touch().unwrap();
    peer.expect_command(&format!("TOUCH {}", text(ONE))).await;
    let second = message.deadline();
    assert!(second > first && second < first + Duration::from_secs(30));
    message.finish().unwrap();

    // At the cap a touch gains nothing.
    let reply = reply_with([("msg_timeout", json!(60_000)), ("max_msg_timeout", json!(60_000))]);
    let (mut consumer, mut peer) = receiving_with(1, &reply, |builder| builder).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = next(&mut consumer).await;
    let first = message.deadline();
    message.touch().unwrap();
    assert_eq!(message.deadline(), first);
}

#[tokio::test]
async fn a_touched_message_outlives_its_first_deadline() {
    let (mut consumer, mut peer) = short_lived(1).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = next(&mut consumer).await;
    let first = message.deadline();
    while std::time::Instant::now() < first {
        message.touch().unwrap();
        peer.expect_command(&format!("TOUCH {}", text(ONE))).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!message.is_expired());
    message.finish().unwrap();
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    assert_eq!(consumer.handle().stats().expired, 0);
}

#[tokio::test]
async fn a_server_that_names_no_message_timeout_is_taken_to_have_the_usual_one() {
    let reply = reply_with([("msg_timeout", json!(0)), ("max_msg_timeout", json!(0))]);
    let (mut consumer, mut peer) = receiving_with(1, &reply, |builder| builder).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = next(&mut consumer).await;
    message.touch().unwrap();
    assert!(!message.is_expired());
    message.finish().unwrap();
    peer.expect_command(&format!("TOUCH {}", text(ONE))).await;
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
}

#[tokio::test]
async fn a_late_verdict_of_a_handler_is_not_sent() {
    let (go, mut gone) = tokio::sync::watch::channel(false);
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(2).build().unwrap();
    let handle = consumer.handle().clone();
    gone.mark_unchanged();
    let run = tokio::spawn(consumer.run(move |message: Message| {
        let mut gone = gone.clone();
        async move {
            if message.id().0 == *ONE {
                gone.changed().await?;
            }
            Ok::<_, HandlerError>(())
        }
    }));
    let mut peer = ready_with(&peer, &reply_with([("msg_timeout", json!(1000))]), 2).await;
    peer.send_message(ONE, 1, 1, b"slow").await;
    until(|| handle.stats().expired == 1).await;
    go.send(true).unwrap();
    peer.send_message(TWO, 1, 1, b"quick").await;
    peer.expect_command(&format!("FIN {}", text(TWO))).await;
    assert_eq!(handle.stats().finished, 1);
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(run).await.unwrap();
}

/// No nsqd sees a finish that comes too late, and no error tells of it.
#[tokio::test]
async fn a_finish_that_is_not_sent_counts_as_a_late_one() {
    let reply = reply_with([("msg_timeout", json!(1000))]);
    for chosen in [false, true] {
        let (mut consumer, mut peer) =
            receiving_with(2, &reply, |builder| builder.backoff_strategy(Long).backoff_on_late_finish(chosen)).await;
        let handle = consumer.handle().clone();
        peer.send_message(ONE, 1, 1, b"slow").await;
        let message = next(&mut consumer).await;
        until(|| message.is_expired()).await;
        assert!(message.finish().is_err());
        if chosen {
            peer.expect_command("RDY 0").await;
        } else {
            expect_nothing_sent(&mut peer).await;
        }
        assert_eq!(handle.stats().backing_off, chosen);
    }
}

#[tokio::test]
async fn a_handler_that_is_too_slow_counts_as_a_late_finish() {
    let peer = ScriptedPeer::bind().await;
    let consumer =
        plain_consumer(&[&peer]).max_in_flight(2).backoff_strategy(Long).backoff_on_late_finish(true).build().unwrap();
    let handle = consumer.handle().clone();
    let run = tokio::spawn(consumer.run(|message: Message| async move {
        while !message.is_expired() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<_, HandlerError>(())
    }));
    let mut peer = ready_with(&peer, &reply_with([("msg_timeout", json!(1000))]), 2).await;
    peer.send_message(ONE, 1, 1, b"slow").await;
    peer.expect_command("RDY 0").await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(run).await.unwrap();
}

/// Longer than the test.
#[derive(Debug)]
struct Long;

impl BackoffStrategy for Long {
    fn wait(&self, _level: u32, _rng: &mut fastrand::Rng) -> Duration {
        DEADLINE * 10
    }
}

/// A consumer whose messages live for a second.
async fn short_lived(max_in_flight: u32) -> (Consumer, PeerConnection) {
    receiving_with(max_in_flight, &reply_with([("msg_timeout", json!(1000))]), |builder| builder).await
}
