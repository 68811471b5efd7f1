//! `/stats` and `/info`, in every form.

use std::fmt::Write;

use gnsq_testkit::{DEADLINE, eventually};
use serde_json::Value;

use crate::differences::Differences;
use crate::http::{Error, Http};
use crate::like::assert_like;
use crate::server::{Nsqd, Side};
use crate::stats;
use crate::wire::{Client, command};

conformance! {
    info_tells_where_it_is,
    the_json_of_a_server_without_topics,
    the_json_has_every_key_in_its_place,
    filters_leave_out_what_was_not_asked_for,
    what_is_left_out_can_be_null,
    clients_and_memory_can_be_left_out,
    the_text_of_a_server_without_topics,
    the_text_has_its_columns,
    the_text_can_be_filtered,
    an_unknown_format_is_text,
    latencies_are_told_when_they_are_asked_for,
}

const MEMORY: &str = r#","memory":{"heap_objects":#,"heap_idle_bytes":#,"heap_in_use_bytes":#,"heap_released_bytes":#,"gc_pause_usec_100":#,"gc_pause_usec_99":#,"gc_pause_usec_95":#,"next_gc_bytes":#,"gc_total_runs":#}"#;
const E2E: &str = r#""e2e_processing_latency":{"count":0,"percentiles":null}"#;
const NO_TLS: &str = r#""tls":false,"tls_cipher_suite":"","tls_version":"","tls_negotiated_protocol":"","tls_negotiated_protocol_is_mutual":false"#;
/// A client that has said nothing of itself and done nothing.
const QUIET: &str = r#"{"client_id":"127.0.0.1","hostname":"127.0.0.1","version":"V2","remote_address":"127.0.0.1:#","state":3,"ready_count":0,"in_flight_count":0,"message_count":0,"finish_count":0,"requeue_count":0,"connect_ts":#,"sample_rate":0,"deflate":false,"snappy":false,"user_agent":"","#;

