//! What clients and administrators are answered.

use std::net::SocketAddr;
use std::time::Duration;

use gnsq_server::{Clock, Nsqlookupd};
use gnsq_testkit::http;
use serde_json::{Value, json};

use crate::peer::Peer;
use crate::{tcp, web};

/// Asks for each in turn. `expected` is the status and, if there is a body, its JSON with lists sorted by text.
async fn answers_as_written(http: SocketAddr, tcp: SocketAddr) {
    let mut a = Peer::nsqd(tcp, 1, 2).await;
    let mut b = Peer::nsqd(tcp, 3, 4).await;
    for line in ["REGISTER t c", "REGISTER u"] {
        a.command(line).await;
    }
    b.command("REGISTER t d#ephemeral").await;
    let producer = |peer: &Peer, tcp_port: u16, http_port: u16| {
        json!({
            "remote_address": peer.local_address().to_string(), "hostname": "h<&>", "broadcast_address": "127.0.0.1",
            "tcp_port": tcp_port, "http_port": http_port, "version": "1.3.0"
        })
    };
    let node = |producer: &Value, tombstones: Value, topics: Value| {
        let mut node = producer.clone();
        node["tombstones"] = tombstones;
        node["topics"] = topics;
        node
    };
    let (first, second) = (producer(&a, 1, 2), producer(&b, 3, 4));
    let code = |code: &str| json!({ "message": code });
    for (request, status, body) in [
        ("GET /info", 200, json!({"version": "1.3.0"})),
        ("GET /lookup", 400, code("MISSING_ARG_TOPIC")),
        ("GET /lookup?topic=", 404, code("TOPIC_NOT_FOUND")),
        ("GET /lookup?topic=bad!", 404, code("TOPIC_NOT_FOUND")),
        ("GET /lookup?topic=%zz", 400, code("INVALID_REQUEST")),
        ("GET /lookup?topic=t", 200, json!({"channels": ["c", "d#ephemeral"], "producers": [first, second]})),
        ("GET /topics?%zz", 200, json!({"topics": ["t", "u"]})),
        ("GET /channels", 400, code("MISSING_ARG_TOPIC")),
        ("GET /channels?topic=none", 200, json!({"channels": []})),
        ("GET /channels?topic=t", 200, json!({"channels": ["c", "d#ephemeral"]})),
        (
            "GET /nodes",
            200,
            json!({"producers": [
                node(&first, json!([false, false]), json!(["t", "u"])),
                node(&second, json!([false]), json!(["t"])),
            ]}),
        ),
        ("POST /topic/create", 400, code("MISSING_ARG_TOPIC")),
        ("POST /topic/create?topic=", 400, code("INVALID_ARG_TOPIC")),
        ("POST /topic/create?topic=x", 200, Value::Null),
        ("GET /lookup?topic=x", 200, json!({"channels": [], "producers": []})),
        ("POST /channel/create?topic=x", 400, code("MISSING_ARG_CHANNEL")),
        ("POST /channel/create?topic=x&channel=", 400, code("INVALID_ARG_CHANNEL")),
        ("POST /channel/create?topic=&channel=c", 400, code("INVALID_ARG_TOPIC")),
        ("POST /channel/create?channel=c", 400, code("MISSING_ARG_TOPIC")),
        ("POST /channel/create?topic=y%23ephemeral&channel=c", 200, Value::Null),
        ("GET /topics", 200, json!({"topics": ["t", "u", "x", "y#ephemeral"]})),
        ("POST /channel/delete?topic=x&channel=c", 404, code("CHANNEL_NOT_FOUND")),
        ("POST /channel/delete?topic=y%23ephemeral&channel=c", 200, Value::Null),
        ("GET /channels?topic=y%23ephemeral", 200, json!({"channels": []})),
        ("POST /topic/delete", 400, code("MISSING_ARG_TOPIC")),
        ("POST /topic/delete?topic=bad!", 200, Value::Null),
        ("POST /topic/delete?topic=y%23ephemeral", 200, Value::Null),
        ("POST /topic/tombstone?node=127.0.0.1:2", 400, code("MISSING_ARG_TOPIC")),
        ("POST /topic/tombstone?topic=t", 400, code("MISSING_ARG_NODE")),
        ("POST /topic/tombstone?topic=t&node=127.0.0.1:9", 200, Value::Null),
        ("POST /topic/tombstone?topic=t&node=127.0.0.1:2", 200, Value::Null),
        ("GET /lookup?topic=t", 200, json!({"channels": ["c", "d#ephemeral"], "producers": [second]})),
        (
            "GET /nodes",
            200,
            json!({"producers": [
                node(&first, json!([true, false]), json!(["t", "u"])),
                node(&second, json!([false]), json!(["t"])),
            ]}),
        ),
        ("POST /topic/delete?topic=t", 200, Value::Null),
        ("GET /lookup?topic=t", 404, code("TOPIC_NOT_FOUND")),
        ("POST /topics", 405, code("METHOD_NOT_ALLOWED")),
        ("GET /create_topic?topic=a", 404, code("NOT_FOUND")),
    ] {
        let (method, target) = request.split_once(' ').unwrap();
        let (answered, text) = http::request(http, method, target, b"").await.unwrap();
        let mut answer = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        sort(&mut answer);
        assert_eq!((answered, answer), (status, body), "{request}");
    }
    assert_eq!(http::get(http, "/ping").await, (200, "OK".to_owned()));
}

