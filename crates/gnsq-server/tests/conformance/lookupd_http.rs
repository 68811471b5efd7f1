//! nsqlookupd's HTTP API.

use std::time::Duration;

use gnsq_testkit::{DEADLINE, eventually};
use serde_json::{Value, json};

use crate::http::{Empty, Error, Expect, Json};
use crate::like::assert_like;
use crate::lookupd_tcp::{peer, say};
use crate::server::{Nsqlookupd, Side};

conformance! {
    info_tells_the_version,
    what_is_missing_or_invalid_is_refused,
    topics_and_channels_can_be_made_without_producers,
    producers_are_told_with_all_there_is_to_know,
    deleting_takes_the_registrations,
    a_tombstone_hides_one_producer_of_one_topic,
    a_tombstone_goes_after_its_lifetime,
    a_new_registration_lifts_a_tombstone,
    who_keeps_silent_is_left_out,
}

/// The names under `key`, in order: nsqlookupd tells them in any.
async fn names(lookupd: &impl Nsqlookupd, target: &str, key: &str) -> Vec<String> {
    let answer = lookupd.http().json(target).await;
    let mut names: Vec<_> =
        answer[key].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The broadcast addresses of a topic's producers, in order.
async fn producers(lookupd: &impl Nsqlookupd, topic: &str) -> Vec<String> {
    let answer = lookupd.http().json(&format!("/lookup?topic={topic}")).await;
    addresses(&answer)
}

fn addresses(answer: &Value) -> Vec<String> {
    let producers = answer["producers"].as_array().unwrap();
    let mut hosts: Vec<_> =
        producers.iter().map(|producer| producer["broadcast_address"].as_str().unwrap().to_owned()).collect();
    hosts.sort();
    hosts
}

async fn info_tells_the_version<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    lookupd.http().check([("GET /info", "", Json(r#"{"version":"1.3.0"}"#))]).await;
}

async fn what_is_missing_or_invalid_is_refused<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let rows: [(&str, Expect); 36] = [
        ("GET /lookup", Error(400, "MISSING_ARG_TOPIC")),
        ("GET /lookup?topic=", Error(404, "TOPIC_NOT_FOUND")),
        ("GET /lookup?topic=nope", Error(404, "TOPIC_NOT_FOUND")),
        ("GET /lookup?topic=bad!", Error(404, "TOPIC_NOT_FOUND")),
        ("GET /lookup?topic=%", Error(400, "INVALID_REQUEST")),
        ("GET /channels", Error(400, "MISSING_ARG_TOPIC")),
        ("GET /channels?topic=", Json(r#"{"channels":[]}"#)),
        ("GET /channels?topic=nope", Json(r#"{"channels":[]}"#)),
        ("GET /channels?topic=%", Error(400, "INVALID_REQUEST")),
        ("GET /topics", Json(r#"{"topics":[]}"#)),
        ("GET /nodes", Json(r#"{"producers":[]}"#)),
        ("GET /debug", Json("{}")),
        ("POST /topic/create", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /topic/create?topic=", Error(400, "INVALID_ARG_TOPIC")),
        ("POST /topic/create?topic=bad!", Error(400, "INVALID_ARG_TOPIC")),
        ("POST /topic/create?topic=%", Error(400, "INVALID_REQUEST")),
        ("POST /topic/delete", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /topic/delete?topic=", Empty),
        ("POST /topic/delete?topic=bad!", Empty),
        ("POST /topic/delete?topic=nope", Empty),
        ("POST /channel/create", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /channel/create?channel=c", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /channel/create?topic=t", Error(400, "MISSING_ARG_CHANNEL")),
        ("POST /channel/create?topic=bad!&channel=c", Error(400, "INVALID_ARG_TOPIC")),
        ("POST /channel/create?topic=t&channel=bad!", Error(400, "INVALID_ARG_CHANNEL")),
        ("POST /channel/create?topic=t&channel=", Error(400, "INVALID_ARG_CHANNEL")),
        ("POST /channel/delete", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /channel/delete?topic=t", Error(400, "MISSING_ARG_CHANNEL")),
        ("POST /channel/delete?topic=bad!&channel=c", Error(400, "INVALID_ARG_TOPIC")),
        ("POST /channel/delete?topic=t&channel=c", Error(404, "CHANNEL_NOT_FOUND")),
        ("POST /topic/tombstone", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /topic/tombstone?node=n", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /topic/tombstone?topic=t", Error(400, "MISSING_ARG_NODE")),
        ("POST /topic/tombstone?topic=bad!&node=n", Empty),
        ("POST /topic/tombstone?topic=t&node=", Empty),
        ("POST /topic/tombstone?topic=t&node=n", Empty),
    ];
    lookupd.http().check(rows.map(|(request, expected)| (request, "", expected))).await;
}

async fn topics_and_channels_can_be_made_without_producers<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let http = lookupd.http();
    let create = [
        "topic/create?topic=t",
        "topic/create?topic=e%23ephemeral",
        "channel/create?topic=u&channel=c",
        "channel/create?topic=u&channel=d%23ephemeral",
    ];
    for _ in 0..2 {
        http.check(create.map(|target| (format!("POST /{target}"), "", Empty))).await;
    }
    assert_eq!(names(&lookupd, "/topics", "topics").await, ["e#ephemeral", "t", "u"]);
    assert_eq!(names(&lookupd, "/channels?topic=u", "channels").await, ["c", "d#ephemeral"]);
    assert_eq!(http.json("/lookup?topic=t").await, json!({"channels": [], "producers": []}));
    http.check([
        ("GET /nodes", "", Json(r#"{"producers":[]}"#)),
        ("GET /debug", "", Json("{}")),
        ("POST /channel/delete?topic=u&channel=c", "", Empty),
        ("POST /topic/delete?topic=t", "", Empty),
        ("GET /channels?topic=u", "", Json(r#"{"channels":["d#ephemeral"]}"#)),
        ("POST /topic/delete?topic=u", "", Empty),
        ("GET /channels?topic=u", "", Json(r#"{"channels":[]}"#)),
        ("GET /lookup?topic=u", "", Error(404, "TOPIC_NOT_FOUND")),
    ])
    .await;
    assert_eq!(names(&lookupd, "/topics", "topics").await, ["e#ephemeral"]);
}

async fn producers_are_told_with_all_there_is_to_know<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let mut client = peer(&lookupd, "host-a").await;
    say(&mut client, &["REGISTER t c"]).await;
    let http = lookupd.http();
    let producer = r#"{"remote_address":"127.0.0.1:#","hostname":"host","broadcast_address":"host-a","tcp_port":4150,"http_port":4151,"version":"1.3.0""#;
    let lookup = format!(r#"{{"channels":["c"],"producers":[{producer}}}]}}"#);
    let nodes = format!(r#"{{"producers":[{producer},"tombstones":[false],"topics":["t"]}}]}}"#);
    let peer = r#"[{"broadcast_address":"host-a","hostname":"host","http_port":4151,"id":"127.0.0.1:#","last_update":#,"tcp_port":4150,"tombstoned":false,"tombstoned_at":#,"version":"1.3.0"}]"#;
    let debug = format!(r#"{{"channel:t:c":{peer},"client::":{peer},"topic:t:":{peer}}}"#);
    for (target, pattern) in [("/lookup?topic=t", lookup), ("/nodes", nodes), ("/debug", debug)] {
        assert_like(http.get(target).await.text(), &pattern);
    }
    let mut other = crate::lookupd_tcp::peer(&lookupd, "host-b").await;
    say(&mut other, &["REGISTER t d"]).await;
    assert_eq!(producers(&lookupd, "t").await, ["host-a", "host-b"]);
    assert_eq!(names(&lookupd, "/lookup?topic=t", "channels").await, ["c", "d"]);
    let third = crate::lookupd_tcp::peer(&lookupd, "host-c").await;
    assert_eq!(addresses(&http.json("/nodes").await), ["host-a", "host-b", "host-c"]);
    assert_eq!(producers(&lookupd, "t").await, ["host-a", "host-b"]);
    drop(third);
}

async fn deleting_takes_the_registrations<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let mut client = peer(&lookupd, "host").await;
    say(&mut client, &["REGISTER t c", "REGISTER t d"]).await;
    let http = lookupd.http();
    http.check([("POST /channel/delete?topic=t&channel=c", "", Empty)]).await;
    assert_eq!(names(&lookupd, "/channels?topic=t", "channels").await, ["d"]);
    assert_eq!(producers(&lookupd, "t").await, ["host"]);
    http.check([("POST /topic/delete?topic=t", "", Empty), ("GET /lookup?topic=t", "", Error(404, "TOPIC_NOT_FOUND"))])
        .await;
    let nodes = http.json("/nodes").await;
    assert_eq!([&nodes["producers"][0]["topics"], &nodes["producers"][0]["tombstones"]], [&json!([]), &json!([])]);
    say(&mut client, &["REGISTER t c"]).await;
    assert_eq!(producers(&lookupd, "t").await, ["host"]);
}

async fn a_tombstone_hides_one_producer_of_one_topic<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let mut one = peer(&lookupd, "one").await;
    let mut other = peer(&lookupd, "other").await;
    for client in [&mut one, &mut other] {
        say(client, &["REGISTER t c", "REGISTER u c"]).await;
    }
    let http = lookupd.http();
    let rows = ["topic=t&node=one:4150", "topic=t&node=one", "topic=nope&node=one:4151", "topic=t&node=nobody:4151"];
    http.check(rows.map(|query| (format!("POST /topic/tombstone?{query}"), "", Empty))).await;
    assert_eq!(producers(&lookupd, "t").await, ["one", "other"]);
    http.check([("POST /topic/tombstone?topic=t&node=one:4151", "", Empty)]).await;
    assert_eq!(producers(&lookupd, "t").await, ["other"]);
    assert_eq!(producers(&lookupd, "u").await, ["one", "other"]);
    assert_eq!(names(&lookupd, "/lookup?topic=t", "channels").await, ["c"]);
    // The node is still there, with its tombstones beside its topics.
    let nodes = http.json("/nodes").await;
    for node in nodes["producers"].as_array().unwrap() {
        for (topic, tombstone) in node["topics"].as_array().unwrap().iter().zip(node["tombstones"].as_array().unwrap())
        {
            assert_eq!(tombstone == true, topic == "t" && node["broadcast_address"] == "one", "{nodes}");
        }
    }
    let debug = http.json("/debug").await;
    let of_one = debug["topic:t:"].as_array().unwrap().iter().find(|peer| peer["broadcast_address"] == "one").unwrap();
    assert_eq!(of_one["tombstoned"], true);
    assert!(of_one["tombstoned_at"].as_i64().unwrap() >= of_one["last_update"].as_i64().unwrap());
}

async fn a_tombstone_goes_after_its_lifetime<S: Side>() {
    let lookupd = S::nsqlookupd(&["--tombstone-lifetime=300ms"]).await;
    let mut client = peer(&lookupd, "host").await;
    say(&mut client, &["REGISTER t"]).await;
    let start = std::time::Instant::now();
    lookupd.http().check([("POST /topic/tombstone?topic=t&node=host:4151", "", Empty)]).await;
    eventually(DEADLINE, "the producer to be listed again", async || {
        (!producers(&lookupd, "t").await.is_empty()).then_some(())
    })
    .await;
    assert!(start.elapsed() >= Duration::from_millis(300), "listed again after {:?}", start.elapsed());
}

async fn a_new_registration_lifts_a_tombstone<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let mut client = peer(&lookupd, "host").await;
    say(&mut client, &["REGISTER t"]).await;
    lookupd.http().check([("POST /topic/tombstone?topic=t&node=host:4151", "", Empty)]).await;
    say(&mut client, &["REGISTER t", "PING"]).await;
    assert!(producers(&lookupd, "t").await.is_empty());
    say(&mut client, &["UNREGISTER t", "REGISTER t"]).await;
    assert_eq!(producers(&lookupd, "t").await, ["host"]);
}

async fn who_keeps_silent_is_left_out<S: Side>() {
    let lookupd = S::nsqlookupd(&["--inactive-producer-timeout=1s"]).await;
    let mut silent = peer(&lookupd, "silent").await;
    let mut lively = peer(&lookupd, "lively").await;
    for client in [&mut silent, &mut lively] {
        say(client, &["REGISTER t c"]).await;
    }
    eventually(DEADLINE, "the silent one to be left out", async || {
        say(&mut lively, &["PING"]).await;
        (producers(&lookupd, "t").await == ["lively"]).then_some(())
    })
    .await;
    say(&mut lively, &["PING"]).await;
    assert_eq!(addresses(&lookupd.http().json("/nodes").await), ["lively"]);
    assert_eq!(names(&lookupd, "/lookup?topic=t", "channels").await, ["c"]);
    assert_eq!(lookupd.http().json("/debug").await["topic:t:"].as_array().unwrap().len(), 2);
    say(&mut silent, &["PING"]).await;
    say(&mut lively, &["PING"]).await;
    assert_eq!(producers(&lookupd, "t").await, ["lively", "silent"]);
}
