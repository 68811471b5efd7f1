//! What is asked for is what nsqd reads, and has its effect.

use std::time::Duration;

use bytes::Bytes;
use gnsq::{ConnectionConfig, Io, NsqdTcpClient};
use gnsq_testkit::{Nsqd, ScriptedPeer};
use serde_json::json;

use super::common::within;

fn all_options() -> ConnectionConfig {
    ConnectionConfig::new()
        .client_id("billing-1")
        .hostname("billing.example")
        .user_agent("billing/1")
        .heartbeat_interval(Duration::from_secs(20))
        .output_buffer_size(4096)
        .output_buffer_timeout(Duration::from_millis(100))
        .msg_timeout(Duration::from_secs(90))
        .sample_rate(50)
        .topology("eu-west", "eu-west-1a")
}

// Seen in other clients: a key that nsqd doesn't know, so that the option has no effect.
#[tokio::test]
async fn every_option_is_sent_by_the_name_that_nsqd_knows() {
    let peer = ScriptedPeer::bind().await;
    let client = within(NsqdTcpClient::connect_with(peer.address(), all_options(), &Io::Current)).await.unwrap();
    let mut connection = peer.accept().await;
    let (identified, mut request) = tokio::join!(within(client.identify()), connection.handshake());
    identified.unwrap();
    for (name, value) in [
        ("client_id", json!("billing-1")),
        ("hostname", json!("billing.example")),
        ("user_agent", json!("billing/1")),
        ("feature_negotiation", json!(true)),
        ("heartbeat_interval", json!(20_000)),
        ("output_buffer_size", json!(4096)),
        ("output_buffer_timeout", json!(100)),
        ("msg_timeout", json!(90_000)),
        ("sample_rate", json!(50)),
        ("topology_region", json!("eu-west")),
        ("topology_zone", json!("eu-west-1a")),
    ] {
        assert_eq!(request.as_object_mut().unwrap().remove(name), Some(value), "{name}");
    }
    // What else there is says that nothing else is wanted.
    assert!(request.as_object().unwrap().values().all(|value| *value == false), "{request}");
}

#[tokio::test]
async fn every_option_has_its_effect_at_nsqd() {
    let nsqd = Nsqd::start().await;
    let client = within(NsqdTcpClient::connect_with(nsqd.tcp_address(), all_options(), &Io::Current)).await.unwrap();
    let granted = within(client.identify()).await.unwrap();
    assert_eq!((granted.output_buffer_size, granted.output_buffer_timeout), (4096, 100));
    assert_eq!((granted.msg_timeout, granted.sample_rate), (90_000, 50));
    within(client.subscribe("t", "c")).await.unwrap();
    let stats = nsqd.stats().await;
    let client = &stats["topics"][0]["channels"][0]["clients"][0];
    assert_eq!(client["client_id"], "billing-1");
    assert_eq!(client["hostname"], "billing.example");
    assert_eq!(client["user_agent"], "billing/1");
    assert_eq!(client["sample_rate"], 50);
}

// Seen in other clients: a level that is taken, and not used.
#[cfg(feature = "deflate")]
#[tokio::test]
async fn a_higher_level_of_deflate_makes_what_is_sent_smaller() {
    use gnsq_testkit::Proxy;

    let nsqd = Nsqd::builder().arg("--max-deflate-level=9").start().await;
    let words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let mut random = fastrand::Rng::with_seed(1);
    let body: Bytes = (0..20_000).flat_map(|_| words[random.usize(0..words.len())].bytes()).collect();
    let mut sent = Vec::new();
    for level in [1, 9] {
        let proxy = Proxy::to(nsqd.tcp_address()).await;
        let config = ConnectionConfig::new().deflate(level);
        let client = within(NsqdTcpClient::connect_with(proxy.address(), config, &Io::Current)).await.unwrap();
        assert_eq!(within(client.identify()).await.unwrap().deflate_level, i32::from(level));
        within(client.publish("t", body.clone())).await.unwrap();
        sent.push(proxy.upstream().bytes());
    }
    assert!(sent[1] < sent[0] - sent[0] / 20, "{sent:?} bytes of {}", body.len());
}
