//! `/config`: what can be read, and what can be set.

use crate::http::{Error, Expect, Json, Text};
use crate::server::{Nsqd, Side};

conformance! {
    options_can_be_read,
    the_log_level_can_be_set,
    the_nsqlookupds_can_be_set,
    other_options_can_not_be_set,
}

async fn options_can_be_read<S: Side>() {
    let nsqd = S::nsqd(&[
        "--max-rdy-count=7",
        "--msg-timeout=3s",
        "--snappy=false",
        "--e2e-processing-latency-percentile=0.5,1.0,0.99",
    ])
    .await;
    let options: [(&str, Expect); 29] = [
        ("nsqlookupd_tcp_addresses", Json("[]")),
        ("log_level", Json("2")),
        ("max_rdy_count", Json("7")),
        ("msg_timeout", Json("3000000000")),
        ("snappy", Json("false")),
        ("deflate", Json("true")),
        ("broadcast_address", Text("127.0.0.1")),
        ("max_msg_size", Json("1048576")),
        ("max_body_size", Json("5242880")),
        ("max_msg_timeout", Json("900000000000")),
        ("max_req_timeout", Json("3600000000000")),
        ("max_heartbeat_interval", Json("60000000000")),
        ("max_output_buffer_size", Json("65536")),
        ("max_output_buffer_timeout", Json("30000000000")),
        ("min_output_buffer_timeout", Json("25000000")),
        ("output_buffer_timeout", Json("250000000")),
        ("max_deflate_level", Json("6")),
        ("max_channel_consumers", Json("0")),
        ("mem_queue_size", Json("10000")),
        ("http_client_connect_timeout", Json("2000000000")),
        ("http_client_request_timeout", Json("5000000000")),
        ("auth_http_addresses", Json("[]")),
        ("e2e_processing_latency_percentiles", Json("[1,0.99,0.5]")),
        ("e2e_processing_latency_window_time", Json("600000000000")),
        ("tls_required", Json("0")),
        ("nope", Error(400, "INVALID_OPTION")),
        ("log-level", Error(400, "INVALID_OPTION")),
        ("LogLevel", Error(400, "INVALID_OPTION")),
        ("%ff", Error(400, "INVALID_OPTION")),
    ];
    nsqd.http().check(options.map(|(option, expected)| (format!("GET /config/{option}"), "", expected))).await;
}

async fn the_log_level_can_be_set<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let rows = [
        ("debug", Json("1")),
        ("INFO", Json("2")),
        ("Warn", Json("3")),
        ("error", Json("4")),
        ("fatal", Json("5")),
        ("", Error(413, "INVALID_VALUE")),
        ("foo", Error(400, "INVALID_VALUE")),
        ("\"debug\"", Error(400, "INVALID_VALUE")),
        ("2", Error(400, "INVALID_VALUE")),
        ("info\n", Error(400, "INVALID_VALUE")),
    ];
    nsqd.http().check(rows.map(|(body, expected)| ("PUT /config/log_level", body, expected))).await;
    nsqd.http().check([("GET /config/log_level", "", Json("5")), ("PUT /config/log_level", "info", Json("2"))]).await;
}

async fn the_nsqlookupds_can_be_set<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let rows = [
        ("", Error(413, "INVALID_VALUE")),
        ("x", Error(400, "INVALID_VALUE")),
        ("\"127.0.0.1:1\"", Error(400, "INVALID_VALUE")),
        ("[1]", Error(400, "INVALID_VALUE")),
        ("{}", Error(400, "INVALID_VALUE")),
    ];
    nsqd.http().check(rows.map(|(body, expected)| ("PUT /config/nsqlookupd_tcp_addresses", body, expected))).await;
    let set = |body| ("PUT /config/nsqlookupd_tcp_addresses", body);
    let get = ("GET /config/nsqlookupd_tcp_addresses", "");
    for (body, value) in [
        (r#"["127.0.0.1:1"]"#, Json(r#"["127.0.0.1:1"]"#)),
        (r#" [ "127.0.0.1:1", "127.0.0.1:2" ] "#, Json(r#"["127.0.0.1:1","127.0.0.1:2"]"#)),
        ("[]", Json("[]")),
    ] {
        nsqd.http().check([set(body), get].map(|(request, body)| (request, body, value))).await;
    }
}

async fn other_options_can_not_be_set<S: Side>() {
    // The size of a value is bounded as that of a message.
    let nsqd = S::nsqd(&["--max-msg-size=100"]).await;
    let large = "x".repeat(101);
    let rows = [
        ("PUT /config/msg_timeout", "1s", Error(400, "INVALID_OPTION")),
        ("PUT /config/nope", "1", Error(400, "INVALID_OPTION")),
        ("PUT /config/nope", "", Error(413, "INVALID_VALUE")),
        ("PUT /config/nope", &large[1..], Error(400, "INVALID_OPTION")),
        ("PUT /config/nope", &large, Error(413, "INVALID_VALUE")),
        ("PUT /config/log_level", &large, Error(413, "INVALID_VALUE")),
    ];
    nsqd.http().check(rows).await;
}
