//! nsqds that fail or keep silent, and when they are used again.
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

use std::time::Duration;

use gnsq::{BreakerState, Error, NsqdStats, Producer, Routing};
use gnsq_testkit::{DEADLINE, PeerConnection, ScriptedPeer, eventually};

use super::common::{expect_nothing_sent, identified, producer, publishing, within};
use super::{Pair, SHORT, body};

fn nsqd(producer: &Producer, peer: &ScriptedPeer) -> NsqdStats {
    let address = peer.address().to_string();
    producer.stats().nsqds.into_iter().find(|nsqd| nsqd.address.to_string() == address).unwrap()
}

async fn both_connected(producer: &Producer) {
    eventually(DEADLINE, "two connections", async || (producer.connections() == 2).then_some(())).await;
}

/// Lets the first nsqd fail a publish with its own error; the second takes it over. Returns the first's next connection.
async fn fail_on_first(pair: &mut Pair, code: &str) {
    let publish = publishing(&pair.producer, "failing");
    assert_eq!(body(&mut pair.first).await, "failing");
    pair.first.send_error(&format!("{code} why")).await;
    if body(&mut pair.second).await == "failing" {
        pair.second.send_response("OK").await;
    }
    within(publish).await.unwrap().unwrap();
    pair.first = identified(&pair.peers[0]).await;
    both_connected(&pair.producer).await;
}