/// The whole answer, in which `topics`, `memory` and `producers` are given.
fn whole(topics: &str, memory: &str, producers: &str) -> String {
    format!(r#"{{"version":"1.3.0","health":"OK","start_time":#,"topics":{topics}{memory},"producers":{producers}}}"#)
}

async fn assert_stats(http: &Http, query: &str, pattern: &str) {
    let answer = http.get(&format!("/stats{query}")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-nsq-content-type"), Some("nsq; version=1.0"));
    let json = query.contains("json");
    let content_type = if json { "application/json; charset=utf-8" } else { "text/plain; charset=utf-8" };
    assert_eq!(answer.header("content-type"), Some(content_type));
    assert_like(answer.text(), pattern);
}

/// A paused topic `a`; a topic `b` of three messages with the channels `c` (one in flight, one deferred) and `d`
/// (paused), each with a client; a producer for topic `p`.
///
/// One client each, because several come in any order.
struct Scene {
    busy: Client,
    quiet: Client,
    _producer: Client,
}

impl Scene {
    async fn new(nsqd: &impl Nsqd) -> Self {
        nsqd.act("/topic/create?topic=a").await;
        nsqd.act("/topic/pause?topic=a").await;
        nsqd.act("/topic/create?topic=b").await;
        nsqd.act("/channel/create?topic=b&channel=c").await;
        nsqd.act("/channel/create?topic=b&channel=d").await;
        nsqd.act("/channel/pause?topic=b&channel=d").await;
        let mut busy = nsqd.connect().await;
        busy.send(command("IDENTIFY", r#"{"client_id":"id","hostname":"host","user_agent":"agent/1"}"#)).await;
        busy.ok().await;
        busy.send("SUB b c\nRDY 1\n").await;
        busy.ok().await;
        nsqd.publish("b", "hello").await;
        busy.message().await;
        nsqd.publish("b", "world").await;
        nsqd.publish("b&defer=60000", "later").await;
        let quiet = nsqd.subscriber("b", "d").await;
        let mut producer = nsqd.connect().await;
        producer.send(command("PUB p", "x")).await;
        producer.ok().await;
        stats::wait_for_channel(nsqd, "b", "c", &[("message_count", 3), ("client_count", 1)]).await;
        stats::wait_for_channel(nsqd, "b", "d", &[("message_count", 3), ("client_count", 1)]).await;
        Self { busy, quiet, _producer: producer }
    }
}

async fn info_tells_where_it_is<S: Side>() {
    let nsqd = S::nsqd(&["--max-deflate-level=4", "--max-heartbeat-interval=2s", "--max-output-buffer-size=128"]).await;
    let answer = nsqd.http().get("/info").await;
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let (http_port, tcp_port) = (nsqd.http_address().port(), nsqd.tcp_address().port());
    assert_like(
        answer.text(),
        &format!(
            r#"{{"version":"1.3.0","broadcast_address":"127.0.0.1","hostname":"*","http_port":{http_port},"tcp_port":{tcp_port},"start_time":#,"max_heartbeat_interval":2000000000,"max_output_buffer_size":128,"max_output_buffer_timeout":30000000000,"max_deflate_level":4}}"#
        ),
    );
    let info: Value = serde_json::from_str(answer.text()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let age = now - info["start_time"].as_u64().unwrap();
    assert!(age < 60, "started {age} s ago");
}

async fn the_json_of_a_server_without_topics<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    assert_stats(&nsqd.http(), "?format=json", &whole("[]", MEMORY, "null")).await;
    assert_stats(&nsqd.http(), "?format=json&include_mem=false", &whole("[]", "", "null")).await;
}

async fn the_json_has_every_key_in_its_place<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut scene = Scene::new(&nsqd).await;
    let topic_a = format!(
        r#"{{"topic_name":"a","channels":[],"depth":0,"backend_depth":0,"message_count":0,"message_bytes":0,"paused":true,{E2E}}}"#
    );
    let busy = format!(
        r#"{{"client_id":"id","hostname":"host","version":"V2","remote_address":"127.0.0.1:#","state":3,"ready_count":1,"in_flight_count":1,"message_count":1,"finish_count":0,"requeue_count":0,"connect_ts":#,"sample_rate":0,"deflate":false,"snappy":false,"user_agent":"agent/1",{NO_TLS}}}"#
    );
    let channel_c = format!(
        r#"{{"channel_name":"c","depth":1,"backend_depth":0,"in_flight_count":1,"deferred_count":1,"message_count":3,"requeue_count":0,"timeout_count":0,"client_count":1,"clients":[{busy}],"paused":false,{E2E}}}"#
    );
    let channel_d = format!(
        r#"{{"channel_name":"d","depth":2,"backend_depth":0,"in_flight_count":0,"deferred_count":1,"message_count":3,"requeue_count":0,"timeout_count":0,"client_count":1,"clients":[{QUIET}{NO_TLS}}}],"paused":true,{E2E}}}"#
    );
    let topic_b = format!(
        r#"{{"topic_name":"b","channels":[{channel_c},{channel_d}],"depth":0,"backend_depth":0,"message_count":3,"message_bytes":15,"paused":false,{E2E}}}"#
    );
    let topic_p = format!(
        r#"{{"topic_name":"p","channels":[],"depth":1,"backend_depth":0,"message_count":1,"message_bytes":1,"paused":false,{E2E}}}"#
    );
    let producer = QUIET.replace("\"state\":3", "\"state\":0");
    let producers = format!(r#"[{producer}"pub_counts":[{{"topic":"p","count":1}}],{NO_TLS}}}]"#);
    assert_stats(&nsqd.http(), "?format=json", &whole(&format!("[{topic_a},{topic_b},{topic_p}]"), MEMORY, &producers))
        .await;

    // A client that has both subscribed and published is listed as both.
    let Scene { busy, quiet, _producer: producer } = &mut scene;
    producer.end_sending().await;
    producer.end().await;
    busy.send(command("PUB p", "y")).await;
    busy.ok().await;
    quiet.send("CLS\n").await;
    quiet.expect("CLOSE_WAIT").await;
    let counts = serde_json::json!([{"topic": "p", "count": 1}]);
    let stats = nsqd.http().json("/stats?format=json").await;
    let channels = &stats["topics"][1]["channels"];
    let [consumer, producer] = [&channels[0]["clients"][0], &stats["producers"][0]];
    assert_eq!([&consumer["pub_counts"], &producer["pub_counts"]], [&counts; 2]);
    assert_eq!([&consumer["state"], &producer["state"], &channels[1]["clients"][0]["state"]], [3, 3, 4]);
    assert_eq!(stats["producers"].as_array().unwrap().len(), 1);
}

async fn filters_leave_out_what_was_not_asked_for<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let _scene = Scene::new(&nsqd).await;
    for (query, names) in [
        ("topic=a", "a"),
        ("topic=b", "b c d"),
        ("topic=b&channel=c", "b c"),
        ("topic=b&channel=d", "b d"),
        ("channel=c", "b c"),
        ("topic=", "a b c d p"),
        ("topic=&channel=", "a b c d p"),
        ("topic=b&channel=nope", ""),
        ("channel=nope", ""),
    ] {
        let stats = nsqd.http().json(&format!("/stats?format=json&{query}")).await;
        let mut seen = Vec::new();
        for topic in stats["topics"].as_array().unwrap() {
            seen.push(topic["topic_name"].as_str().unwrap());
            seen.extend(
                topic["channels"].as_array().unwrap().iter().map(|channel| channel["channel_name"].as_str().unwrap()),
            );
        }
        assert_eq!(seen.join(" "), names, "{query}");
    }
    // Producers tell of the topic that was asked for, or of none.
    let pub_counts = async |query: &str| {
        nsqd.http().json(&format!("/stats?format=json&{query}")).await["producers"][0]["pub_counts"].clone()
    };
    assert_eq!(pub_counts("topic=p").await, serde_json::json!([{"topic": "p", "count": 1}]));
    assert_eq!(pub_counts("topic=b").await, Value::Null);
    assert_eq!(pub_counts("channel=c").await, serde_json::json!([{"topic": "p", "count": 1}]));
    nsqd.http().check([("GET /stats?topic=%", "", Error(400, "INVALID_REQUEST"))]).await;
}

async fn what_is_left_out_can_be_null<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let _scene = Scene::new(&nsqd).await;
    let http = nsqd.http();
    for query in ["topic=nope", "topic=bad!", "topic=nope&channel=c"] {
        assert_stats(&http, &format!("?format=json&{query}"), &whole("null", MEMORY, "null")).await;
    }
    let producer = QUIET.replace("\"state\":3", "\"state\":0");
    let producers = format!("[{producer}{NO_TLS}}}]");
    assert_stats(&http, "?format=json&topic=b&channel=nope", &whole("[]", MEMORY, &producers)).await;
}

async fn clients_and_memory_can_be_left_out<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let _scene = Scene::new(&nsqd).await;
    let http = nsqd.http();
    for (query, clients, memory) in [
        ("", true, true),
        ("&include_clients=true", true, true),
        ("&include_clients=1&include_mem=1", true, true),
        ("&include_clients=false", false, true),
        ("&include_clients=0", false, true),
        ("&include_mem=false", true, false),
        ("&include_mem=0&include_clients=false", false, false),
        ("&include_clients=&include_mem=", true, true),
        ("&include_clients=x&include_mem=x", true, true),
        ("&include_clients=FALSE", true, true),
    ] {
        let stats = http.json(&format!("/stats?format=json{query}")).await;
        let seen = &stats["topics"][1]["channels"][0];
        assert_eq!(seen["client_count"], 1, "{query}");
        assert_eq!((seen["clients"].is_array(), stats["producers"].is_array()), (clients, clients), "{query}");
        assert_eq!(stats.get("memory").is_some(), memory, "{query}");
    }
}

/// The beginning of the text.
fn head(differences: &Differences, memory: bool) -> String {
    let mut text = format!("nsqd v{}\nstart_time #-#-#T#:#:#*\nuptime *\n\nHealth: OK\n\n", differences.build);
    if memory {
        text.push_str("Memory:\n");
        for (name, spaces) in [
            ("heap_objects", 13),
            ("heap_idle_bytes", 10),
            ("heap_in_use_bytes", 8),
            ("heap_released_bytes", 6),
            ("gc_pause_usec_100", 8),
            ("gc_pause_usec_99", 9),
            ("gc_pause_usec_95", 9),
            ("next_gc_bytes", 12),
            ("gc_total_runs", 12),
        ] {
            writeln!(text, "   {name}{:spaces$}\t#", "").unwrap();
        }
        text.push('\n');
    }
    text
}

async fn the_text_of_a_server_without_topics<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let rest = "Topics: None\n\nProducers: None\n";
    assert_stats(&nsqd.http(), "", &format!("{}{rest}", head(&S::DIFFERENCES, true))).await;
    assert_stats(&nsqd.http(), "?include_mem=false", &format!("{}{rest}", head(&S::DIFFERENCES, false))).await;
}

