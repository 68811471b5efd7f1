//! Requests that the embedded nsqd answers as the real one does, to the byte.

use std::time::Duration;

use gnsq_server::Nsqd;

use crate::requests::Both;

async fn start() -> Both {
    let embedded =
        Nsqd::builder().max_msg_size(1024_usize).max_body_size(4096_usize).max_req_timeout(Duration::from_secs(10));
    Both::start(embedded, &["--max-msg-size=1024", "--max-body-size=4096", "--max-req-timeout=10s"]).await
}

#[tokio::test]
async fn every_path_takes_its_methods_only() {
    let both = start().await;
    let paths = [
        "/ping",
        "/info",
        "/pub",
        "/mpub",
        "/stats",
        "/topic/create",
        "/topic/delete",
        "/topic/empty",
        "/topic/pause",
        "/topic/unpause",
        "/channel/create",
        "/channel/delete",
        "/channel/empty",
        "/channel/pause",
        "/channel/unpause",
        "/config/log_level",
        "/debug/pprof/",
        "/debug/pprof/heap",
        "/debug/pprof/cmdline",
        "/debug/setblockrate",
        "/debug/freememory",
        "/",
        "/nope",
        "/topic",
        "/channel/",
        "/config",
        "/config/a/b",
        "/debug",
        "/put",
        "/mput",
        "/create_topic",
        "/debug/pprof/nope",
    ];
    for path in paths {
        for method in ["OPTIONS", "HEAD", "PATCH", "DELETE"] {
            both.agree(&format!("{method} {path}"), "").await;
        }
    }
    for path in &paths[2..15] {
        if *path != "/stats" {
            both.agree(&format!("GET {path}"), "").await;
        }
        both.agree(&format!("PUT {path}"), "x").await;
    }
    for request in ["POST /ping", "POST /info", "POST /stats", "PUT /stats", "POST /config/log_level"] {
        both.agree(request, "x").await;
    }
    for request in ["GET /ping/", "GET /PING", "GET //ping?a=b", "POST /pub/?topic=a", "GET /debug/pprof"] {
        both.agree(request, "").await;
    }
    assert!(both.agree("GET /ping", "").await.ends_with("\n\nOK"));
}

#[tokio::test]
async fn publishing_one_message() {
    let both = start().await;
    for (query, body) in [
        ("", ""),
        ("", "x"),
        ("?topic=", "x"),
        ("?topic=t", ""),
        ("?topic=bad!", ""),
        ("?topic=bad!", "x"),
        ("?topic=t", "x"),
        ("?topic=t&topic=bad!", "x"),
        ("?Topic=t", "x"),
        ("?topic=t%23ephemeral", "x"),
        ("?topic=t&defer=1", "x"),
        ("?topic=t&defer=0", "x"),
        ("?topic=t&defer=", "x"),
        ("?topic=t&defer=-1", "x"),
        ("?topic=t&defer=x", "x"),
        ("?topic=t&defer=1.5", "x"),
        ("?topic=t&defer=+1", "x"),
        ("?topic=t&defer=%2B1", "x"),
        ("?topic=t&defer=10000", "x"),
        ("?topic=t&defer=10001", "x"),
        ("?topic=t&defer=99999999999999999999", "x"),
        ("?topic=t&defer=9223372036854775807", "x"),
        ("?topic=bad!&defer=x", "x"),
        ("?defer=x", "x"),
        ("?topic=%", "x"),
        ("?topic=t;x=1", "x"),
        ("?topic=t&%", "x"),
        ("?topic=t%20", "x"),
        ("?topic=t+x", "x"),
        ("?topic=%", ""),
    ] {
        both.agree(&format!("POST /pub{query}"), body).await;
    }
    for length in [1024, 1025, 100_000] {
        both.agree("POST /pub?topic=t", vec![b'a'; length]).await;
        both.agree("POST /pub", vec![b'a'; length]).await;
    }
    let longest = "n".repeat(64);
    both.agree(&format!("POST /pub?topic={longest}"), "x").await;
    both.agree(&format!("POST /pub?topic={longest}n"), "x").await;
    same_topics(&both).await;
}

