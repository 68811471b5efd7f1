//! What HTTP requests have in common, whatever they ask for: paths, methods, and bytes that are no request.

use crate::http::{Answer, Error, Text};
use crate::server::{Nsqd, Nsqlookupd, Side};
use crate::wire::command;

conformance! {
    ping_is_answered_in_plain_text,
    an_unknown_path_is_not_found,
    another_method_is_not_allowed,
    options_are_told,
    a_path_that_is_nearly_right_is_redirected,
    an_answer_to_http_1_0_ends_with_the_connection,
    several_requests_may_share_a_connection,
    a_body_may_come_in_chunks,
    a_body_is_asked_for_if_the_client_waits,
    what_is_no_request_is_a_bad_one,
    targets_are_taken_apart,
    nsqs_own_protocol_is_told_that_this_is_http,
}

async fn ping_is_answered_in_plain_text<S: Side>() {
    let (nsqd, lookupd) = (S::nsqd(&[]).await, S::nsqlookupd(&[]).await);
    for http in [nsqd.http(), lookupd.http()] {
        for target in ["/ping", "/ping?x=1"] {
            let answer = http.get(target).await;
            assert_eq!((answer.status, answer.text()), (200, "OK"));
            assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
            assert_eq!(answer.header("content-length"), Some("2"));
            assert!(answer.header("date").is_some_and(|date| date.ends_with(" GMT")));
            assert_eq!(answer.header("connection"), Some("close"));
        }
    }
}

async fn an_unknown_path_is_not_found<S: Side>() {
    let (nsqd, lookupd) = (S::nsqd(&[]).await, S::nsqlookupd(&[]).await);
    let paths =
        ["/", "/nope", "/put", "/create_topic", "/topic", "/topic/foo", "/config", "/config/", "/pub/x", "/ping/x"];
    for http in [nsqd.http(), lookupd.http()] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            http.check(paths.map(|path| (format!("{method} {path}"), "", Error(404, "NOT_FOUND")))).await;
        }
    }
    nsqd.http()
        .check(["/lookup", "/nodes", "/topics"].map(|path| (format!("GET {path}"), "", Error(404, "NOT_FOUND"))))
        .await;
    let paths = ["GET /stats", "POST /pub", "GET /config/log_level"];
    lookupd.http().check(paths.map(|request| (request, "", Error(404, "NOT_FOUND")))).await;
}

async fn another_method_is_not_allowed<S: Side>() {
    let (nsqd, lookupd) = (S::nsqd(&[]).await, S::nsqlookupd(&[]).await);
    let of_nsqd = [
        ("/ping", "GET, OPTIONS"),
        ("/info", "GET, OPTIONS"),
        ("/stats", "GET, OPTIONS"),
        ("/pub", "OPTIONS, POST"),
        ("/mpub", "OPTIONS, POST"),
        ("/topic/create", "OPTIONS, POST"),
        ("/topic/delete", "OPTIONS, POST"),
        ("/topic/empty", "OPTIONS, POST"),
        ("/topic/pause", "OPTIONS, POST"),
        ("/topic/unpause", "OPTIONS, POST"),
        ("/channel/create", "OPTIONS, POST"),
        ("/channel/delete", "OPTIONS, POST"),
        ("/channel/empty", "OPTIONS, POST"),
        ("/channel/pause", "OPTIONS, POST"),
        ("/channel/unpause", "OPTIONS, POST"),
        ("/config/log_level", "GET, OPTIONS, PUT"),
    ];
    let of_lookupd = [
        ("/ping", "GET, OPTIONS"),
        ("/info", "GET, OPTIONS"),
        ("/debug", "GET, OPTIONS"),
        ("/lookup", "GET, OPTIONS"),
        ("/topics", "GET, OPTIONS"),
        ("/channels", "GET, OPTIONS"),
        ("/nodes", "GET, OPTIONS"),
        ("/topic/create", "OPTIONS, POST"),
        ("/topic/delete", "OPTIONS, POST"),
        ("/topic/tombstone", "OPTIONS, POST"),
        ("/channel/create", "OPTIONS, POST"),
        ("/channel/delete", "OPTIONS, POST"),
    ];
    for (http, paths) in [(nsqd.http(), &of_nsqd[..]), (lookupd.http(), &of_lookupd)] {
        for (path, allowed) in paths {
            for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "FOO"] {
                if allowed.contains(method) {
                    continue;
                }
                let answer = http.request(method, &format!("{path}?topic=t&channel=c"), &[], b"x").await;
                answer.check(Error(405, "METHOD_NOT_ALLOWED"), &format!("{method} {path}"));
                assert_eq!(answer.header("allow"), Some(*allowed), "{method} {path}");
            }
            let head = http.request("HEAD", path, &[], b"").await;
            assert_eq!((head.status, head.body.len(), head.header("content-length")), (405, 0, Some("32")));
        }
    }
    let topics = nsqd.http().json("/stats?format=json").await;
    assert_eq!(topics["topics"], serde_json::json!([]));
}

