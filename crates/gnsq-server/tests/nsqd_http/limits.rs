//! What the embedded nsqd has of its own: limits on what it keeps, and what it tells where Go's runtime isn't.

use gnsq_server::Nsqd;
use gnsq_testkit::DEADLINE;
use tokio::time::timeout;

use crate::requests::{ask, exchange, http_address};

#[tokio::test]
async fn beyond_a_limit_nothing_is_published_and_nothing_is_lost() {
    let nsqd = Nsqd::builder().max_messages(3_usize).start().await.unwrap();
    let address = http_address(&nsqd);
    assert!(ask(address, "POST /mpub?topic=t", b"a\nb").await.ends_with("OK"));
    for (request, body) in [("POST /mpub?topic=t", "c\nd"), ("POST /mpub?topic=other", "c\nd")] {
        let answer = ask(address, request, body.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\n"), "{answer}");
        assert!(answer.contains("max_messages"), "{answer}");
    }
    assert!(ask(address, "POST /pub?topic=t", b"c").await.ends_with("OK"));
    assert!(ask(address, "POST /pub?topic=t", b"d").await.starts_with("HTTP/1.1 503 "));
    let topic = &nsqd.stats().topics[1];
    assert_eq!((topic.topic_name.as_str(), topic.depth, topic.message_count), ("t", 3, 3));
    ask(address, "POST /topic/empty?topic=t", b"").await;
    assert!(ask(address, "POST /pub?topic=t", b"d").await.ends_with("OK"));
}

#[tokio::test]
async fn beyond_a_limit_there_are_no_more_bytes_topics_and_channels() {
    let nsqd = Nsqd::builder().max_bytes(1000_usize).max_topics(1_usize).max_channels(1_usize).start().await.unwrap();
    let address = http_address(&nsqd);
    assert!(ask(address, "POST /topic/create?topic=t", b"").await.starts_with("HTTP/1.1 200 "));
    assert!(ask(address, "POST /channel/create?topic=t&channel=c", b"").await.starts_with("HTTP/1.1 200 "));
    for (request, limit) in [
        ("POST /pub?topic=t", "max_bytes"),
        ("POST /pub?topic=u", "max_topics"),
        ("POST /mpub?topic=u", "max_topics"),
        ("POST /topic/create?topic=u", "max_topics"),
        ("POST /channel/create?topic=t&channel=d", "max_channels"),
    ] {
        let answer = ask(address, request, &[b'a'; 1000]).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains(limit), "{answer}");
    }
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused_before_it_has_come() {
    let nsqd = Nsqd::start().await.unwrap();
    for (path, code) in [("/pub", "MSG_TOO_BIG"), ("/mpub", "BODY_TOO_BIG")] {
        let head = format!("POST {path}?topic=t HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\nabc");
        let answer = timeout(DEADLINE, exchange(http_address(&nsqd), head.as_bytes())).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 413 ") && answer.ends_with(&format!("{{\"message\":\"{code}\"}}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn an_unfinished_body_is_not_published() {
    let nsqd = Nsqd::start().await.unwrap();
    for (framing, body) in [("Content-Length: 5", "ab"), ("Transfer-Encoding: chunked", "5\r\nab")] {
        for path in ["/pub", "/mpub"] {
            let request = format!("POST {path}?topic=t HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}");
            cut_short(http_address(&nsqd), request.as_bytes()).await;
        }
    }
    assert!(nsqd.stats().topic("t").is_none_or(|topic| topic.message_count == 0));
}

/// Sends bytes, closes the sending side, and waits until the server closes too.
async fn cut_short(address: std::net::SocketAddr, bytes: &[u8]) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(DEADLINE, socket.read_to_end(&mut answer)).await.expect("the server closes");
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
}

#[tokio::test]
async fn what_looks_into_gos_runtime_is_not_there() {
    let nsqd = Nsqd::start().await.unwrap();
    for request in [
        "GET /debug/pprof/",
        "GET /debug/pprof/heap",
        "GET /debug/pprof/symbol",
        "POST /debug/pprof/symbol",
        "PUT /debug/setblockrate?rate=1",
        "POST /debug/freememory",
    ] {
        let answer = ask(http_address(&nsqd), request, b"").await;
        assert!(
            answer.starts_with("HTTP/1.1 501 ") && answer.ends_with("{\"message\":\"NOT_IMPLEMENTED\"}"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn options_without_a_meaning_here_are_unknown() {
    let nsqd = Nsqd::start().await.unwrap();
    for option in ["sync_every", "max_bytes_per_file", "queue_scan_selection_count", "sync_timeout", "log_prefix"] {
        let answer = ask(http_address(&nsqd), &format!("GET /config/{option}"), b"").await;
        assert!(answer.ends_with("{\"message\":\"INVALID_OPTION\"}"), "{option}: {answer}");
    }
    // The oldest version of TLS that is spoken: 1.2.
    assert!(ask(http_address(&nsqd), "GET /config/tls_min_version", b"").await.ends_with("\n771"));
}
