//! No connection, one that cannot be used, and the next one.

use std::time::Duration;

use gnsq::{ConnectionConfig, ConnectionError, Error, Producer};
use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually};
use serde_json::json;

use super::common::{event, identified, producer, publishing, reply_with, within};
use super::{SHORT, body, connected_with_listener};

#[tokio::test]
async fn without_a_connection_the_last_failure_is_told() {
    let address = {
        let peer = ScriptedPeer::bind().await;
        peer.address()
    };
    let producer = Producer::builder().nsqd(address).publish_timeout(SHORT * 5).build().unwrap();
    for error in [within(producer.publish("t", "body")).await.unwrap_err(), within(producer.ready()).await.unwrap_err()]
    {
        let Error::NoConnections { last: Some(last), .. } = &error else { panic!("{error}") };
        assert!(matches!(**last, Error::Connect { .. }), "{error}");
        assert!(error.is_retryable() && error.is_timeout() && !error.outcome_unknown());
    }
    assert_eq!((producer.connections(), producer.outstanding()), (0, 0));
}

#[tokio::test]
async fn an_nsqd_that_cannot_be_used_is_no_connection() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).publish_timeout(Duration::from_secs(2)).build().unwrap();
    let publish = publishing(&producer, "body");
    let mut connection = peer.accept().await;
    connection.handshake_with(&reply_with([("auth_required", json!(true))])).await;
    connection.expect_closed().await;
    let _silent = peer.accept().await;
    let error = within(publish).await.unwrap().unwrap_err();
    let Error::NoConnections { last: Some(last), .. } = &error else { panic!("{error}") };
    assert!(matches!(**last, Error::AuthRequired { .. }), "{error}");
}

#[tokio::test]
async fn a_server_without_negotiation_will_do() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().unwrap();
    let publish = publishing(&producer, "body");
    let mut connection = peer.accept().await;
    connection.expect_magic().await;
    connection.expect_identify().await;
    connection.send_response("OK").await;
    assert_eq!(body(&mut connection).await, "body");
    connection.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_publish_waits_for_the_next_connection() {
    let (producer, peer, listener) = connected_with_listener().await;
    peer.reset();
    eventually(DEADLINE, "the end to be known", async || (producer.connections() == 0).then_some(())).await;
    let publish = publishing(&producer, "patient");
    let mut connection = identified(&listener).await;
    assert_eq!(body(&mut connection).await, "patient");
    connection.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_silent_nsqd_is_left_and_connected_to_again() {
    let peer = ScriptedPeer::bind().await;
    let config = ConnectionConfig::new().heartbeat_interval(Duration::from_secs(1));
    let producer = producer(&[&peer]).connection(config).build().unwrap();
    let mut closes = producer.signals().on_close.subscribe(1);
    let _silent = identified(&peer).await;
    assert!(matches!(event(&mut closes).await.cause, Error::Connection { source: ConnectionError::Silent(_), .. }));
    identified(&peer).await;
}
