//! The command of each answer.

use std::time::Duration;

use gnsq::Error;

use super::common::{ONE, TWO, event, expect_nothing_sent, id, text};
use super::{next, receiving};

#[tokio::test]
async fn each_answer_has_its_command() {
    let (mut consumer, mut peer) = receiving(5, |builder| builder).await;
    for number in 1..=4 {
        peer.send_message(&id(number), 1_700_000_000_000_000_000, 3, b"body").await;
    }

    let message = next(&mut consumer).await;
    assert_eq!((message.body().as_ref(), message.attempts(), message.id().0), (&b"body"[..], 3, id(1)));
    assert_eq!(message.timestamp(), 1_700_000_000_000_000_000);
    assert_eq!(message.published_at().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 1_700_000_000);
    message.touch().unwrap();
    peer.expect_command(&format!("TOUCH {}", text(&id(1)))).await;
    message.finish().unwrap();
    peer.expect_command(&format!("FIN {}", text(&id(1)))).await;

    next(&mut consumer).await.requeue(Duration::from_micros(1_234_567)).unwrap();
    peer.expect_command(&format!("REQ {} 1234", text(&id(2)))).await;

    next(&mut consumer).await.requeue_without_backoff(Duration::ZERO).unwrap();
    peer.expect_command(&format!("REQ {} 0", text(&id(3)))).await;

    drop(next(&mut consumer).await);
    peer.expect_command(&format!("REQ {} 0", text(&id(4)))).await;
    expect_nothing_sent(&mut peer).await;

    let stats = consumer.handle().stats();
    assert_eq!((stats.received, stats.finished, stats.requeued, stats.in_flight, stats.queued), (4, 1, 3, 0, 0));
}

#[tokio::test]
async fn no_delay_is_too_long_for_nsqd_to_count() {
    let (mut consumer, mut peer) = receiving(1, |builder| builder).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    next(&mut consumer).await.requeue(Duration::MAX).unwrap();
    let line = peer.expect_line().await;
    let millis: i64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(millis > 1_000_000_000 && millis.checked_mul(1_000_000).is_some(), "{line}");
}

#[tokio::test]
async fn a_message_whose_connection_has_ended_can_only_be_dropped() {
    let (mut consumer, mut peer) = receiving(2, |builder| builder).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    peer.send_message(TWO, 1, 1, b"body").await;
    let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
    let mut closes = consumer.handle().signals().on_close.subscribe(1);
    peer.reset();
    event(&mut closes).await;
    assert!(matches!(first.touch(), Err(Error::Io { .. })));
    assert!(matches!(first.finish(), Err(Error::Io { .. })));
    drop(second);
    assert_eq!(consumer.handle().stats().requeued, 0);
}
