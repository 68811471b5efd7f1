//! Peers that misbehave where the connection changes.

use std::time::Duration;

use gnsq::{ConnectionConfig, ConnectionError, Error, TlsConfig};
use gnsq_testkit::{PeerConnection, ScriptedPeer, identify_reply};
use serde_json::json;

use super::common::{expect_nothing_sent, reply_with, within};
use super::{cause, connect};

/// IDENTIFY's answer and what comes right behind it, as one piece.
fn answer_and(feature: &str, behind: &[u8]) -> Vec<u8> {
    let reply = reply_with([(feature, json!(true))]).to_string();
    let size = u32::try_from(reply.len() + 4).unwrap().to_be_bytes();
    [&size, &[0; 4], reply.as_bytes(), behind].concat()
}

/// Lets a client identify; returns why that failed, and the peer's end.
async fn identify_with(config: ConnectionConfig, answer: &[u8]) -> (Error, PeerConnection) {
    let peer = ScriptedPeer::bind().await;
    let client = connect(peer.address(), config).await;
    let mut connection = peer.accept().await;
    let (identified, ()) = tokio::join!(within(client.identify()), async {
        connection.expect_magic().await;
        connection.expect_identify().await;
        connection.send_raw(answer).await;
    });
    (identified.unwrap_err(), connection)
}

fn tls() -> ConnectionConfig {
    ConnectionConfig::new().tls(TlsConfig::new())
}

#[tokio::test]
async fn clear_text_where_tls_begins_is_not_trusted() {
    let (error, _peer) = identify_with(tls(), &answer_and("tls_v1", b"\0\0\0\x06\0\0\0\0OK")).await;
    let error = cause(error);
    assert!(matches!(error, Error::Connection { source: ConnectionError::ClearText, .. }), "{error:?}");
}

#[tokio::test]
async fn a_handshake_has_the_time_of_a_connect() {
    let timeout = Duration::from_millis(100);
    let (error, _peer) = identify_with(tls().connect_timeout(timeout), &answer_and("tls_v1", b"")).await;
    let error = cause(error);
    assert!(error.is_timeout() && error.to_string().contains("TLS handshake within 100ms"), "{error}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_after_all_is_told_apart() {
    let peer = ScriptedPeer::bind().await;
    let client = connect(peer.address(), tls()).await;
    let mut connection = peer.accept().await;
    let (identified, ()) = tokio::join!(within(client.identify()), async {
        connection.handshake_with(&reply_with([("tls_v1", json!(true))])).await;
        // The client's hello: a record of a handshake.
        connection.expect_bytes(b"\x16\x03").await;
        connection.send_response("OK").await;
    });
    let error = cause(identified.unwrap_err());
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("is not TLS"), "{error}");
}

#[tokio::test]
async fn a_connection_that_is_closed_in_the_middle_of_a_handshake_is_lost() {
    let peer = ScriptedPeer::bind().await;
    let client = connect(peer.address(), tls()).await;
    let mut connection = peer.accept().await;
    let (identified, ()) = tokio::join!(within(client.identify()), async {
        connection.handshake_with(&reply_with([("tls_v1", json!(true))])).await;
        connection.expect_bytes(b"\x16\x03").await;
        connection.reset();
    });
    let error = cause(identified.unwrap_err());
    assert!(matches!(error, Error::Io { .. }) && error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn what_is_not_compressed_as_agreed_ends_the_connection() {
    let plain = b"\0\0\0\x06\0\0\0\0OK";
    for (config, feature, text) in [
        (ConnectionConfig::new().snappy(true), "snappy", "snappy's identifier"),
        (ConnectionConfig::new().deflate(6), "deflate", "deflated stream"),
    ] {
        let (error, _peer) = identify_with(config, &answer_and(feature, &plain.repeat(10))).await;
        let error = cause(error);
        assert!(matches!(error, Error::Io { .. }) && error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn what_comes_compressed_right_behind_the_answer_is_not_lost() {
    // Snappy's identifier, and an uncompressed chunk with the frame of an OK.
    let ok = b"\xff\x06\0\0sNaPpY\x01\x0e\0\0\x26\x98\x2b\xcf\0\0\0\x06\0\0\0\0OK";
    let peer = ScriptedPeer::bind().await;
    let client = connect(peer.address(), ConnectionConfig::new().snappy(true)).await;
    let mut connection = peer.accept().await;
    let (identified, ()) = tokio::join!(within(client.identify()), async {
        connection.expect_magic().await;
        connection.expect_identify().await;
        connection.send_raw(&answer_and("snappy", ok)).await;
    });
    assert!(identified.unwrap().snappy);
}

#[tokio::test]
async fn a_server_that_claims_what_was_not_asked_for_changes_nothing() {
    let peer = ScriptedPeer::bind().await;
    let client = connect(peer.address(), ConnectionConfig::new()).await;
    let mut connection = peer.accept().await;
    let reply = reply_with([("tls_v1", json!(true)), ("snappy", json!(true)), ("deflate", json!(true))]);
    let (identified, request) = tokio::join!(within(client.identify()), connection.handshake_with(&reply));
    identified.unwrap();
    for feature in ["tls_v1", "snappy", "deflate", "deflate_level"] {
        assert!(request.get(feature).is_none(), "{request}");
    }
    expect_nothing_sent(&mut connection).await;
}

#[tokio::test]
async fn a_secret_is_given_only_to_who_asks_for_it() {
    let config = || ConnectionConfig::new().auth_secret("hunter2");
    for (config, reply, asked) in [
        (config(), identify_reply(), false),
        (config(), reply_with([("auth_required", json!(true))]), true),
        (config().always_auth(true), identify_reply(), true),
    ] {
        let peer = ScriptedPeer::bind().await;
        let client = connect(peer.address(), config).await;
        let mut connection = peer.accept().await;
        let (identified, ()) = tokio::join!(within(client.identify()), async {
            connection.handshake_with(&reply).await;
            if asked {
                connection.expect_command("AUTH").await;
                assert_eq!(connection.expect_body().await, b"hunter2");
                connection.send_response(r#"{"identity":"me"}"#).await;
            }
        });
        identified.unwrap();
        expect_nothing_sent(&mut connection).await;
    }
}
