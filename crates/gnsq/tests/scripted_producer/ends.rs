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
