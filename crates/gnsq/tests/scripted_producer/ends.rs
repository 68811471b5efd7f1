//! How a producer ends, and what its end leaves.

use std::sync::Arc;
use std::time::Duration;

use gnsq::{ConnectionConfig, Error, Io};
use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually};

use super::common::{expect_nothing_sent, identified, producer, publishing, serve_end, within};
use super::{SHORT, body, connected};

#[tokio::test]
async fn closing_waits_for_answers_and_refuses_what_comes_after() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).max_outstanding(1).build().unwrap();
    let mut connection = identified(&peer).await;
    let outstanding = publishing(&producer, "outstanding");
    body(&mut connection).await;
    let waiting = publishing(&producer, "waiting for room");
    tokio::task::yield_now().await;
    let closing = tokio::spawn({
        let producer = producer.clone();
        async move { producer.close().await }
    });
    assert!(matches!(within(waiting).await.unwrap(), Err(Error::Closed)));
    expect_nothing_sent(&mut connection).await;
    assert!(!closing.is_finished());
    connection.send_response("OK").await;
    within(outstanding).await.unwrap().unwrap();
    assert!(serve_end(connection).await.is_empty());
    within(closing).await.unwrap();
    assert!(matches!(within(producer.publish("t", "late")).await, Err(Error::Closed)));
    assert!(matches!(within(producer.ready()).await, Err(Error::Closed)));
    assert_eq!((producer.connections(), producer.outstanding()), (0, 0));
    within(producer.close()).await;
}

#[tokio::test]
async fn closing_ends_a_wait_for_a_connection() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().unwrap();
    let publish = publishing(&producer, "body");
    let _silent = peer.accept().await;
    assert!(!publish.is_finished());
    within(producer.close()).await;
    assert!(matches!(within(publish).await.unwrap(), Err(Error::Closed)));
}

#[tokio::test]
async fn closing_takes_no_longer_than_a_publish_may() {
    let peer = ScriptedPeer::bind().await;
    let config = ConnectionConfig::new().write_timeout(SHORT);
    let producer = producer(&[&peer]).connection(config).publish_timeout(Duration::from_secs(1)).build().unwrap();
    let mut connection = identified(&peer).await;
    let publish = publishing(&producer, "never answered");
    body(&mut connection).await;
    within(producer.close()).await;
    assert!(within(publish).await.unwrap().unwrap_err().outcome_unknown());
}

#[tokio::test]
async fn the_last_clone_takes_the_connections_with_it() {
    let (producer, peer) = connected().await;
    let clone = producer.clone();
    drop(producer);
    assert_eq!(clone.connections(), 1);
    drop(clone);
    peer.expect_closed().await;
}

#[tokio::test]
async fn a_publish_ends_though_the_runtime_of_its_io_has() {
    let peer = ScriptedPeer::bind().await;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let builder = producer(&[&peer]).publish_timeout(Duration::from_secs(2)).io(Io::Runtime(io.handle().clone()));
    let producer = builder.build().unwrap();
    let mut connection = identified(&peer).await;
    let publish = publishing(&producer, "body");
    body(&mut connection).await;
    io.shutdown_background();
    assert!(within(publish).await.unwrap().unwrap_err().outcome_unknown());
    assert!(matches!(within(producer.publish("t", "late")).await, Err(Error::NoConnections { .. })));
    within(producer.close()).await;
}

#[tokio::test]
async fn nothing_of_a_producer_is_left_when_its_users_are_gone() {
    let alive = Arc::new(());
    let peer = ScriptedPeer::bind().await;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let producer = producer(&[&peer]).io(Io::Runtime(io.handle().clone())).build().unwrap();
    let witness = alive.clone();
    producer.signals().on_close.connect(move |_| drop(witness.clone())).forget();
    let _connection = identified(&peer).await;
    within(producer.ready()).await.unwrap();
    io.shutdown_background();
    drop(producer);
    eventually(DEADLINE, "the memory to be freed", async || (Arc::strong_count(&alive) == 1).then_some(())).await;
}

