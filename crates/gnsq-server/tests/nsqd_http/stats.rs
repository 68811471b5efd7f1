//! `/stats`, in both forms.

use gnsq_server::{NSQ_VERSION, Nsqd, version_line};
use serde_json::Value;

use crate::requests::{Both, ask, http_address};

/// Topics and channels that nobody uses, in all states.
async fn start() -> Both {
    let both = Both::start(Nsqd::builder(), &[]).await;
    for request in [
        "/topic/create?topic=full",
        "/topic/create?topic=empty",
        "/topic/create?topic=paused",
        "/channel/create?topic=full&channel=c",
        "/channel/create?topic=full&channel=p",
        "/channel/pause?topic=full&channel=p",
        "/topic/pause?topic=paused",
        "/channel/create?topic=paused&channel=c",
    ] {
        both.agree(&format!("POST {request}"), "").await;
    }
    for topic in ["full", "paused"] {
        both.agree(&format!("POST /pub?topic={topic}"), "one").await;
        both.agree(&format!("POST /mpub?topic={topic}"), "two\nthree").await;
    }
    // The real one moves what was published into the channels in its own time.
    both.real.wait_for_channel("full", "c", |channel| channel.depth == 3).await;
    both.real.wait_for_channel("full", "p", |channel| channel.depth == 3).await;
    both
}

/// The topics asked for, the clients, and what isn't there, as both tell it.
#[tokio::test]
async fn the_same_is_told_whatever_is_asked_for() {
    let both = start().await;
    for query in [
        "",
        "&topic=full",
        "&topic=full&channel=c",
        "&topic=full&channel=none",
        "&topic=none",
        "&topic=bad!",
        "&topic=none&channel=none",
        "&channel=c",
        "&channel=none",
        "&topic=&channel=",
        "&include_clients=false",
        "&include_clients=0&topic=full",
        "&include_clients=true",
        "&include_clients=FALSE",
        "&topic=none&include_clients=0",
    ] {
        for format in ["json", "text", "xml"] {
            let request = format!("GET /stats?format={format}&include_mem=false{query}");
            let [embedded, real] = both.ask(&request, "").await.map(|answer| without_times(&answer));
            assert_eq!(embedded, real, "{request}");
        }
    }
    both.agree("GET /stats?topic=%", "").await;
    both.agree("GET /stats?format=json;", "").await;
}

#[tokio::test]
async fn the_memory_is_told_unless_it_is_refused() {
    let both = start().await;
    for (query, is_told) in [
        ("", true),
        ("&include_mem=true", true),
        ("&include_mem=1", true),
        ("&include_mem=no", true),
        ("&include_mem=false", false),
        ("&include_mem=0", false),
        ("&topic=none", true),
    ] {
        let json = both.ask(&format!("GET /stats?format=json{query}"), "").await;
        assert_eq!(
            json.each_ref().map(|answer| answer.contains("\"memory\":{\"heap_objects\":")),
            [is_told; 2],
            "{query}"
        );
        let text = both.ask(&format!("GET /stats?format=text{query}"), "").await;
        assert_eq!(
            text.each_ref().map(|answer| answer.contains("\nMemory:\n   heap_objects  ")),
            [is_told; 2],
            "{query}"
        );
    }
    let answer = ask(http_address(&both.embedded), "GET /stats?format=json", b"").await;
    let stats: Value = serde_json::from_str(answer.rsplit('\n').next().unwrap()).unwrap();
    // Six messages; a copy in another channel is no other message.
    assert_eq!(stats["memory"]["heap_objects"], 6);
    assert!(stats["memory"]["heap_in_use_bytes"].as_u64().unwrap() > 22);
}

#[tokio::test]
async fn the_handle_tells_what_http_tells() {
    let both = start().await;
    let stats = both.embedded.stats();
    assert_eq!(stats.version, NSQ_VERSION);
    assert_eq!(stats.topic("full").unwrap().channel("c").unwrap().depth, 3);
    assert_eq!(stats.topic("paused").unwrap().depth, 3);
    let answer = ask(http_address(&both.embedded), "GET /stats?format=json", b"").await;
    assert_eq!(answer.rsplit('\n').next().unwrap(), serde_json::to_string(&stats).unwrap());
}

/// Without the length of what changes with it: the time, and the build.
fn without_times(answer: &str) -> String {
    let mut lines = Vec::new();
    for line in answer.lines() {
        let line = match line.split_once(' ') {
            Some(("uptime" | "start_time" | "Content-Length:", _)) => continue,
            Some(("nsqd", _)) => {
                assert!(line == version_line("nsqd") || line.starts_with("nsqd v1.3.0 (built w/go"), "{line}");
                continue;
            }
            _ => line,
        };
        // The number that follows is left out.
        lines.push(match line.split_once("\"start_time\":") {
            Some((before, after)) => format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit())),
            None => line.to_owned(),
        });
    }
    lines.join("\n")
}
