//! Which nsqd a publish goes to, and whether it goes to another one after a failure.

use std::collections::BTreeSet;

use gnsq::{Error, Routing};
use gnsq_testkit::{DEADLINE, eventually};

use super::common::{expect_nothing_sent, identified, publishing, within};
use super::{Pair, body};

#[tokio::test]
async fn what_was_not_carried_out_goes_to_another_nsqd_once() {
    for (code, oldest_goes_on) in [
        ("E_PUB_FAILED", true),
        ("E_MPUB_FAILED", false),
        ("E_DPUB_FAILED", true),
        ("E_PUT_FAILED", true),
        ("E_AUTH_FAILED", true),
        ("E_BAD_TOPIC", false),
        ("E_BAD_MESSAGE", false),
        ("E_BAD_BODY", false),
        ("E_INVALID", false),
        ("E_UNAUTHORIZED", false),
        ("E_AUTH_FIRST", false),
        ("E_AUTH_ERROR", false),
    ] {
        let mut pair = Pair::new(|builder| builder.routing(Routing::FirstHealthy).batching(false)).await;
        let tasks = pair.publish_to_first(3).await;
        pair.first.send_error(&format!("{code} why")).await;

        let expected = if oldest_goes_on { &["0", "1", "2"][..] } else { &["1", "2"] };
        let mut seen = BTreeSet::new();
        for _ in expected {
            assert!(seen.insert(body(&mut pair.second).await), "{code}");
            pair.second.send_response("OK").await;
        }
        assert_eq!(seen, expected.iter().map(ToString::to_string).collect(), "{code}");
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(within(task).await.unwrap());
        }
        if oldest_goes_on {
            outcomes.remove(0).unwrap();
        } else {
            let error = outcomes.remove(0).unwrap_err();
            assert!(matches!(&error, Error::Refused { source, .. } if source.code().as_str() == code), "{error}");
            assert_eq!(error.outcome_unknown(), code == "E_MPUB_FAILED");
        }
        assert!(outcomes.iter().all(Result::is_ok), "{code}: {outcomes:?}");
        expect_nothing_sent(&mut pair.second).await;
    }
}

#[tokio::test]
async fn what_is_unknown_goes_nowhere_unless_that_was_chosen() {
    for retry in [false, true] {
        let first = |builder: gnsq::ProducerBuilder| builder.routing(Routing::FirstHealthy).batching(false);
        let mut pair = Pair::new(|builder| first(builder).retry_unknown(retry)).await;
        let tasks = pair.publish_to_first(2).await;
        pair.first.close().await;
        if retry {
            let mut seen = BTreeSet::new();
            for _ in 0..2 {
                assert!(seen.insert(body(&mut pair.second).await));
                pair.second.send_response("OK").await;
            }
        }
        for task in tasks {
            match within(task).await.unwrap() {
                Ok(()) => assert!(retry),
                Err(error) => assert!(!retry && error.outcome_unknown(), "{error}"),
            }
        }
        expect_nothing_sent(&mut pair.second).await;
    }
}

#[tokio::test]
async fn round_robin_takes_them_in_turn() {
    let mut pair = Pair::new(|builder| builder).await;
    for _ in 0..3 {
        let mut seen = [0, 0];
        for _ in 0..2 {
            let publish = publishing(&pair.producer, "body");
            tokio::select! {
                _ = pair.first.expect_line() => {
                    seen[0] += 1;
                    pair.first.expect_body().await;
                    pair.first.send_response("OK").await;
                }
                _ = pair.second.expect_line() => {
                    seen[1] += 1;
                    pair.second.expect_body().await;
                    pair.second.send_response("OK").await;
                }
            }
            within(publish).await.unwrap().unwrap();
        }
        assert_eq!(seen, [1, 1]);
    }
}

#[tokio::test]
async fn first_healthy_keeps_to_the_first_as_long_as_it_is_there() {
    let mut pair = Pair::new(|builder| builder.routing(Routing::FirstHealthy)).await;
    for number in 0..3 {
        pair.confirm_on_first(number).await;
    }
    pair.first.reset();
    // Once its end is known, the spare has its turn.
    eventually(DEADLINE, "the end to be known", async || (pair.producer.connections() == 1).then_some(())).await;
    let publish = publishing(&pair.producer, "spare");
    assert_eq!(body(&mut pair.second).await, "spare");
    pair.second.send_response("OK").await;
    within(publish).await.unwrap().unwrap();

    pair.first = identified(&pair.peers[0]).await;
    eventually(DEADLINE, "its return", async || (pair.producer.connections() == 2).then_some(())).await;
    pair.confirm_on_first(9).await;
    expect_nothing_sent(&mut pair.second).await;
}

#[tokio::test]
async fn an_nsqd_that_failed_is_left_out_until_it_answers_again() {
    let mut pair = Pair::new(|builder| builder).await;
    pair.first.reset();
    eventually(DEADLINE, "the end to be known", async || (pair.producer.connections() == 1).then_some(())).await;
    // It takes connections, but doesn't answer.
    let mut first = pair.peers[0].accept().await;
    for number in 0..4 {
        let publish = publishing(&pair.producer, number.to_string());
        assert_eq!(body(&mut pair.second).await, number.to_string());
        pair.second.send_response("OK").await;
        within(publish).await.unwrap().unwrap();
    }
    first.handshake().await;
    eventually(DEADLINE, "its return", async || (pair.producer.connections() == 2).then_some(())).await;
    let tasks = [publishing(&pair.producer, "a"), publishing(&pair.producer, "b")];
    body(&mut first).await;
    body(&mut pair.second).await;
    first.send_response("OK").await;
    pair.second.send_response("OK").await;
    for task in tasks {
        within(task).await.unwrap().unwrap();
    }
}
