//! Publishing over HTTP.

use std::collections::BTreeSet;

use crate::http::{Empty, Error, Text};
use crate::server::{Nsqd, Side};
use crate::stats;
use crate::wire::numbers;

conformance! {
    pub_judges_the_body_then_the_topic_then_the_delay,
    pub_takes_any_bytes,
    mpub_takes_a_message_a_line,
    mpub_takes_messages_with_their_sizes,
    a_body_that_is_cut_off_is_an_error,
    a_body_that_is_too_large_is_refused_before_it_is_read,
}

async fn pub_judges_the_body_then_the_topic_then_the_delay<S: Side>() {
    let nsqd = S::nsqd(&["--max-msg-size=100", "--max-req-timeout=10s"]).await;
    let large = "x".repeat(101);
    let longest = format!("POST /pub?topic={}", "a".repeat(64));
    let too_long = format!("POST /pub?topic={}", "a".repeat(65));
    let rows = [
        ("POST /pub", "", Error(400, "MSG_EMPTY")),
        ("POST /pub?topic=t", "", Error(400, "MSG_EMPTY")),
        ("POST /pub?topic=bad!&defer=x", "", Error(400, "MSG_EMPTY")),
        ("POST /pub?topic=%", "", Error(400, "MSG_EMPTY")),
        ("POST /pub", &large, Error(413, "MSG_TOO_BIG")),
        ("POST /pub?topic=t", &large, Error(413, "MSG_TOO_BIG")),
        ("POST /pub?topic=t", &large[1..], Text("OK")),
        ("POST /pub", "x", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /pub?defer=x", "x", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /pub?Topic=t", "x", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /pub?topic=", "x", Error(400, "INVALID_TOPIC")),
        ("POST /pub?topic", "x", Error(400, "INVALID_TOPIC")),
        ("POST /pub?topic=bad!", "x", Error(400, "INVALID_TOPIC")),
        ("POST /pub?topic=bad!&defer=x", "x", Error(400, "INVALID_TOPIC")),
        ("POST /pub?topic=a%20", "x", Error(400, "INVALID_TOPIC")),
        ("POST /pub?topic=a+b", "x", Error(400, "INVALID_TOPIC")),
        ("POST /pub?topic=bad!&topic=t", "x", Error(400, "INVALID_TOPIC")),
        ("POST /pub?topic=t&topic=bad!", "x", Text("OK")),
        (&longest, "x", Text("OK")),
        (&too_long, "x", Error(400, "INVALID_TOPIC")),
        ("POST /pub?topic=%", "x", Error(400, "INVALID_REQUEST")),
        ("POST /pub?topic=t&%zz", "x", Error(400, "INVALID_REQUEST")),
        ("POST /pub?topic=t;x=1", "x", Error(400, "INVALID_REQUEST")),
        ("POST /pub?topic=t%23ephemeral", "x", Text("OK")),
        ("POST /pub?%74opic=%74", "x", Text("OK")),
        ("POST /pub?topic=t&unknown=1&&", "x", Text("OK")),
        ("POST /pub?topic=t&defer=0", "x", Text("OK")),
        ("POST /pub?topic=t&defer=10000", "x", Text("OK")),
        ("POST /pub?topic=t&defer=10001", "x", Error(400, "INVALID_DEFER")),
        ("POST /pub?topic=t&defer=", "x", Error(400, "INVALID_DEFER")),
        ("POST /pub?topic=t&defer=-1", "x", Error(400, "INVALID_DEFER")),
        ("POST /pub?topic=t&defer=%2b1", "x", Text("OK")),
        ("POST /pub?topic=t&defer=1.5", "x", Error(400, "INVALID_DEFER")),
        ("POST /pub?topic=t&defer=x", "x", Error(400, "INVALID_DEFER")),
        ("POST /pub?topic=t&defer=99999999999999999999", "x", Error(400, "INVALID_DEFER")),
        ("POST /pub?topic=t&defer=9223372036854775807", "x", Error(400, "INVALID_DEFER")),
    ];
    nsqd.http().check(rows).await;
}

async fn pub_takes_any_bytes<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let form = "Content-Type: application/x-www-form-urlencoded";
    let answer = nsqd.http().request("POST", "/pub?topic=t", &[form], b"topic=other").await;
    answer.check(Text("OK"), "a form");
    nsqd.publish("t", "\0\r\n").await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 2\n").await;
    let bodies = BTreeSet::from([client.message().await.body, client.message().await.body]);
    assert_eq!(bodies, ["topic=other", "\0\r\n"].map(String::from).into());
    assert!(stats::topic(&nsqd, "other").await.is_null());
}