const TOPIC_A: &str = "*P [a              ] depth: 0     be-depth: 0     msgs: 0        e2e%: \n";
const TOPIC_B: &str = "   [b              ] depth: 0     be-depth: 0     msgs: 3        e2e%: \n";
const CHANNEL_C: &str = "      [c                        ] depth: 1     be-depth: 0     inflt: 1    def: 1    re-q: 0     timeout: 0     msgs: 3        e2e%: \n";
const CHANNEL_D: &str = "   *P [d                        ] depth: 2     be-depth: 0     inflt: 0    def: 1    re-q: 0     timeout: 0     msgs: 3        e2e%: \n";
const TOPIC_P: &str = "   [p              ] depth: 1     be-depth: 0     msgs: 1        e2e%: \n";

async fn the_text_has_its_columns<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let _scene = Scene::new(&nsqd).await;
    let stats = nsqd.http().json("/stats?format=json").await;
    let port =
        |client: &Value| client["remote_address"].as_str().unwrap().strip_prefix("127.0.0.1:").unwrap().to_owned();
    let channels = &stats["topics"][1]["channels"];
    let busy = format!("host:{} agent/1", port(&channels[0]["clients"][0]));
    let quiet = format!("127.0.0.1:{}", port(&channels[1]["clients"][0]));
    let producer = format!("127.0.0.1:{}", port(&stats["producers"][0]));
    let busy = format!(
        "        [V2 {busy:<21}] state: 3 inflt: 1    rdy: 1    fin: 0        re-q: 0        msgs: 1        connected: *s\n"
    );
    let quiet = format!(
        "        [V2 {quiet:<21}] state: 3 inflt: 0    rdy: 0    fin: 0        re-q: 0        msgs: 0        connected: *s\n"
    );
    let producer = format!("   [V2 {producer:<21}] msgs: 1        topics: p=1 connected: *s\n");
    let text =
        format!("Topics:\n{TOPIC_A}\n{TOPIC_B}{CHANNEL_C}{busy}{CHANNEL_D}{quiet}\n{TOPIC_P}\nProducers:\n{producer}");
    assert_stats(&nsqd.http(), "", &format!("{}{text}", head(&S::DIFFERENCES, true))).await;
    assert_stats(&nsqd.http(), "?include_mem=false", &format!("{}{text}", head(&S::DIFFERENCES, false))).await;
    let text = format!("Topics:\n{TOPIC_A}\n{TOPIC_B}{CHANNEL_C}{CHANNEL_D}\n{TOPIC_P}\nProducers: None\n");
    assert_stats(&nsqd.http(), "?include_mem=0&include_clients=0", &format!("{}{text}", head(&S::DIFFERENCES, false)))
        .await;
}