/// The order of nsqlookupd's lists is that of a Go map.
fn sort(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    // Lists side by side are sorted together.
    if let (Some(topics), Some(tombstones)) = (fields.get("topics").cloned(), fields.get("tombstones").cloned()) {
        let mut both: Vec<_> = topics.as_array().unwrap().iter().zip(tombstones.as_array().unwrap()).collect();
        both.sort_by_key(|(topic, _)| topic.to_string());
        fields["topics"] = both.iter().map(|(topic, _)| (*topic).clone()).collect();
        fields["tombstones"] = both.iter().map(|(_, tombstone)| (*tombstone).clone()).collect();
        return;
    }
    for value in fields.values_mut() {
        let Value::Array(list) = value else { continue };
        list.iter_mut().for_each(sort);
        list.sort_by_key(|item| (item["tcp_port"].as_i64(), item.as_str().map(str::to_owned)));
    }
}

#[tokio::test]
async fn the_embedded_one_answers_as_written() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    answers_as_written(web(&lookupd), tcp(&lookupd)).await;
}

#[tokio::test]
async fn the_real_one_answers_as_written() {
    let lookupd = gnsq_testkit::Nsqlookupd::start().await;
    answers_as_written(lookupd.http_address(), lookupd.tcp_address()).await;
}

#[tokio::test]
async fn keys_have_the_order_of_the_real_one() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let mut peer = Peer::nsqd(tcp(&lookupd), 1, 2).await;
    peer.command("REGISTER t").await;
    let address = peer.local_address();
    let (_, nodes) = http::get(web(&lookupd), "/nodes").await;
    assert_eq!(
        nodes,
        format!(
            r#"{{"producers":[{{"remote_address":"{address}","hostname":"h\u003c\u0026\u003e","broadcast_address":"127.0.0.1","tcp_port":1,"http_port":2,"version":"1.3.0","tombstones":[false],"topics":["t"]}}]}}"#
        )
    );
}

#[tokio::test]
async fn debug_shows_every_entry() {
    let clock = Clock::manual();
    let lookupd = Nsqlookupd::builder().clock(clock.clone()).start().await.unwrap();
    let mut peer = Peer::nsqd(tcp(&lookupd), 1, 2).await;
    peer.command("REGISTER t c").await;
    http::post(web(&lookupd), "/topic/create?topic=empty", "").await;
    let debug = async || {
        let (status, text) = http::get(web(&lookupd), "/debug").await;
        assert_eq!(status, 200);
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let before = debug().await;
    let entry = |tombstoned: bool, tombstoned_at: i64| {
        json!([{
            "broadcast_address": "127.0.0.1", "hostname": "h<&>", "http_port": 2, "id": peer.local_address().to_string(),
            "last_update": before["client::"][0]["last_update"], "tcp_port": 1, "tombstoned": tombstoned,
            "tombstoned_at": tombstoned_at, "version": "1.3.0"
        }])
    };
    let never = entry(false, -6_795_364_578_871_345_152);
    assert_eq!(before, json!({"channel:t:c": never, "client::": never, "topic:t:": never}));
    clock.advance(Duration::from_secs(1));
    http::post(web(&lookupd), "/topic/tombstone?topic=t&node=127.0.0.1:2", "").await;
    clock.advance(Duration::from_secs(100));
    let tombstoned_at = before["client::"][0]["last_update"].as_i64().unwrap() + 1_000_000_000;
    assert_eq!(debug().await["topic:t:"], entry(true, tombstoned_at));
}

#[tokio::test]
async fn tombstones_and_silent_nsqds_follow_the_clock() {
    let clock = Clock::manual();
    let lookupd = Nsqlookupd::builder().clock(clock.clone()).start().await.unwrap();
    let mut peer = Peer::nsqd(tcp(&lookupd), 1, 2).await;
    peer.command("REGISTER t").await;
    let found = || lookupd.registrations()[0].producers.len();
    assert_eq!(found(), 1);
    http::post(web(&lookupd), "/topic/tombstone?topic=t&node=127.0.0.1:2", "").await;
    assert_eq!(found(), 0);
    clock.advance(Duration::from_secs(45));
    assert_eq!(found(), 1);
    clock.advance(Duration::from_secs(256));
    assert_eq!(found(), 0, "silent for 301 seconds");
    peer.command("PING").await;
    assert_eq!(found(), 1);
}