#[tokio::test]
async fn a_close_tells_what_was_not_delivered_whether_or_not_anyone_waits_for_it() {
    let peer = ScriptedPeer::bind().await;
    let config = ConnectionConfig::new().write_timeout(SHORT);
    let builder = producer(&[&peer]).connection(config).publish_timeout(5 * SHORT).max_outstanding(4).batching(false);
    let producer = builder.build().unwrap();
    let mut connection = identified(&peer).await;
    within(producer.ready()).await.unwrap();
    // Outstanding; given up by its caller; deferred; several at once; and one that found no room, whose future nobody polls.
    let outstanding = publishing(&producer, "outstanding");
    assert_eq!(body(&mut connection).await, "outstanding");
    let given_up = publishing(&producer, "given up");
    assert_eq!(body(&mut connection).await, "given up");
    given_up.abort();
    let mut deferred = Box::pin(producer.publish_deferred("t", "deferred", Duration::from_millis(7)));
    let mut several = Box::pin(producer.multipublish("u", ["one", "two"]));
    let mut without_room = Box::pin(producer.publish("t", "without room"));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(deferred.as_mut().poll(&mut cx).is_pending());
    assert!(several.as_mut().poll(&mut cx).is_pending());
    assert!(without_room.as_mut().poll(&mut cx).is_pending());
    connection.expect_command("DPUB t 7").await;
    connection.expect_body().await;
    connection.expect_command("MPUB u").await;
    connection.expect_body().await;

    let report = within(producer.close()).await;
    let mut told: Vec<_> = report
        .undelivered
        .iter()
        .map(|one| (String::from_utf8(one.bodies.concat()).unwrap(), one.delay, one.error.outcome_unknown()))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            ("deferred".to_owned(), Some(Duration::from_millis(7)), true),
            ("given up".to_owned(), None, true),
            ("onetwo".to_owned(), None, true),
            ("outstanding".to_owned(), None, true),
            ("without room".to_owned(), None, false),
        ]
    );
    assert_eq!(report.undelivered.iter().filter(|one| one.topic.as_str() == "u").count(), 1);
    assert!(within(outstanding).await.unwrap().unwrap_err().outcome_unknown());
    assert!(within(deferred).await.unwrap_err().outcome_unknown());
    assert!(within(several).await.unwrap_err().outcome_unknown());
    assert!(matches!(within(without_room).await, Err(Error::Closed)));
    assert!(within(producer.close()).await.undelivered.is_empty());
}

#[tokio::test]
async fn a_close_tells_what_waited_for_a_connection() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().unwrap();
    let publish = publishing(&producer, "body");
    eventually(DEADLINE, "it to wait", async || (producer.stats().waiting == 1).then_some(())).await;
    let report = within(producer.close()).await;
    assert_eq!(report.undelivered.len(), 1);
    assert!(matches!(report.undelivered[0].error, Error::Closed));
    assert_eq!(report.undelivered[0].bodies, ["body"]);
    assert!(matches!(within(publish).await.unwrap(), Err(Error::Closed)));
}

#[tokio::test]
async fn a_close_that_delivers_everything_has_nothing_to_tell() {
    let (producer, mut peer) = connected().await;
    let publish = publishing(&producer, "body");
    body(&mut peer).await;
    let closing = tokio::spawn({
        let producer = producer.clone();
        async move { producer.close().await }
    });
    peer.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
    serve_end(peer).await;
    assert!(within(closing).await.unwrap().undelivered.is_empty());
}

#[tokio::test]
async fn a_flush_waits_for_what_was_begun_before_it_and_nothing_else() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).batching(false).build().unwrap();
    within(producer.flush()).await.unwrap();
    let before = publishing(&producer, "before");
    eventually(DEADLINE, "it to wait", async || (producer.stats().waiting == 1).then_some(())).await;
    let flush = tokio::spawn({
        let producer = producer.clone();
        async move { producer.flush().await }
    });
    let mut connection = identified(&peer).await;
    assert_eq!(body(&mut connection).await, "before");
    let after = publishing(&producer, "after");
    assert_eq!(body(&mut connection).await, "after");
    expect_nothing_sent(&mut connection).await;
    assert!(!flush.is_finished());
    connection.send_response("OK").await;
    within(flush).await.unwrap().unwrap();
    within(before).await.unwrap().unwrap();
    assert!(!after.is_finished());
    connection.send_response("OK").await;
    within(after).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_flush_takes_no_longer_than_a_publish_may_and_covers_what_was_given_up() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).publish_timeout(2 * SHORT).build().unwrap();
    let mut connection = identified(&peer).await;
    within(producer.ready()).await.unwrap();
    let options = gnsq::PublishOptions::new().timeout(DEADLINE);
    let given_up = tokio::spawn({
        let producer = producer.clone();
        async move { producer.publish_with("t", "given up", options).await }
    });
    assert_eq!(body(&mut connection).await, "given up");
    given_up.abort();
    let error = within(producer.flush()).await.unwrap_err();
    assert!(matches!(error, Error::FlushTimeout { outstanding: 1, .. }), "{error}");
    assert!(error.is_timeout());
    connection.send_response("OK").await;
    within(producer.flush()).await.unwrap();
    assert_eq!(producer.stats().published, 1);
}
