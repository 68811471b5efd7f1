//! Publishes that fail, each as what it is.

use std::collections::BTreeSet;
use std::time::Duration;

use gnsq::{Error, ErrorCode, Producer, Routing};
use gnsq_testkit::{DEADLINE, PeerConnection, ScriptedPeer, eventually};

use super::common::{expect_nothing_sent, identified, producer, within};

/// A multipublish of two messages, up to its command.
async fn multipublishing(peer: &mut PeerConnection, producer: &Producer) -> tokio::task::JoinHandle<Result<(), Error>> {
    let producer = producer.clone();
    let task = tokio::spawn(async move { producer.multipublish("t", ["one", "two"]).await });
    peer.expect_command("MPUB t").await;
    peer.expect_body().await;
    task
}

// Seen in other clients: a batch that failed is sent again, message by message. nsqd puts a batch into its queue one by one,
// so that a part of it may be there.
#[tokio::test]
async fn a_batch_that_failed_may_be_there_in_part_and_is_not_sent_again() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().unwrap();
    let mut connection = identified(&peer).await;
    let task = multipublishing(&mut connection, &producer).await;
    connection.send_error("E_MPUB_FAILED MPUB failed exiting").await;
    let error = within(task).await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Refused { source, .. } if *source.code() == ErrorCode::MpubFailed), "{error:?}");
    assert!(error.outcome_unknown());
    connection.close().await;
    expect_nothing_sent(&mut identified(&peer).await).await;
}

// nsqd says the code of a bad topic twice when it answers MPUB.
#[tokio::test]
async fn a_refusal_that_repeats_its_code_is_understood() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().unwrap();
    let mut connection = identified(&peer).await;
    let task = multipublishing(&mut connection, &producer).await;
    connection.send_error("E_BAD_TOPIC E_BAD_TOPIC MPUB topic name \"t\" is not valid").await;
    let error = within(task).await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Refused { source, .. } if *source.code() == ErrorCode::BadTopic), "{error:?}");
    assert!(!error.is_retryable() && !error.outcome_unknown());
}

// Seen in other clients: after a reconnect only some kinds of publishes are sent again.
#[tokio::test]
async fn every_kind_of_publish_that_was_not_carried_out_goes_elsewhere() {
    let peers = [ScriptedPeer::bind().await, ScriptedPeer::bind().await];
    let producer = producer(&[&peers[0], &peers[1]]).routing(Routing::FirstHealthy).build().unwrap();
    let (mut first, mut second) = tokio::join!(identified(&peers[0]), identified(&peers[1]));
    eventually(DEADLINE, "two connections", async || (producer.connections() == 2).then_some(())).await;
    let refused = tokio::spawn({
        let producer = producer.clone();
        async move { producer.publish("t", "refused").await }
    });
    first.expect_publish("t").await;
    let single = tokio::spawn({
        let producer = producer.clone();
        async move { producer.publish("t", "single").await }
    });
    first.expect_publish("t").await;
    let deferred = tokio::spawn({
        let producer = producer.clone();
        async move { producer.publish_deferred("t", "deferred", Duration::from_secs(1)).await }
    });
    first.expect_command("DPUB t 1000").await;
    first.expect_body().await;
    let several = multipublishing(&mut first, &producer).await;
    first.send_error("E_BAD_MESSAGE PUB message too big").await;

    let mut commands = BTreeSet::new();
    for _ in 0..3 {
        commands.insert(second.expect_line().await);
        second.expect_body().await;
        second.send_response("OK").await;
    }
    assert_eq!(commands.into_iter().collect::<Vec<_>>(), ["DPUB t 1000", "MPUB t", "PUB t"]);
    assert!(within(refused).await.unwrap().is_err());
    for task in [single, deferred, several] {
        within(task).await.unwrap().unwrap();
    }
}
