//! What the builder's options make of a request.

use std::net::Ipv4Addr;

use gnsq::http::{HttpClientBuilder, LookupdClient};
use gnsq_testkit::ScriptedPeer;

/// The lines of a ping's request, in lower case, from a client that was set up so.
async fn request_of(peer: &ScriptedPeer, builder: HttpClientBuilder<LookupdClient>) -> Vec<String> {
    let client = builder.build().unwrap();
    let server = async {
        let mut connection = peer.accept().await;
        let mut lines = Vec::new();
        loop {
            match connection.expect_line().await.trim_end() {
                "" => break,
                line => lines.push(line.to_ascii_lowercase()),
            }
        }
        connection.send_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK").await;
        lines
    };
    let (lines, result) = tokio::join!(server, client.ping());
    result.unwrap();
    lines
}

fn has(lines: &[String], line: &str) -> bool {
    lines.iter().any(|other| other == line)
}

#[tokio::test]
async fn a_request_says_what_it_accepts_and_who_sends_it() {
    let peer = ScriptedPeer::bind().await;
    let lines = request_of(&peer, LookupdClient::builder(peer.address().to_string())).await;
    assert_eq!(lines[0], "get /ping http/1.1");
    assert!(has(&lines, "accept: application/vnd.nsq; version=1.0"), "{lines:?}");
    assert!(has(&lines, concat!("user-agent: gnsq/", env!("CARGO_PKG_VERSION"))), "{lines:?}");
    assert!(has(&lines, &format!("host: {}", peer.address())), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("authorization")), "{lines:?}");
}

#[tokio::test]
async fn authorization_and_user_agent_are_sent() {
    let peer = ScriptedPeer::bind().await;
    let builder = LookupdClient::builder(peer.address().to_string()).authorization("bearer s3cret").user_agent("me/1");
    let lines = request_of(&peer, builder).await;
    assert!(has(&lines, "authorization: bearer s3cret") && has(&lines, "user-agent: me/1"), "{lines:?}");
}

#[tokio::test]
async fn authorization_is_in_no_error() {
    let client = LookupdClient::builder("127.0.0.1:1").authorization("bearer s3cret").build().unwrap();
    let error = client.ping().await.unwrap_err();
    assert!(!format!("{client:?} {error} {error:#?}").contains("s3cret"));
}

#[tokio::test]
async fn a_path_prefix_is_kept() {
    let peer = ScriptedPeer::bind().await;
    let lines = request_of(&peer, LookupdClient::builder(format!("http://{}/a/nsq/", peer.address()))).await;
    assert_eq!(lines[0], "get /a/nsq/ping http/1.1");
}

#[tokio::test]
async fn a_query_of_the_address_goes_with_every_request_and_is_not_shown() {
    let peer = ScriptedPeer::bind().await;
    let lines = request_of(&peer, LookupdClient::builder(format!("http://{}/?token=s3cret", peer.address()))).await;
    assert_eq!(lines[0], "get /ping?token=s3cret http/1.1");

    let client = LookupdClient::builder("127.0.0.1:1?token=s3cret").build().unwrap();
    let error = client.lookup(&"orders".parse().unwrap()).await.unwrap_err();
    assert!(!format!("{} {client:?} {error} {error:#?}", client.address()).contains("s3cret"));
}

#[tokio::test]
async fn a_host_can_be_resolved_by_hand_and_keeps_its_name() {
    let peer = ScriptedPeer::bind().await;
    let address = format!("http://nsqlookupd.invalid:{}", peer.address().port());
    let lines = request_of(&peer, LookupdClient::builder(address).resolve(Ipv4Addr::LOCALHOST.into())).await;
    assert!(has(&lines, &format!("host: nsqlookupd.invalid:{}", peer.address().port())), "{lines:?}");
}
