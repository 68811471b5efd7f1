//! Which publish an answer belongs to, and what it tells.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gnsq::{Error, ErrorCode};
use gnsq_testkit::ScriptedPeer;
use tokio::task::JoinHandle;

use super::common::{event, expect_nothing_sent, identified, producer, publishing, within};
use super::{SHORT, body, connected};

#[tokio::test]
async fn answers_belong_to_publishes_in_their_order() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).batching(false).build().unwrap();
    let mut connection = identified(&peer).await;
    let mut tasks: BTreeMap<String, JoinHandle<gnsq::Result<()>>> =
        (0..20).map(|number| (number.to_string(), publishing(&producer, number.to_string()))).collect();
    let mut order = Vec::new();
    for _ in 0..20 {
        order.push(body(&mut connection).await);
    }
    for _ in 0..5 {
        connection.send_response("OK").await;
    }
    connection.send_error("E_BAD_MESSAGE the sixth").await;
    for confirmed in order.drain(..5) {
        within(tasks.remove(&confirmed).unwrap()).await.unwrap().unwrap();
    }
    let refused = within(tasks.remove(&order.remove(0)).unwrap()).await.unwrap();
    assert!(matches!(refused, Err(Error::Refused { source, .. }) if source.text() == "the sixth"));

    // The others were not carried out, so they come again, each once.
    let mut connection = identified(&peer).await;
    let mut again = BTreeSet::new();
    for _ in 0..order.len() {
        assert!(again.insert(body(&mut connection).await));
        connection.send_response("OK").await;
    }
    assert_eq!(again, order.into_iter().collect());
    expect_nothing_sent(&mut connection).await;
    for task in tasks.into_values() {
        within(task).await.unwrap().unwrap();
    }
    assert_eq!(producer.outstanding(), 0);
}

#[tokio::test]
async fn a_publish_that_nobody_waits_for_takes_its_own_answer() {
    let (producer, mut peer) = connected().await;
    let given_up = publishing(&producer, "given up");
    assert_eq!(body(&mut peer).await, "given up");
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    let waiting = publishing(&producer, "waiting");
    assert_eq!(body(&mut peer).await, "waiting");
    peer.send_response("OK").await;
    expect_nothing_sent(&mut peer).await;
    assert!(!waiting.is_finished());
    assert_eq!(producer.outstanding(), 1);
    peer.send_response("OK").await;
    within(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn each_kind_of_publish_has_its_command() {
    let (producer, mut peer) = connected().await;
    let (first, second, third, ()) = tokio::join!(
        within(producer.publish("t", "one")),
        within(producer.publish_deferred("t", "two", Duration::from_micros(2999))),
        within(producer.multipublish("t", ["three", "four"])),
        async {
            assert_eq!(peer.expect_publish("t").await, b"one");
            peer.expect_command("DPUB t 2").await;
            assert_eq!(peer.expect_body().await, b"two");
            peer.expect_command("MPUB t").await;
            assert_eq!(peer.expect_body().await, b"\0\0\0\x02\0\0\0\x05three\0\0\0\x04four");
            for _ in 0..3 {
                peer.heartbeat().await;
                peer.send_response("OK").await;
                peer.expect_command("NOP").await;
            }
        }
    );
    first.and(second).and(third).unwrap();
}

#[tokio::test]
async fn an_answer_that_is_late_is_not_taken_for_the_next_one() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).publish_timeout(SHORT).build().unwrap();
    let mut connection = identified(&peer).await;
    let error = within(producer.publish("t", "slow")).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { after: SHORT, sent: true }), "{error}");
    assert!(error.outcome_unknown() && error.is_timeout());
    assert_eq!(body(&mut connection).await, "slow");
    // Its answer and the next one's, in one.
    let (published, ()) = tokio::join!(within(producer.publish("t", "quick")), async {
        connection.send_response("OK").await;
        assert_eq!(body(&mut connection).await, "quick");
        connection.send_response("OK").await;
    });
    published.unwrap();
    let error = within(producer.publish("t", "slow again")).await.unwrap_err();
    assert!(error.is_timeout());
}

#[tokio::test]
async fn an_answer_that_fits_nothing_leaves_the_outcome_unknown() {
    let (producer, mut peer) = connected().await;
    let publish = publishing(&producer, "body");
    body(&mut peer).await;
    peer.send_response("WHAT").await;
    let error = within(publish).await.unwrap().unwrap_err();
    assert!(error.outcome_unknown(), "{error}");
}

#[tokio::test]
async fn an_error_that_is_not_fatal_takes_no_answer_away() {
    let (producer, mut peer) = connected().await;
    let publish = publishing(&producer, "body");
    body(&mut peer).await;
    peer.send_error("E_TOUCH_FAILED TOUCH 0000000000000001 failed ID not in flight").await;
    expect_nothing_sent(&mut peer).await;
    assert!(!publish.is_finished());
    peer.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refusal_is_told_by_its_signal() {
    let (producer, mut peer) = connected().await;
    let mut errors = producer.signals().on_error.subscribe(1);
    let publish = publishing(&producer, "body");
    body(&mut peer).await;
    peer.send_error("E_BAD_TOPIC PUB topic name is not valid").await;
    assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::BadTopic);
    assert!(matches!(within(publish).await.unwrap(), Err(Error::Refused { .. })));
}
