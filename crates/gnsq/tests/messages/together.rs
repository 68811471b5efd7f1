//! Many messages at once: received, finished.

use std::time::Duration;

use gnsq::{Error, Message};

use super::common::{event, expect_nothing_sent, id, serve_shutdown, text, within};
use super::{next, receiving};

#[tokio::test]
async fn what_is_there_is_received_at_once_up_to_the_limit() {
    let (mut consumer, mut peer) = receiving(5, |builder| builder).await;
    for number in 1..=5 {
        peer.send_message(&id(number), 1, 1, b"body").await;
    }
    let mut batch = vec![next(&mut consumer).await];
    assert_eq!(consumer.recv_many(&mut batch, 0).await, 0);
    let mut received = 0;
    while received < 3 {
        let more = within(consumer.recv_many(&mut batch, 3 - received)).await;
        assert!(more > 0);
        received += more;
    }
    assert_eq!(received, 3);
    assert_eq!(batch.iter().map(|message| message.id().0).collect::<Vec<_>>(), (1..=4).map(id).collect::<Vec<_>>());
    assert_eq!(next(&mut consumer).await.id().0, id(5));
}

#[tokio::test]
async fn a_shutdown_is_the_end_of_receiving() {
    let (mut consumer, peer) = receiving(5, |builder| builder).await;
    let handle = consumer.handle().clone();
    handle.request_shutdown();
    let mut batch = Vec::new();
    let (received, ()) = tokio::join!(within(consumer.recv_many(&mut batch, 10)), serve_shutdown(peer));
    assert_eq!((received, batch.len()), (0, 0));
    within(handle.finished()).await;
}

#[tokio::test]
async fn one_that_was_tried_too_often_is_given_up() {
    let (mut consumer, mut peer) = receiving(5, |builder| builder.max_attempts(2)).await;
    for (number, attempts) in [(1, 1), (2, 3), (3, 1)] {
        peer.send_message(&id(number), 1, attempts, b"body").await;
    }
    let mut batch = Vec::new();
    while batch.len() < 2 {
        assert!(within(consumer.recv_many(&mut batch, 10)).await > 0);
    }
    assert_eq!(batch.iter().map(|message| message.id().0).collect::<Vec<_>>(), [id(1), id(3)]);
    peer.expect_command(&format!("FIN {}", text(&id(2)))).await;
}

#[tokio::test]
async fn each_of_many_is_finished() {
    let (mut consumer, mut peer) = receiving(5, |builder| builder).await;
    for number in 1..=3 {
        peer.send_message(&id(number), 1, 1, b"body").await;
    }
    let batch = vec![next(&mut consumer).await, next(&mut consumer).await, next(&mut consumer).await];
    assert_eq!(Message::finish_all(batch), 0);
    for number in 1..=3 {
        peer.expect_command(&format!("FIN {}", text(&id(number)))).await;
    }
    expect_nothing_sent(&mut peer).await;
    let stats = consumer.handle().stats();
    assert_eq!((stats.finished, stats.requeued, stats.in_flight), (3, 0, 0));
    assert_eq!(Message::finish_all([]), 0);
}

#[tokio::test]
async fn those_that_cannot_be_finished_are_counted() {
    let (mut consumer, mut peer) = receiving(5, |builder| builder).await;
    for number in 1..=2 {
        peer.send_message(&id(number), 1, 1, b"body").await;
    }
    let batch = vec![next(&mut consumer).await, next(&mut consumer).await];
    assert!(batch[0].check_answerable().is_ok());
    let mut closes = consumer.handle().signals().on_close.subscribe(1);
    peer.reset();
    event(&mut closes).await;
    assert!(matches!(batch[0].check_answerable(), Err(Error::Io { .. })));
    assert_eq!(Message::finish_all(batch), 2);
    assert_eq!(consumer.handle().stats().finished, 0);
}

#[tokio::test]
async fn a_body_that_was_taken_leaves_a_message_that_can_be_answered() {
    let (mut consumer, mut peer) = receiving(1, |builder| builder).await;
    peer.send_message(&id(1), 1, 1, b"body").await;
    let mut message = next(&mut consumer).await;
    assert_eq!(message.take_body().as_ref(), b"body");
    assert!(message.body().is_empty());
    message.requeue(Duration::ZERO).unwrap();
    peer.expect_command(&format!("REQ {} 0", text(&id(1)))).await;
}