#[tokio::test]
async fn publishing_several_messages_as_lines() {
    let both = start().await;
    for (query, body) in [
        ("", "a"),
        ("", ""),
        ("?topic=", "a"),
        ("?topic=bad!", "a"),
        ("?topic=m;", "a"),
        ("?topic=m", ""),
        ("?topic=m", "\n\n"),
        ("?topic=m", "a\nb\n\nc"),
        ("?topic=m", "a\nb\n"),
        ("?topic=m", "a\r\nb"),
        ("?topic=m&binary=false", "a\nb"),
        ("?topic=m&binary=0", "a\nb"),
        ("?topic=m&defer=x", "a"),
    ] {
        both.agree(&format!("POST /mpub{query}"), body).await;
    }
    for line in [1024, 1025] {
        both.agree("POST /mpub?topic=lines", [&vec![b'a'; line][..], b"\nb"].concat()).await;
        both.agree("POST /mpub?topic=lines", [b"b\n", &vec![b'a'; line][..]].concat()).await;
    }
    for length in [4096, 4097, 100_000] {
        both.agree("POST /mpub?topic=body", b"a\n".repeat(length)[..length].to_vec()).await;
        both.agree("POST /mpub", b"a\n".repeat(length)[..length].to_vec()).await;
    }
    same_topics(&both).await;
}

#[tokio::test]
async fn publishing_several_messages_in_binary() {
    let both = start().await;
    let number = |number: i32| number.to_be_bytes().to_vec();
    let message = |text: &str| [&number(i32::try_from(text.len()).unwrap())[..], text.as_bytes()].concat();
    let good = [number(2), message("ab"), message("c")].concat();
    for query in
        ["?topic=m&binary=true", "?topic=m&binary=1", "?topic=m&binary=", "?topic=m&binary", "?topic=m&binary=no"]
    {
        both.agree(&format!("POST /mpub{query}"), &good).await;
    }
    for end in 0..good.len() {
        both.agree("POST /mpub?topic=cut&binary=1", &good[..end]).await;
    }
    for body in [
        number(0),
        number(-1),
        number(i32::MAX),
        number(818),
        number(819),
        [number(1), number(0)].concat(),
        [number(1), number(-1)].concat(),
        [number(1), number(1025)].concat(),
        [number(1), message(&"a".repeat(1024))].concat(),
        [number(1), message(&"a".repeat(1025))].concat(),
        [number(1), message("ab"), b"more".to_vec()].concat(),
        [number(2), message("ab"), number(0)].concat(),
    ] {
        both.agree("POST /mpub?topic=b&binary=1", &body).await;
        both.agree("POST /mpub?binary=1", &body).await;
        both.agree("POST /mpub?topic=bad!&binary=1", &body).await;
    }
    both.agree("POST /mpub?topic=large&binary=1", vec![0; 4097]).await;
    same_topics(&both).await;
}

#[tokio::test]
async fn topics_and_channels() {
    let both = start().await;
    for action in ["create", "delete", "empty", "pause", "unpause"] {
        both.agree("POST /topic/create?topic=t", "").await;
        for query in ["", "?topic=", "?topic=bad!", "?topic=t;", "?topic=%zz", "?topic=t"] {
            both.agree(&format!("POST /topic/{action}{query}"), "").await;
        }
        both.agree(&format!("POST /topic/{action}?topic=none-to-{action}"), "").await;
    }
    for action in ["create", "delete", "empty", "pause", "unpause"] {
        both.agree("POST /topic/create?topic=t", "").await;
        both.agree("POST /channel/create?topic=t&channel=c", "").await;
        for query in [
            "",
            "?topic=",
            "?topic=bad!",
            "?topic=none",
            "?channel=c",
            "?topic=t&channel=",
            "?topic=t",
            "?topic=bad!&channel=bad!",
            "?topic=none&channel=bad!",
            "?topic=t&channel=bad!",
            "?topic=none&channel=c",
            "?topic=t;channel=c",
            "?topic=t&channel=c",
        ] {
            both.agree(&format!("POST /channel/{action}{query}"), "").await;
        }
        both.agree(&format!("POST /channel/{action}?topic=t&channel=none-to-{action}"), "").await;
    }
    same_topics(&both).await;
}

