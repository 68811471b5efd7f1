//! Servers that are slow, gone, or no NSQ servers at all.

use std::error::Error;
use std::time::Duration;

use gnsq::http::StatsOptions;
use gnsq::{HttpError, LookupdClient, NsqdHttpClient};
use gnsq_testkit::{Nsqd, PeerConnection, ScriptedPeer};

use super::{code, refusal, topic};

fn client(peer: &ScriptedPeer) -> NsqdHttpClient {
    NsqdHttpClient::new(peer.address().to_string()).unwrap()
}

/// A whole answer.
fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Accepts a connection and answers its first request with these bytes.
async fn answer_once(peer: &ScriptedPeer, answer: impl AsRef<[u8]>) -> PeerConnection {
    let mut connection = peer.accept().await;
    while connection.expect_line().await != "\r" {}
    connection.send_raw(answer.as_ref()).await;
    connection
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_timeout() {
    let peer = ScriptedPeer::bind().await;
    let after = Duration::from_millis(100);
    let client = NsqdHttpClient::builder(peer.address().to_string()).request_timeout(after).build().unwrap();
    let error = client.publish(&topic("events"), "a").await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { connecting: false, .. }), "{error:?}");
    assert!(error.is_timeout() && error.is_retryable() && error.outcome_unknown() && !error.is_connect());
    let text = error.to_string();
    assert!(text.contains(&peer.address().to_string()) && text.contains("100ms") && text.contains("request_timeout"));
}

