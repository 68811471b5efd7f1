//! IDENTIFY: what it takes, what it answers, and what changes by it.

use crate::server::{Nsqd, Side};
use crate::state::State;
use crate::stats;
use crate::wire::{command, numbers};

conformance! {
    the_reply_has_all_that_was_agreed,
    without_negotiation_the_reply_is_ok,
    a_body_that_is_no_object_is_refused,
    a_value_of_another_type_is_refused,
    keys_are_read_as_go_reads_them,
    values_have_their_ranges,
    ranges_are_the_servers_to_set,
    of_several_bad_values_the_first_to_be_judged_is_told,
    the_size_of_the_body_is_bounded,
    what_a_client_says_of_itself_replaces_the_defaults,
    it_may_be_said_again_until_the_subscription,
    it_is_refused_after_the_subscription,
    compression_is_granted_only_if_it_is_on,
    two_compressions_at_once_are_refused,
}

fn identify(body: impl AsRef<[u8]>) -> Vec<u8> {
    command("IDENTIFY", body)
}

/// The reply of a server with its defaults, but for these values, which replace those of the same key.
fn reply(values: &[(&str, &str)]) -> String {
    let mut pairs = [
        ("max_rdy_count", "2500"),
        ("version", r#""1.3.0""#),
        ("max_msg_timeout", "900000"),
        ("msg_timeout", "60000"),
        ("tls_v1", "false"),
        ("deflate", "false"),
        ("deflate_level", "6"),
        ("max_deflate_level", "6"),
        ("snappy", "false"),
        ("sample_rate", "0"),
        ("auth_required", "false"),
        ("output_buffer_size", "16384"),
        ("output_buffer_timeout", "250"),
    ];
    for (key, value) in values {
        pairs.iter_mut().find(|pair| pair.0 == *key).unwrap().1 = value;
    }
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", pairs.join(","))
}

async fn the_reply_has_all_that_was_agreed<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for (asked, agreed) in [
        ("", &[][..]),
        (r#","heartbeat_interval":1000"#, &[]),
        (r#","heartbeat_interval":60000"#, &[]),
        (r#","heartbeat_interval":-1"#, &[]),
        (r#","heartbeat_interval":0"#, &[]),
        (r#","msg_timeout":0"#, &[]),
        (r#","msg_timeout":1000"#, &[("msg_timeout", "1000")]),
        (r#","msg_timeout":900000"#, &[("msg_timeout", "900000")]),
        (r#","output_buffer_size":-1"#, &[("output_buffer_size", "1"), ("output_buffer_timeout", "0")]),
        (r#","output_buffer_size":0"#, &[]),
        (r#","output_buffer_size":64"#, &[("output_buffer_size", "64")]),
        (r#","output_buffer_size":65536"#, &[("output_buffer_size", "65536")]),
        (r#","output_buffer_timeout":-1"#, &[("output_buffer_timeout", "0")]),
        (r#","output_buffer_timeout":0"#, &[]),
        (r#","output_buffer_timeout":25"#, &[("output_buffer_timeout", "25")]),
        (r#","output_buffer_timeout":30000"#, &[("output_buffer_timeout", "30000")]),
        (
            r#","output_buffer_size":-1,"output_buffer_timeout":25"#,
            &[("output_buffer_size", "1"), ("output_buffer_timeout", "0")],
        ),
        (r#","sample_rate":0"#, &[]),
        (r#","sample_rate":99"#, &[("sample_rate", "99")]),
        (r#","deflate_level":3"#, &[]),
        (r#","tls_v1":true"#, &[]),
    ] {
        let sent = identify(format!(r#"{{"feature_negotiation":true{asked}}}"#));
        State::Init.answers(&nsqd, [(sent, reply(agreed).as_str())]).await;
    }
}

async fn without_negotiation_the_reply_is_ok<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let bodies = [
        "{}",
        "null",
        " { } ",
        r#"{"feature_negotiation":false}"#,
        r#"{"feature_negotiation":null}"#,
        r#"{"snappy":true,"deflate":true,"tls_v1":true}"#,
        r#"{"heartbeat_interval":null,"client_id":null}"#,
        r#"{"unknown":{"a":[1,2.5]},"short_id":1,"long_id":"x","topology_region":1}"#,
    ];
    State::Init.answers(&nsqd, bodies.map(|body| (identify(body), "OK"))).await;
    State::Init.answers(&nsqd, [(command("IDENTIFY a b", "{}"), "OK")]).await;
}

async fn a_body_that_is_no_object_is_refused<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let bodies = ["[]", "1", "\"x\"", "true", "{", "{}x", "{} {}", "{'a':1}", r#"{"a":1,}"#, "\u{feff}{}", "\0"];
    let error = "E_BAD_BODY IDENTIFY failed to decode JSON body";
    State::Init.refuses(&nsqd, bodies.map(|body| (identify(body), error))).await;
    State::Init.refuses(&nsqd, [(identify(b"{\"client_id\":\"a\nb\"}"), error)]).await;
}

async fn a_value_of_another_type_is_refused<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let number = ["30.5", "30.0", "3e4", "\"1000\"", "true", "[]", "{}", "9223372036854775808"];
    let flag = ["0", "1", "\"true\"", "[]"];
    let text = ["1", "true", "[]", "{}"];
    let bad = [
        ("heartbeat_interval", &number[..]),
        ("output_buffer_size", &number),
        ("output_buffer_timeout", &number),
        ("msg_timeout", &number),
        ("sample_rate", &number),
        ("sample_rate", &["2147483648"]),
        ("deflate_level", &number),
        ("feature_negotiation", &flag),
        ("tls_v1", &flag),
        ("deflate", &flag),
        ("snappy", &flag),
        ("client_id", &text),
        ("hostname", &text),
        ("user_agent", &text),
    ];
    for (key, values) in bad {
        let bodies = values.iter().map(|value| identify(format!(r#"{{"{key}":{value}}}"#)));
        let error = "E_BAD_BODY IDENTIFY failed to decode JSON body";
        State::Init.refuses(&nsqd, bodies.map(|body| (body, error))).await;
    }
}

async fn keys_are_read_as_go_reads_them<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let error = |value: &str| format!("E_BAD_BODY IDENTIFY msg timeout ({value}) is invalid");
    let refusals = [
        (r#"{"MSG_TIMEOUT":1}"#, error("1")),
        (r#"{"Msg_Timeout":2}"#, error("2")),
        (r#"{"msg_timeout":1000,"msg_timeout":3}"#, error("3")),
        (r#"{"msg_timeout":1000,"MSG_timeout":4}"#, error("4")),
        (r#"{"msg_\u0074imeout":5}"#, error("5")),
        (r#"{"msg_timeout":6,"msg_timeout":null}"#, error("6")),
    ];
    State::Init.refuses(&nsqd, refusals.map(|(body, error)| (identify(body), error))).await;
    let answers =
        [(identify(r#"{"msg_timeout":7,"msg_timeout":1000}"#), "OK"), (identify(r#"{"msg_timeout ":1}"#), "OK")];
    State::Init.answers(&nsqd, answers).await;
    // Text that isn't UTF-8 is taken, with U+FFFD for what is wrong in it.
    State::Init.answers(&nsqd, [(identify(b"{\"client_id\":\"\xff\"}"), "OK")]).await;
}

async fn values_have_their_ranges<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for (key, called, values) in [
        ("heartbeat_interval", "heartbeat interval", &["-2", "1", "999", "60001", "9223372036854775807"][..]),
        ("output_buffer_size", "output buffer size", &["-2", "1", "63", "65537", "99999999999"]),
        ("output_buffer_timeout", "output buffer timeout", &["-2", "1", "24", "30001"]),
        ("sample_rate", "sample rate", &["-1", "100", "2147483647", "-2147483648"]),
        ("msg_timeout", "msg timeout", &["-2", "-1", "1", "999", "900001"]),
    ] {
        let refusals = values.iter().map(|value| {
            let error = format!("E_BAD_BODY IDENTIFY {called} ({value}) is invalid");
            (identify(format!(r#"{{"{key}":{value}}}"#)), error)
        });
        State::Init.refuses(&nsqd, refusals).await;
    }
}

async fn ranges_are_the_servers_to_set<S: Side>() {
    let nsqd = S::nsqd(&[
        "--max-rdy-count=100",
        "--msg-timeout=2s",
        "--max-msg-timeout=3s",
        "--max-heartbeat-interval=2s",
        "--max-output-buffer-size=128",
        "--max-output-buffer-timeout=1s",
        "--min-output-buffer-timeout=10ms",
        "--output-buffer-timeout=50ms",
        "--max-deflate-level=4",
    ])
    .await;
    let reply = reply(&[
        ("max_rdy_count", "100"),
        ("max_msg_timeout", "3000"),
        ("msg_timeout", "2000"),
        ("deflate_level", "4"),
        ("max_deflate_level", "4"),
        ("output_buffer_size", "16384"),
        ("output_buffer_timeout", "50"),
    ]);
    State::Init.answers(&nsqd, [(identify(r#"{"feature_negotiation":true}"#), reply.as_str())]).await;
    let bounds = [
        r#"{"heartbeat_interval":2000}"#,
        r#"{"output_buffer_size":128}"#,
        r#"{"output_buffer_timeout":1000}"#,
        r#"{"output_buffer_timeout":10}"#,
        r#"{"msg_timeout":3000}"#,
    ];
    State::Init.answers(&nsqd, bounds.map(|body| (identify(body), "OK"))).await;
    let beyond = [
        (r#"{"heartbeat_interval":2001}"#, "E_BAD_BODY IDENTIFY heartbeat interval (2001) is invalid"),
        (r#"{"output_buffer_size":129}"#, "E_BAD_BODY IDENTIFY output buffer size (129) is invalid"),
        (r#"{"output_buffer_timeout":1001}"#, "E_BAD_BODY IDENTIFY output buffer timeout (1001) is invalid"),
        (r#"{"output_buffer_timeout":9}"#, "E_BAD_BODY IDENTIFY output buffer timeout (9) is invalid"),
        (r#"{"msg_timeout":3001}"#, "E_BAD_BODY IDENTIFY msg timeout (3001) is invalid"),
    ];
    State::Init.refuses(&nsqd, beyond.map(|(body, error)| (identify(body), error))).await;
}

async fn of_several_bad_values_the_first_to_be_judged_is_told<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let bad = [
        (r#""msg_timeout":1"#, "msg timeout (1)"),
        (r#""sample_rate":200"#, "sample rate (200)"),
        (r#""output_buffer_size":1"#, "output buffer size (1)"),
        (r#""output_buffer_timeout":1"#, "output buffer timeout (1)"),
        (r#""heartbeat_interval":1"#, "heartbeat interval (1)"),
    ];
    let mut body = String::new();
    for (pair, called) in bad {
        body = format!("{body}{}{pair}", if body.is_empty() { "" } else { "," });
        let error = format!("E_BAD_BODY IDENTIFY {called} is invalid");
        State::Init.refuses(&nsqd, [(identify(format!("{{{body}}}")), error)]).await;
    }
}

async fn the_size_of_the_body_is_bounded<S: Side>() {
    let nsqd = S::nsqd(&["--max-body-size=100"]).await;
    State::Init.answers(&nsqd, [(identify(format!("{{}}{}", " ".repeat(98))), "OK")]).await;
    let refusals = [
        (0, "E_BAD_BODY IDENTIFY invalid body size 0"),
        (-1, "E_BAD_BODY IDENTIFY invalid body size -1"),
        (i32::MIN, "E_BAD_BODY IDENTIFY invalid body size -2147483648"),
        (101, "E_BAD_BODY IDENTIFY body too big 101 > 100"),
        (i32::MAX, "E_BAD_BODY IDENTIFY body too big 2147483647 > 100"),
    ];
    State::Init.refuses(&nsqd, refusals.map(|(size, error)| (numbers("IDENTIFY", &[size]), error))).await;

    for cut in [b"IDENTIFY\n\0\0".to_vec(), numbers("IDENTIFY", &[2]), b"IDENTIFY\n\0\0\0\x02{".to_vec()] {
        let sized = cut.len() > 11;
        let mut client = nsqd.connect().await;
        client.send(cut).await;
        client.end_sending().await;
        client
            .refused(if sized {
                "E_BAD_BODY IDENTIFY failed to read body"
            } else {
                "E_BAD_BODY IDENTIFY failed to read body size"
            })
            .await;
    }
}

async fn what_a_client_says_of_itself_replaces_the_defaults<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for (body, [client_id, hostname, user_agent]) in [
        (None, ["127.0.0.1", "127.0.0.1", ""]),
        (Some("{}"), ["", "", ""]),
        (Some(r#"{"client_id":"id","hostname":"host","user_agent":"agent/1"}"#), ["id", "host", "agent/1"]),
        (Some(r#"{"client_id":"","hostname":null}"#), ["", "", ""]),
        (Some(r#"{"client_id":"<é\u0007>"}"#), ["<é\u{7}>", "", ""]),
    ] {
        let mut client = nsqd.connect().await;
        if let Some(body) = body {
            client.send(identify(body)).await;
            client.ok().await;
        }
        client.send("SUB t c\n").await;
        client.ok().await;
        let seen = &stats::channel(&nsqd, "t", "c").await["clients"];
        let seen = seen.as_array().unwrap().last().unwrap();
        assert_eq!([&seen["client_id"], &seen["hostname"], &seen["user_agent"]], [client_id, hostname, user_agent]);
        drop(client);
        stats::wait_for_channel(&nsqd, "t", "c", &[("client_count", 0)]).await;
    }
}

async fn it_may_be_said_again_until_the_subscription<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.connect().await;
    for timeout in ["2000", "3000"] {
        client.send(identify(format!(r#"{{"feature_negotiation":true,"msg_timeout":{timeout}}}"#))).await;
        client.expect(&reply(&[("msg_timeout", timeout)])).await;
    }
    client.send(command("PUB t", "x")).await;
    client.ok().await;
    client.send(identify("{}")).await;
    client.ok().await;
    client.stays().await;
}

async fn it_is_refused_after_the_subscription<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for state in [State::Subscribed, State::Closing] {
        let error = "E_INVALID cannot IDENTIFY in current state";
        state
            .refuses(
                &nsqd,
                [(identify("{}"), error), (numbers("IDENTIFY", &[0]), error), (b"IDENTIFY\n".into(), error)],
            )
            .await;
    }
}

async fn compression_is_granted_only_if_it_is_on<S: Side>() {
    let nsqd = S::nsqd(&["--deflate=false", "--snappy=false"]).await;
    for asked in [r#""deflate":true,"deflate_level":3"#, r#""snappy":true"#, r#""deflate":true,"snappy":true"#] {
        let sent = identify(format!(r#"{{"feature_negotiation":true,{asked}}}"#));
        State::Init.answers(&nsqd, [(sent, reply(&[]).as_str())]).await;
    }
}

async fn two_compressions_at_once_are_refused<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let both = identify(r#"{"feature_negotiation":true,"deflate":true,"snappy":true}"#);
    let error = "E_IDENTIFY_FAILED cannot enable both deflate and snappy compression";
    State::Init.refuses(&nsqd, [(both, error)]).await;
}