#[tokio::test]
async fn settings() {
    let both = start().await;
    for (option, value) in [
        ("log_level", ""),
        ("log_level", "foo"),
        ("log_level", "debug"),
        ("log_level", "DEBUG"),
        ("log_level", "Warn"),
        ("log_level", "\"info\""),
        ("log_level", "4"),
        ("log_level", "error\n"),
        ("log_level", "error"),
        ("log_level", "fatal"),
        ("log_level", "info"),
        ("nope", "x"),
        ("nope", ""),
        ("max_msg_size", "10"),
        ("nsqlookupd_tcp_addresses", ""),
        ("nsqlookupd_tcp_addresses", "x"),
        ("nsqlookupd_tcp_addresses", "\"a:1\""),
        ("nsqlookupd_tcp_addresses", "[1]"),
        ("nsqlookupd_tcp_addresses", "{}"),
        ("nsqlookupd_tcp_addresses", "[\"127.0.0.1:1\", \"127.0.0.1:2\"]"),
        ("nsqlookupd_tcp_addresses", "[] x"),
        ("nsqlookupd_tcp_addresses", "[]"),
    ] {
        both.agree(&format!("PUT /config/{option}"), value).await;
        both.agree("GET /config/log_level", "").await;
        both.agree("GET /config/nsqlookupd_tcp_addresses", "").await;
    }
    for length in [1024, 1025] {
        both.agree("PUT /config/log_level", vec![b'a'; length]).await;
        both.agree("PUT /config/nope", vec![b'a'; length]).await;
    }
}

#[tokio::test]
async fn options_under_the_names_of_the_configuration_file() {
    let both = start().await;
    for option in [
        "broadcast_address",
        "tcp_address",
        "http_address",
        "auth_http_addresses",
        "deflate",
        "snappy",
        "e2e_processing_latency_percentiles",
        "e2e_processing_latency_window_time",
        "http_client_connect_timeout",
        "http_client_request_timeout",
        "log_level",
        "max_body_size",
        "max_channel_consumers",
        "max_deflate_level",
        "max_heartbeat_interval",
        "max_msg_size",
        "max_msg_timeout",
        "max_output_buffer_size",
        "max_output_buffer_timeout",
        "max_rdy_count",
        "max_req_timeout",
        "mem_queue_size",
        "min_output_buffer_timeout",
        "msg_timeout",
        "nsqlookupd_tcp_addresses",
        "output_buffer_timeout",
        "statsd_address",
        "statsd_exclude_ephemeral",
        "statsd_interval",
        "statsd_mem_stats",
        "statsd_udp_packet_size",
        "tls_cert",
        "tls_key",
        "tls_root_ca_file",
        "tls_client_auth_policy",
        "tls_required",
        // Names of flags, and of nothing.
        "nope",
        "log-level",
        "LOG_LEVEL",
        "node_id",
        "worker_id",
        "version",
        "lookupd_tcp_address",
        "client_timeout",
    ] {
        both.agree(&format!("GET /config/{option}"), "").await;
    }
    for option in ["broadcast_tcp_port", "broadcast_http_port", "id"] {
        let [embedded, real] = both.ask(&format!("GET /config/{option}"), "").await;
        let number = |answer: &str| answer.rsplit('\n').next().unwrap().parse::<u16>().unwrap();
        assert!(number(&real) > 0 && (option == "id" || number(&embedded) > 0), "{embedded} and {real}");
    }
}

/// Both have the same topics and channels, with the same counts.
async fn same_topics(both: &Both) {
    let [embedded, real] = both.ask("GET /stats?format=json&include_mem=false", "").await;
    let topics = |answer: &str| answer.split_once("\"topics\":").unwrap().1.to_owned();
    assert_eq!(topics(&embedded), topics(&real));
}