#[tokio::test]
async fn a_server_that_stops_in_the_middle_is_a_timeout() {
    let peer = ScriptedPeer::bind().await;
    let after = Duration::from_millis(300);
    let client = NsqdHttpClient::builder(peer.address().to_string()).request_timeout(after).build().unwrap();
    let server = answer_once(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
    let options = StatsOptions::new();
    let (_connection, result) = tokio::join!(server, client.stats(&options));
    assert!(result.unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_server_that_is_gone_refuses_the_connection() {
    let mut nsqd = Nsqd::start().await;
    let client = NsqdHttpClient::new(nsqd.http_url()).unwrap();
    client.ping().await.unwrap();
    nsqd.stop().await;
    let error = client.publish(&topic("events"), "a").await.unwrap_err();
    assert!(error.is_connect() && error.is_retryable() && !error.is_timeout() && !error.outcome_unknown(), "{error:?}");
    assert!(error.source().is_some());
    let text = error.to_string();
    assert!(text.contains("refused") && text.contains("is the server running"), "{text}");

    nsqd.start_again().await;
    client.ping().await.unwrap();
}

#[tokio::test]
async fn an_unknown_name_is_no_connection() {
    let error = NsqdHttpClient::new("nsqd.invalid").unwrap().ping().await.unwrap_err();
    assert!(error.is_connect() && error.to_string().contains("http://nsqd.invalid:4151/ping"), "{error}");
}

#[tokio::test]
async fn a_connection_that_is_lost_leaves_the_outcome_open() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO"] {
        let peer = ScriptedPeer::bind().await;
        let client = client(&peer);
        let events = topic("events");
        let server = async { answer_once(&peer, answer).await.close().await };
        let ((), result) = tokio::join!(server, client.publish(&events, "a"));
        let error = result.unwrap_err();
        assert!(matches!(error, HttpError::Request { .. }), "{error:?}");
        assert!(error.is_retryable() && error.outcome_unknown() && !error.is_connect());
    }
}

#[tokio::test]
async fn the_tcp_port_is_told_from_an_http_port() {
    let nsqd = Nsqd::start().await;
    let client = NsqdHttpClient::new(nsqd.tcp_address().to_string()).unwrap();
    let error = client.ping().await.unwrap_err();
    assert!(matches!(error, HttpError::Request { .. }), "{error:?}");
    assert!(error.to_string().contains("check that this is the HTTP port"), "{error}");
}

#[tokio::test]
async fn another_servers_success_is_not_nsqs() {
    let page = answer("200 OK", "<html>Welcome!</html>");
    let events = topic("events");
    let peer = ScriptedPeer::bind().await;
    let (nsqd, lookupd) = (client(&peer), LookupdClient::new(peer.address().to_string()).unwrap());
    let (mut connection, result) = tokio::join!(answer_once(&peer, &page), nsqd.publish(&events, "a"));
    let error = result.unwrap_err();
    assert!(error.outcome_unknown() && error.to_string().contains("expected OK"), "{error}");
    assert!(error.to_string().contains("<html>Welcome!"), "{error}");
    connection.expect_bytes(b"a").await;

    let (_connection, result) = tokio::join!(answer_once(&peer, &page), lookupd.lookup(&events));
    assert!(matches!(result.unwrap_err(), HttpError::UnexpectedBody { .. }));
}

#[tokio::test]
async fn json_of_another_shape_is_not_nsqs() {
    for body in ["", "{", "[]", r#"{"topics":7}"#, r#"{"topics":["a b"]}"#, "{\"topics\":[\"\u{e9}\"]}"] {
        let peer = ScriptedPeer::bind().await;
        let client = LookupdClient::new(peer.address().to_string()).unwrap();
        let (_connection, result) = tokio::join!(answer_once(&peer, answer("200 OK", body)), client.topics());
        assert!(matches!(result, Err(HttpError::UnexpectedBody { .. })), "{body}: {result:?}");
    }
}

#[tokio::test]
async fn an_answer_of_an_old_server_is_unwrapped() {
    let body = r#"{"status_code":200,"status_txt":"OK","data":{"topics":["a"]}}"#;
    let peer = ScriptedPeer::bind().await;
    let client = LookupdClient::new(peer.address().to_string()).unwrap();
    let (_connection, result) = tokio::join!(answer_once(&peer, answer("200 OK", body)), client.topics());
    assert_eq!(result.unwrap(), [topic("a")]);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_read() {
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", "8\r\n\"aaaaaaa\r\n".repeat(9));
    for answer in [answer("200 OK", &"a".repeat(65)), chunked] {
        let peer = ScriptedPeer::bind().await;
        let client = NsqdHttpClient::builder(peer.address().to_string()).max_response_size(64).build().unwrap();
        let options = StatsOptions::new();
        let (_connection, result) = tokio::join!(answer_once(&peer, answer), client.stats(&options));
        let error = result.unwrap_err();
        assert!(matches!(error, HttpError::ResponseTooLarge { limit: 64, .. }), "{error:?}");
        assert!(!error.is_retryable() && error.to_string().contains("max_response_size"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_of_just_the_limit_is_read() {
    let peer = ScriptedPeer::bind().await;
    let client = NsqdHttpClient::builder(peer.address().to_string()).max_response_size(64).build().unwrap();
    let full = answer("200 OK", &"a".repeat(64));
    let options = StatsOptions::new();
    let (_connection, result) = tokio::join!(answer_once(&peer, full), client.stats_text(&options));
    assert_eq!(result.unwrap().len(), 64);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let peer = ScriptedPeer::bind().await;
    let client = client(&peer);
    let events = topic("events");
    let moved = format!("HTTP/1.1 301 Moved\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n", peer.address());
    let (_connection, result) = tokio::join!(answer_once(&peer, moved), client.publish(&events, "a"));
    let error = result.unwrap_err();
    assert!(error.to_string().contains("redirects are not followed"), "{error}");
    assert_eq!(refusal(Err::<(), _>(error)), code(301, ""));
}

#[tokio::test]
async fn a_proxys_page_is_shortened_to_its_first_line() {
    let peer = ScriptedPeer::bind().await;
    let client = client(&peer);
    let page = answer("502 Bad Gateway", &format!("{}\n<p>more", "<html>".repeat(1000)));
    let (_connection, result) = tokio::join!(answer_once(&peer, page), client.ping());
    let error = result.unwrap_err();
    assert!(error.is_retryable() && error.outcome_unknown());
    assert!(error.to_string().len() < 300, "{error}");
}

#[tokio::test]
async fn a_failing_disk_is_told_by_ping() {
    let peer = ScriptedPeer::bind().await;
    let client = client(&peer);
    let failing = answer("500 Internal Server Error", "NOK - disk full");
    let (_connection, result) = tokio::join!(answer_once(&peer, failing), client.ping());
    assert_eq!(refusal(result), code(500, "NOK - disk full"));
}