async fn options_are_told<S: Side>() {
    let (nsqd, lookupd) = (S::nsqd(&[]).await, S::nsqlookupd(&[]).await);
    for http in [nsqd.http(), lookupd.http()] {
        for (path, allowed) in [("/ping", "GET, OPTIONS"), ("/topic/create", "OPTIONS, POST")] {
            let answer = http.request("OPTIONS", path, &[], b"").await;
            assert_eq!((answer.status, answer.text(), answer.header("allow")), (200, "", Some(allowed)));
        }
        http.check([("OPTIONS /nope", "", Error(404, "NOT_FOUND"))]).await;
    }
}

async fn a_path_that_is_nearly_right_is_redirected<S: Side>() {
    let (nsqd, lookupd) = (S::nsqd(&[]).await, S::nsqlookupd(&[]).await);
    for http in [nsqd.http(), lookupd.http()] {
        for (target, location) in [
            ("/ping/", "/ping"),
            ("/ping/?x=1", "/ping?x=1"),
            ("/info/", "/info"),
            ("//ping", "/ping"),
            ("/x/../ping", "/ping"),
            ("/PING", "/ping"),
        ] {
            let answer = http.get(target).await;
            assert_eq!((answer.status, answer.header("location")), (301, Some(location)), "{target}");
        }
        let answer = http.post("/topic/create/?topic=t", "").await;
        assert_eq!((answer.status, answer.text()), (307, ""));
        assert_eq!(answer.header("location"), Some("/topic/create?topic=t"));
        // There is nothing to GET at the other path either.
        http.check([("GET /topic/create/", "", Error(404, "NOT_FOUND"))]).await;
    }
    let answer = nsqd.http().get("/config/log_level/").await;
    assert_eq!((answer.status, answer.header("location")), (301, Some("/config/log_level")));
}

async fn an_answer_to_http_1_0_ends_with_the_connection<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let answer = nsqd.http().exchange(b"GET /ping HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.0 200 OK\r\n"), "{}", answer.escape_ascii());
    assert_eq!(Answer::parse(&answer, false).unwrap().text(), "OK");
}

async fn several_requests_may_share_a_connection<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let requests = [
        "POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
        "GET /nope HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /pub HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\ny",
        "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ];
    let answers = nsqd.http().exchange(requests.concat().as_bytes()).await;
    let answers = String::from_utf8(answers).unwrap();
    let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "404", "400", "200"], "{answers}");
}

async fn a_body_may_come_in_chunks<S: Side>() {
    let nsqd = S::nsqd(&["--max-msg-size=10"]).await;
    let http = nsqd.http();
    for (target, body, expected) in [
        ("/pub?topic=t", "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n", Text("OK")),
        ("/mpub?topic=t", "3\r\na\nb\r\n1\r\nc\r\n0\r\n\r\n", Text("OK")),
        ("/pub?topic=t", "0\r\n\r\n", Error(400, "MSG_EMPTY")),
        ("/pub?topic=t", "b\r\nhello world\r\n0\r\n\r\n", Error(413, "MSG_TOO_BIG")),
    ] {
        let answer = http.request("POST", target, &["Transfer-Encoding: chunked"], body.as_bytes()).await;
        answer.check(expected, body);
    }
    assert_eq!(crate::stats::topic(&nsqd, "t").await["message_bytes"], 13);
}

async fn a_body_is_asked_for_if_the_client_waits<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let request = "POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx";
    let answer = nsqd.http().exchange(request.as_bytes()).await;
    let rest = answer.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    assert_eq!(Answer::parse(rest, false).unwrap().text(), "OK");
}

async fn what_is_no_request_is_a_bad_one<S: Side>() {
    let (nsqd, lookupd) = (S::nsqd(&[]).await, S::nsqlookupd(&[]).await);
    for http in [nsqd.http(), lookupd.http()] {
        for bytes in [
            "GET /ping\r\n\r\n",
            "GET /ping HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
            "POST /topic/create?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            "POST /topic/create?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        ] {
            let answer = http.exchange(bytes.as_bytes()).await;
            assert!(answer.starts_with(b"HTTP/1.1 400 "), "{bytes}: {}", answer.escape_ascii());
        }
    }
}

async fn targets_are_taken_apart<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let parsed = S::DIFFERENCES.http_targets_are_parsed;
    let answer = nsqd.http().get("/%70ing").await;
    assert_eq!(answer.status, if parsed { 200 } else { 404 });
    let answer = nsqd.http().exchange(b"GET ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let answer = Answer::parse(&answer, false).unwrap();
    assert_eq!(answer.status, if parsed { 400 } else { 404 });
}

async fn nsqs_own_protocol_is_told_that_this_is_http<S: Side>() {
    let (nsqd, lookupd) = (S::nsqd(&[]).await, S::nsqlookupd(&[]).await);
    for http in [nsqd.http(), lookupd.http()] {
        let identify = [b"  V2", &command("IDENTIFY", "{}")[..]].concat();
        for bytes in [&identify[..], b"  V2SUB t c\n", b"  V2\n", b"  V1PING\n"] {
            let answer = http.exchange(bytes).await;
            assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", answer.escape_ascii());
        }
    }
}