async fn the_text_can_be_filtered<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let _scene = Scene::new(&nsqd).await;
    for (query, rest) in [
        ("topic=a", format!("Topics:\n{TOPIC_A}\nProducers: None\n")),
        ("topic=b", format!("Topics:\n{TOPIC_B}{CHANNEL_C}{CHANNEL_D}\nProducers: None\n")),
        ("channel=d", format!("Topics:\n{TOPIC_B}{CHANNEL_D}\nProducers: None\n")),
        ("topic=nope", "Topics: None\n\nProducers: None\n".to_owned()),
        ("topic=b&channel=nope", "Topics: None\n\nProducers: None\n".to_owned()),
    ] {
        let query = format!("?include_mem=false&include_clients=false&{query}");
        assert_stats(&nsqd.http(), &query, &format!("{}{rest}", head(&S::DIFFERENCES, false))).await;
    }
}

async fn an_unknown_format_is_text<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for format in ["text", "", "xml", "JSON"] {
        let pattern = format!("{}Topics: None\n\nProducers: None\n", head(&S::DIFFERENCES, true));
        assert_stats(&nsqd.http(), &format!("?format={format}"), &pattern).await;
    }
}

async fn latencies_are_told_when_they_are_asked_for<S: Side>() {
    let flags = ["--e2e-processing-latency-percentile=0.5,1.0", "--e2e-processing-latency-percentile=0.999"];
    let nsqd = S::nsqd(&flags).await;
    nsqd.act("/topic/create?topic=a").await;
    nsqd.act("/topic/create?topic=b").await;
    nsqd.act("/channel/create?topic=b&channel=d").await;
    let mut client = nsqd.subscriber("b", "c").await;
    client.send("RDY 1\n").await;
    nsqd.publish("b", "x").await;
    let message = client.message().await;
    client.send(format!("FIN {}\n", message.id)).await;
    let finished = eventually(DEADLINE, "the message to be finished", async || {
        let latency = stats::channel(&nsqd, "b", "c").await["e2e_processing_latency"].take();
        (latency["count"] == 1).then_some(latency)
    });
    let latency = finished.await;
    let value = &latency["percentiles"][0]["value"];
    let took = value.as_u64().unwrap();
    assert!(took > 0 && took < DEADLINE.as_nanos().try_into().unwrap(), "{took} ns");
    let e2e = |count: u64, value: &dyn std::fmt::Display| {
        format!(
            r#""e2e_processing_latency":{{"count":{count},"percentiles":[{{"quantile":1,"value":{value}}},{{"quantile":0.999,"value":{value}}},{{"quantile":0.5,"value":{value}}}]}}"#
        )
    };
    let (none, one) = (e2e(0, &0), e2e(1, value));
    let channel = |name: &str, depth: u64, clients: u64, e2e: &str| {
        format!(
            r#"{{"channel_name":"{name}","depth":{depth},"backend_depth":0,"in_flight_count":0,"deferred_count":0,"message_count":1,"requeue_count":0,"timeout_count":0,"client_count":{clients},"clients":null,"paused":false,{e2e}}}"#
        )
    };
    let topic_b = |channels: &str| {
        format!(
            r#"{{"topic_name":"b","channels":[{channels}],"depth":0,"backend_depth":0,"message_count":1,"message_bytes":1,"paused":false,{one}}}"#
        )
    };
    let topic_a = format!(
        r#"{{"topic_name":"a","channels":[],"depth":0,"backend_depth":0,"message_count":0,"message_bytes":0,"paused":false,{E2E}}}"#
    );
    let (channel_c, channel_d) = (channel("c", 0, 1, &one), channel("d", 1, 0, &none));
    let query = "?format=json&include_mem=0&include_clients=0";
    let topics = format!("[{topic_a},{}]", topic_b(&format!("{channel_c},{channel_d}")));
    assert_stats(&nsqd.http(), query, &whole(&topics, "", "null")).await;
    // The topic's own are of all channels.
    let topics = format!("[{}]", topic_b(&channel_d));
    assert_stats(&nsqd.http(), &format!("{query}&topic=b&channel=d"), &whole(&topics, "", "null")).await;
    let text = nsqd.http().get("/stats?include_mem=0").await.text().to_owned();
    let latencies: Vec<_> = text.lines().filter_map(|line| line.split_once(" e2e%: ")).map(|(_, end)| end).collect();
    assert_eq!((latencies[0], latencies[1], latencies[3]), ("", latencies[2], "0.0ns, 0.0ns, 0.0ns"), "{text}");
    assert_like(latencies[2], "#.#*s, #.#*s, #.#*s");
}
