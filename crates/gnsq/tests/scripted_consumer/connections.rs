//! Whatever ends or refuses a connection, the consumer comes back.

use std::time::Duration;

use gnsq::{ConnectionConfig, ConnectionError, Error, ErrorCode};
use gnsq_testkit::{PeerConnection, ScriptedPeer};
use serde_json::json;

use super::SHORT;
use super::common::{self, ONE, TWO, event, plain_consumer, ready, reply_with, serve_end, text, within};

#[tokio::test]
async fn whatever_ends_a_connection_the_consumer_comes_back() {
    for fault in [Fault::Fatal, Fault::Garbage, Fault::Closed, Fault::Reset, Fault::HalfFrame, Fault::Silent] {
        let peer = ScriptedPeer::bind().await;
        let config = ConnectionConfig::new().heartbeat_interval(Duration::from_secs(1));
        let mut consumer =
            plain_consumer(&[&peer]).connection(config).low_latency(false).max_in_flight(3).build().unwrap();
        let mut closes = consumer.handle().signals().on_close.subscribe(8);
        let mut errors = consumer.handle().signals().on_error.subscribe(8);
        let mut connection = ready(&peer, 3).await;
        connection.send_message(ONE, 1, 1, b"body").await;
        let orphan = within(consumer.recv()).await.unwrap();
        let _kept_open = fault.strike(connection).await;

        let cause = event(&mut closes).await.cause;
        match fault {
            Fault::Fatal => {
                assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::Invalid);
                assert!(matches!(&cause, Error::Connection { source: ConnectionError::Server(_), .. }), "{cause}");
            }
            Fault::Garbage => {
                assert!(matches!(&cause, Error::Connection { source: ConnectionError::Frame(_), .. }), "{cause}");
            }
            Fault::Silent => {
                assert!(matches!(&cause, Error::Connection { source: ConnectionError::Silent(_), .. }), "{cause}");
            }
            Fault::Closed | Fault::Reset | Fault::HalfFrame => assert!(matches!(&cause, Error::Io { .. }), "{cause}"),
        }
        assert!(orphan.finish().is_err());

        let mut connection = ready(&peer, 3).await;
        connection.send_message(TWO, 1, 1, b"body").await;
        within(consumer.recv()).await.unwrap().finish().unwrap();
        connection.expect_command(&format!("FIN {}", text(TWO))).await;
    }
}

#[tokio::test]
async fn a_consumer_that_is_refused_tries_again() {
    let peer = ScriptedPeer::bind().await;
    let config = ConnectionConfig::new().answer_timeout(Duration::from_secs(2)).write_timeout(SHORT);
    let consumer = plain_consumer(&[&peer]).connection(config).low_latency(false).max_in_flight(3).build().unwrap();
    let mut errors = consumer.handle().signals().on_error.subscribe(8);

    let mut connection = peer.accept().await;
    connection.expect_magic().await;
    connection.expect_identify().await;
    connection.send_error("E_BAD_BODY IDENTIFY is refused").await;
    assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::BadBody);

    let mut connection = peer.accept().await;
    connection.expect_magic().await;
    connection.expect_identify().await;
    connection.send_response("no json").await;

    let mut connection = peer.accept().await;
    connection.handshake_with(&reply_with([("auth_required", json!(true))])).await;
    connection.expect_closed().await;

    let mut connection = peer.accept().await;
    connection.handshake().await;
    connection.expect_command("SUB t c").await;
    connection.send_error("E_SUB_FAILED SUB failed").await;
    assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::SubFailed);

    // No answer at all, to IDENTIFY and then to SUB.
    let _silent = peer.accept().await;
    let mut connection = peer.accept().await;
    connection.handshake().await;
    connection.expect_command("SUB t c").await;

    ready(&peer, 3).await;
}

#[tokio::test]
async fn each_refusal_is_told_once() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).build().unwrap();
    let mut errors = consumer.handle().signals().on_error.subscribe(8);
    for number in 0..3 {
        let mut connection = peer.accept().await;
        connection.expect_magic().await;
        connection.expect_identify().await;
        connection.send_error(&format!("E_BAD_BODY {number}")).await;
        assert_eq!(event(&mut errors).await.error.text(), number.to_string());
    }
}

#[tokio::test]
async fn a_server_without_negotiation_will_do() {
    let peer = ScriptedPeer::bind().await;
    let mut consumer = plain_consumer(&[&peer]).max_in_flight(10).build().unwrap();
    let mut connection = peer.accept().await;
    connection.expect_magic().await;
    connection.expect_identify().await;
    connection.send_response("OK").await;
    connection.expect_subscribe("t", "c").await;
    connection.expect_command("RDY 10").await;
    connection.send_message(ONE, 1, 1, b"body").await;
    within(consumer.recv()).await.unwrap().finish().unwrap();
    connection.expect_command(&format!("FIN {}", text(ONE))).await;
}

#[tokio::test]
async fn a_connection_that_follows_a_closed_one_and_hears_nothing_is_renewed_once() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(5).build().unwrap();
    let handle = consumer.handle().clone();
    let run = tokio::spawn(consumer.run(|_| async { Ok::<_, std::io::Error>(()) }));
    ready(&peer, 5).await.close().await;
    // It may have subscribed to a channel of a topic that was being deleted.
    let mut second = ready(&peer, 5).await;
    second.expect_command("CLS").await;
    second.send_response("CLOSE_WAIT").await;
    serve_end(second).await;
    let third = ready(&peer, 5).await;
    let shutdown = tokio::spawn(async move { handle.shutdown().await });
    common::serve_shutdown(third).await;
    within(shutdown).await.unwrap();
    within(run).await.unwrap();
}

/// What can end a connection.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Fatal,
    Garbage,
    Closed,
    Reset,
    HalfFrame,
    Silent,
}

impl Fault {
    async fn strike(self, mut connection: PeerConnection) -> Option<PeerConnection> {
        match self {
            Self::Fatal => connection.send_error("E_INVALID why").await,
            Self::Garbage => connection.send_raw(b"HTTP/1.1 200 OK\r\n\r\n").await,
            Self::HalfFrame => {
                connection.send_raw(b"\0\0\0\x06\0").await;
                connection.close().await;
                return None;
            }
            Self::Closed => {
                connection.close().await;
                return None;
            }
            Self::Reset => {
                connection.reset();
                return None;
            }
            Self::Silent => {}
        }
        Some(connection)
    }
}
