//! What a producer connects to, and how long a publish waits for that.
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

use std::time::Duration;

use futures_util::FutureExt;
use gnsq::{Error, Producer, PublishOptions};
use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually};
use tokio::task::JoinHandle;

use super::common::{identified, producer, publishing, within};
use super::{SHORT, body, connected, connected_with_listener};

/// A publish that waits for a connection for so long, and for its answer for `SHORT`.
fn publishing_within(producer: &Producer, wait: Duration) -> JoinHandle<gnsq::Result<()>> {
    let (producer, options) = (producer.clone(), PublishOptions::new().timeout(SHORT).connection_timeout(wait));
    tokio::spawn(async move { producer.publish_with("t", "x", options).await })
}

#[tokio::test]
async fn an_nsqd_that_is_added_is_used_and_stays() {
    let (producer, mut first) = connected().await;
    let peer = ScriptedPeer::bind().await;
    producer.add_nsqd(peer.address()).unwrap();
    producer.add_nsqd(peer.address()).unwrap();
    let mut second = identified(&peer).await;
    eventually(DEADLINE, "two connections", async || (producer.connections() == 2).then_some(())).await;
    let publishes = [publishing(&producer, "x"), publishing(&producer, "x")];
    for connection in [&mut first, &mut second] {
        assert_eq!(body(connection).await, "x");
        connection.send_response("OK").await;
    }
    for publish in publishes {
        within(publish).await.unwrap().unwrap();
    }
    drop(second);
    let again = identified(&peer).await;
    eventually(DEADLINE, "it to be back", async || (producer.connections() == 2).then_some(())).await;
    drop((first, again));
    assert!(matches!(producer.add_nsqd("no host"), Err(Error::Address(_))));
    assert_eq!(producer.stats().nsqds.len(), 2);
    within(producer.close()).await;
    assert!(matches!(producer.add_nsqd("a"), Err(Error::Closed)));
}

#[tokio::test]
async fn the_first_attempts_can_be_waited_for() {
    let (gone, peer) = (ScriptedPeer::bind().await, ScriptedPeer::bind().await);
    let builder = producer(&[&gone, &peer]);
    drop(gone);
    let producer = builder.build().unwrap();
    assert!(producer.attempted().now_or_never().is_none());
    assert!(!producer.is_connected() && producer.last_failure().is_none());
    let (connection, ()) = tokio::join!(identified(&peer), within(producer.attempted()));
    assert!(producer.is_connected());
    drop(connection);
    eventually(DEADLINE, "the loss", async || (!producer.is_connected()).then_some(())).await;
    assert!(producer.last_failure().is_some());
    within(producer.attempted()).await;
}

#[tokio::test]
async fn the_time_for_a_connection_is_apart_from_that_for_the_answer() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().unwrap();
    let error = within(publishing_within(&producer, Duration::ZERO)).await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::NoConnections { after: Duration::ZERO, .. }), "{error}");
    let error = within(publishing_within(&producer, Duration::from_millis(20))).await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::NoConnections { after, .. } if after.as_millis() == 20), "{error}");

    let publish = publishing_within(&producer, Duration::MAX);
    tokio::time::sleep(2 * SHORT).await;
    assert!(!publish.is_finished());
    let mut connection = identified(&peer).await;
    assert_eq!(body(&mut connection).await, "x");
    let error = within(publish).await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Timeout { after: SHORT, sent: true }), "{error}");
}

#[tokio::test]
async fn one_that_was_with_an_nsqd_waits_for_no_other() {
    let (producer, connection, peer) = connected_with_listener().await;
    let refused = publishing_within(&producer, Duration::MAX);
    let mut connection = connection;
    assert_eq!(body(&mut connection).await, "x");
    // nsqd's own trouble: it was surely not stored, and could go elsewhere.
    connection.send_error("E_PUB_FAILED disk full").await;
    drop(connection);
    let error = within(refused).await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::NoConnections { after: Duration::ZERO, .. }), "{error}");
    assert!(error.to_string().contains("E_PUB_FAILED"), "{error}");
    drop(peer);
}