async fn confirm_on_second(pair: &mut Pair, text: &str) {
    let publish = publishing(&pair.producer, text);
    assert_eq!(body(&mut pair.second).await, text);
    pair.second.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_nsqd_that_fails_in_a_row_is_left_alone_and_probed_with_one_publish() {
    let mut pair = Pair::new(|builder| builder.routing(Routing::FirstHealthy).breaker_failures(3)).await;
    fail_on_first(&mut pair, "E_PUB_FAILED").await;
    fail_on_first(&mut pair, "E_PUB_FAILED").await;
    // A success between them: it begins anew.
    pair.confirm_on_first(1).await;
    for _ in 0..2 {
        fail_on_first(&mut pair, "E_PUB_FAILED").await;
        assert_eq!(nsqd(&pair.producer, &pair.peers[0]).breaker, BreakerState::Closed);
    }
    fail_on_first(&mut pair, "E_PUB_FAILED").await;
    assert_eq!(nsqd(&pair.producer, &pair.peers[0]).breaker, BreakerState::Open);
    confirm_on_second(&mut pair, "left alone").await;
    expect_nothing_sent(&mut pair.first).await;

    // After a second one publish probes it, and only one.
    let probe = loop {
        let publish = publishing(&pair.producer, "probe");
        tokio::select! {
            line = pair.first.expect_line() => {
                assert_eq!(line, "PUB t");
                break publish;
            }
            _ = pair.second.expect_line() => {
                pair.second.expect_body().await;
                pair.second.send_response("OK").await;
                within(publish).await.unwrap().unwrap();
                tokio::time::sleep(SHORT / 4).await;
            }
        }
    };
    assert_eq!(pair.first.expect_body().await, b"probe");
    assert_eq!(nsqd(&pair.producer, &pair.peers[0]).breaker, BreakerState::HalfOpen);
    confirm_on_second(&mut pair, "beside the probe").await;
    pair.first.send_response("OK").await;
    within(probe).await.unwrap().unwrap();
    assert_eq!(nsqd(&pair.producer, &pair.peers[0]).breaker, BreakerState::Closed);
    pair.confirm_on_first(2).await;
}

#[tokio::test]
async fn lost_connections_count_but_not_those_that_a_bad_publish_ended() {
    for (is_counted, bad) in [(true, None), (false, Some("E_BAD_MESSAGE why")), (true, Some("E_AUTH_FAILED why"))] {
        let mut pair = Pair::new(|builder| builder.routing(Routing::FirstHealthy).breaker_failures(1)).await;
        let publish = publishing(&pair.producer, "x");
        assert_eq!(body(&mut pair.first).await, "x");
        match bad {
            Some(error) => pair.first.send_error(error).await,
            None => pair.first.reset(),
        }
        if bad == Some("E_AUTH_FAILED why") {
            assert_eq!(body(&mut pair.second).await, "x");
            pair.second.send_response("OK").await;
        }
        assert_eq!(within(publish).await.unwrap().is_ok(), bad == Some("E_AUTH_FAILED why"));
        pair.first = identified(&pair.peers[0]).await;
        both_connected(&pair.producer).await;
        let expected = if is_counted { BreakerState::Open } else { BreakerState::Closed };
        assert_eq!(nsqd(&pair.producer, &pair.peers[0]).breaker, expected, "{bad:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_without_a_publish_is_no_failure() {
    let mut pair = Pair::new(|builder| builder.routing(Routing::FirstHealthy).breaker_failures(1)).await;
    pair.first.reset();
    pair.first = identified(&pair.peers[0]).await;
    both_connected(&pair.producer).await;
    assert_eq!(nsqd(&pair.producer, &pair.peers[0]).breaker, BreakerState::Closed);
    pair.confirm_on_first(1).await;
}

#[tokio::test]
async fn a_breaker_makes_no_publish_fail() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).breaker_failures(1).build().unwrap();
    let mut connection = identified(&peer).await;
    // It fails again and again, and is the only one: the publish is tried again and again.
    let publish = publishing(&producer, "again");
    for _ in 0..4 {
        assert_eq!(body(&mut connection).await, "again");
        connection.send_error("E_PUB_FAILED why").await;
        connection = identified(&peer).await;
    }
    assert_eq!(body(&mut connection).await, "again");
    assert_ne!(nsqd(&producer, &peer).breaker, BreakerState::Closed);
    connection.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
    assert_eq!(nsqd(&producer, &peer).breaker, BreakerState::Closed);
}

#[tokio::test]
async fn an_nsqd_that_owes_answers_for_too_long_is_left_alone_until_it_gives_one() {
    let mut pair = Pair::new(|builder| builder.routing(Routing::FirstHealthy).stall_timeout(SHORT)).await;
    pair.confirm_on_first(0).await;
    let waiting = publishing(&pair.producer, "waiting");
    assert_eq!(body(&mut pair.first).await, "waiting");
    let peers = &pair.peers;
    eventually(DEADLINE, "the stall", async || nsqd(&pair.producer, &peers[0]).stalled.then_some(())).await;
    // A heartbeat is no answer.
    expect_nothing_sent(&mut pair.first).await;
    confirm_on_second(&mut pair, "elsewhere").await;
    pair.first.send_response("OK").await;
    within(waiting).await.unwrap().unwrap();
    assert!(!nsqd(&pair.producer, &pair.peers[0]).stalled);
    pair.confirm_on_first(1).await;
}

#[tokio::test]
async fn a_stall_is_no_reason_where_there_is_no_other_or_it_is_turned_off() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).stall_timeout(Duration::from_nanos(1)).batching(false).build().unwrap();
    let mut connection = identified(&peer).await;
    let tasks = [publishing(&producer, "a"), publishing(&producer, "b")];
    body(&mut connection).await;
    body(&mut connection).await;
    assert!(nsqd(&producer, &peer).stalled);
    let third = publishing(&producer, "c");
    assert_eq!(body(&mut connection).await, "c");
    for _ in 0..3 {
        connection.send_response("OK").await;
    }
    for task in tasks.into_iter().chain([third]) {
        within(task).await.unwrap().unwrap();
    }

    let mut pair = Pair::new(|builder| builder.routing(Routing::FirstHealthy).stall_timeout(None)).await;
    let silent = publishing(&pair.producer, "silent");
    assert_eq!(body(&mut pair.first).await, "silent");
    assert!(!nsqd(&pair.producer, &pair.peers[0]).stalled);
    let next = publishing(&pair.producer, "next");
    assert_eq!(body(&mut pair.first).await, "next");
    answer(&mut pair.first, 2).await;
    for task in [silent, next] {
        within(task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_times_out_on_a_silent_nsqd_is_unknown_and_its_return_is_noticed() {
    let mut pair =
        Pair::new(|builder| builder.routing(Routing::FirstHealthy).stall_timeout(SHORT).publish_timeout(2 * SHORT))
            .await;
    let lost = publishing(&pair.producer, "lost");
    assert_eq!(body(&mut pair.first).await, "lost");
    assert!(matches!(within(lost).await.unwrap(), Err(Error::Timeout { sent: true, .. })));
    assert!(nsqd(&pair.producer, &pair.peers[0]).stalled);
    assert_eq!(nsqd(&pair.producer, &pair.peers[0]).outstanding, 0);
    pair.first.send_response("OK").await;
    let peers = &pair.peers;
    eventually(DEADLINE, "its return", async || (!nsqd(&pair.producer, &peers[0]).stalled).then_some(())).await;
    pair.confirm_on_first(1).await;
}

async fn answer(connection: &mut PeerConnection, count: usize) {
    for _ in 0..count {
        connection.send_response("OK").await;
    }
}