async fn mpub_takes_a_message_a_line<S: Side>() {
    let nsqd = S::nsqd(&["--max-msg-size=10", "--max-body-size=100"]).await;
    let (message, body) = ("x".repeat(10), "y\n".repeat(50));
    let rows = [
        ("POST /mpub", "a", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /mpub?topic=bad!", "a", Error(400, "INVALID_TOPIC")),
        ("POST /mpub?topic=", "", Error(400, "INVALID_TOPIC")),
        ("POST /mpub?topic=%", "a", Error(400, "INVALID_REQUEST")),
        ("POST /mpub?topic=empty", "", Text("OK")),
        ("POST /mpub?topic=empty", "\n\n\n", Text("OK")),
        ("POST /mpub?topic=t", "a\nb\n\nc", Text("OK")),
        ("POST /mpub?topic=t&binary=false", "d\n", Text("OK")),
        ("POST /mpub?topic=t&binary=0", "e\r\n f ", Text("OK")),
        ("POST /mpub?topic=t", &message, Text("OK")),
        ("POST /mpub?topic=refused", &format!("a\n{message}x"), Error(413, "MSG_TOO_BIG")),
        ("POST /mpub?topic=many", &body, Text("OK")),
        ("POST /mpub?topic=many", &format!("{body}\n"), Error(413, "BODY_TOO_BIG")),
        ("POST /mpub", &format!("{body}\n"), Error(413, "BODY_TOO_BIG")),
    ];
    nsqd.http().check(rows).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 100\n").await;
    let mut bodies = BTreeSet::new();
    for _ in 0..7 {
        bodies.insert(client.message().await.body);
    }
    assert_eq!(bodies, ["a", "b", "c", "d", "e\r", " f ", &message].map(String::from).into());
    assert_eq!(stats::topic(&nsqd, "many").await["depth"], 50);
    assert_eq!(stats::topic(&nsqd, "refused").await["message_count"], 0);
}

async fn mpub_takes_messages_with_their_sizes<S: Side>() {
    let nsqd = S::nsqd(&["--max-msg-size=10", "--max-body-size=100"]).await;
    // numbers() begins with a line, which this body hasn't.
    let binary = |parts: &[i32]| numbers("", parts)[1..].to_vec();
    let rows = [
        (binary(&[1, 4, 0]), Text("OK")),
        (binary(&[2, 4, 0, 8, 1, 1]), Text("OK")),
        // What follows the last message is passed over.
        (binary(&[1, 4, 0, 7, 7]), Text("OK")),
        (binary(&[]), Error(413, "BAD_BODY")),
        (b"abc".to_vec(), Error(413, "BAD_BODY")),
        (binary(&[0]), Error(413, "BAD_BODY")),
        (binary(&[-1]), Error(413, "BAD_BODY")),
        // (100 - 4) / 5 can be in the largest body.
        (binary(&[20]), Error(413, "BAD_BODY")),
        (binary(&[19]), Error(413, "BAD_MESSAGE")),
        (binary(&[1, 0]), Error(413, "BAD_MESSAGE")),
        (binary(&[1, -1]), Error(413, "BAD_MESSAGE")),
        (binary(&[1, 11, 0, 0, 0]), Error(413, "BAD_MESSAGE")),
        (binary(&[1, 5, 0]), Error(413, "BAD_MESSAGE")),
        (binary(&[2, 4, 0, 0]), Error(413, "BAD_MESSAGE")),
        (vec![0; 101], Error(413, "BODY_TOO_BIG")),
    ];
    for value in ["true", "1", "", "yes", "TRUE"] {
        let request = format!("POST /mpub?topic=t&binary={value}");
        nsqd.http().check(rows.iter().map(|(body, expected)| (&request, body, *expected))).await;
    }
    nsqd.http().check([("POST /mpub?topic=bad!&binary=1", binary(&[-1]), Error(400, "INVALID_TOPIC"))]).await;
    let topic = stats::topic(&nsqd, "t").await;
    assert_eq!([&topic["message_count"], &topic["message_bytes"]], [20, 100]);
}

async fn a_body_that_is_cut_off_is_an_error<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for target in ["/pub?topic=t", "/mpub?topic=t", "/mpub?topic=t&binary=1"] {
        let mut client = crate::wire::Client::open(&nsqd.http_address()).await;
        client.send(format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\na\n")).await;
        client.end_sending().await;
        client.ends_without_success().await;
    }
    nsqd.act("/topic/create?topic=t").await;
    assert_eq!(stats::topic(&nsqd, "t").await["message_count"], 0);
}

async fn a_body_that_is_too_large_is_refused_before_it_is_read<S: Side>() {
    let nsqd = S::nsqd(&["--max-msg-size=10", "--max-body-size=100"]).await;
    for (target, code) in [("/pub?topic=t", "MSG_TOO_BIG"), ("/mpub?topic=t", "BODY_TOO_BIG")] {
        let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n");
        let answer = nsqd.http().exchange(head.as_bytes()).await;
        crate::http::Answer::parse(&answer, false).unwrap().check(Error(413, code), target);
    }
    nsqd.http().check([("POST /topic/create?topic=t", "a body that nobody reads", Empty)]).await;
}
