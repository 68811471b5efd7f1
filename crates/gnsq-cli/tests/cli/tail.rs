//! `gnsq tail`: what is printed is finished, and nothing else.

use gnsq_testkit::{Cluster, DEADLINE, Nsqd, eventually, http};
use serde_json::json;

use crate::support::{Running, at, gnsq, run, take};

#[tokio::test]
async fn finishes_exactly_what_it_printed_over_all_topics() {
    let nsqd = Nsqd::start().await;
    for topic in ["a", "b"] {
        nsqd.create_channel(topic, "c").await;
        for number in 0..50 {
            nsqd.publish(topic, format!("{topic}{number:02}")).await;
        }
    }
    let done = run(["tail", "a", "b", "--channel=c", "-n=33", &at(&nsqd)], "").await.expect(0);
    assert_eq!(done.lines.len(), 33);
    let mut all = done.lines;
    for topic in ["a", "b"] {
        let left = nsqd.channel_stats(topic, "c").await.unwrap();
        assert_eq!((left.in_flight_count, left.timeout_count), (0, 0), "{left:?}");
        let printed = all.iter().filter(|line| line.starts_with(topic)).count();
        all.extend(take(&nsqd, topic, "c", 50 - printed).await);
        nsqd.wait_for_channel(topic, "c", |channel| channel.depth == 0 && channel.in_flight_count == 0).await;
    }
    all.sort();
    let published: Vec<_> =
        ["a", "b"].iter().flat_map(|topic| (0..50).map(move |n| format!("{topic}{n:02}"))).collect();
    assert_eq!(all, published);
}

#[tokio::test]
async fn prints_what_is_asked_for_with_each_message() {
    let nsqd = Nsqd::start().await;
    nsqd.publish("orders", "hello").await;
    let all =
        ["tail", "orders", "--channel=all", "-n1", "--print-topic", "--timestamps", "--attempts", "--id", &at(&nsqd)];
    let done = run(all, "").await.expect(0);
    let parts: Vec<_> = done.lines[0].split(' ').collect();
    let [timestamp, topic, id, attempts, "|", "hello"] = parts[..] else { panic!("{:?}", done.lines) };
    assert!(timestamp.starts_with("20") && timestamp.ends_with('Z'), "{timestamp}");
    assert_eq!((topic, id.len(), attempts), ("orders", 16, "attempts=1"));
}

#[tokio::test]
async fn prints_objects_that_say_how_the_body_is_written() {
    let nsqd = Nsqd::start().await;
    nsqd.publish("text", "\"ü\"").await;
    nsqd.publish("bytes", b"\xff").await;
    let done = run(["tail", "text", "--json", "--channel=c", "-n1", &at(&nsqd)], "").await.expect(0);
    let object = done.json();
    assert_eq!((&object["encoding"], &object["body"]), (&json!("utf-8"), &json!("\"ü\"")));
    assert_eq!((&object["topic"], &object["attempts"]), (&json!("text"), &json!(1)));
    assert_eq!(object["nsqd"], nsqd.tcp_address().to_string());
    assert!(object["timestamp"].as_i64().unwrap() > 1_700_000_000_000_000_000);
    let done = run(["tail", "bytes", "--json", "--channel=c", "-n1", &at(&nsqd)], "").await.expect(0);
    assert_eq!((&done.json()["encoding"], &done.json()["body"]), (&json!("base64"), &json!("/w==")));
}

#[tokio::test]
async fn prints_json_over_several_lines() {
    let nsqd = Nsqd::start().await;
    nsqd.publish("t", r#"{"b":1,"a":[2]}"#).await;
    let done = run(["tail", "t", "--pretty", "--channel=c", "-n1", &at(&nsqd)], "").await.expect(0);
    assert_eq!(done.lines, ["{", "  \"b\": 1,", "  \"a\": [", "    2", "  ]", "}"]);
}

#[tokio::test]
async fn has_a_channel_of_its_own_that_goes_with_it() {
    let nsqd = Nsqd::start().await;
    nsqd.publish("t", "for the first channel").await;
    let mut running = Running::start(gnsq(["tail", "t", &at(&nsqd)]));
    assert_eq!(running.line().await, "for the first channel");
    let channels = channels(&nsqd, "t").await;
    let [channel] = &channels[..] else { panic!("{channels:?}") };
    let digits = channel.strip_prefix("tail").and_then(|name| name.strip_suffix("#ephemeral")).unwrap();
    assert!(digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{channel}");
    running.terminate();
    running.finish().await.expect(143);
    eventually(DEADLINE, "the channel to go", async || self::channels(&nsqd, "t").await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn an_interrupt_gives_back_what_was_not_printed() {
    let nsqd = Nsqd::start().await;
    nsqd.create_channel("t", "c").await;
    // Nobody reads the lines: the pipe is soon full, and a write to it waits.
    for number in 0..40 {
        nsqd.publish("t", format!("{number:02}{}", "x".repeat(10_000))).await;
    }
    let mut command = gnsq(["tail", "t", "--channel=c", &at(&nsqd)]);
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    nsqd.wait_for_channel("t", "c", |channel| channel.depth == 0 && channel.in_flight_count > 0).await;
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let status = eventually(DEADLINE, "the program to end", async || child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(130));
    let left = nsqd.channel_stats("t", "c").await.unwrap();
    assert_eq!((left.in_flight_count, left.timeout_count), (0, 0), "{left:?}");
    assert!(left.requeue_count > 0, "{left:?}");
}

#[tokio::test]
async fn a_reader_that_leaves_ends_it_quietly_and_nothing_is_lost() {
    let nsqd = Nsqd::start().await;
    nsqd.create_channel("t", "c").await;
    nsqd.publish("t", "0").await;
    let mut running = Running::start(gnsq(["tail", "t", "--channel=c", &at(&nsqd)]));
    assert_eq!(running.line().await, "0");
    running.close_stdout();
    // The first line after it is still read by the one who then leaves; it may share a write with others.
    let mut published = 1;
    while running.is_running() {
        nsqd.publish("t", published.to_string()).await;
        published += 1;
        assert!(published < 10_000, "it goes on without a reader");
    }
    let done = running.finish().await.expect(0);
    assert_eq!(done.stderr, "");
    let left = nsqd.channel_stats("t", "c").await.unwrap();
    assert_eq!((left.in_flight_count, left.timeout_count), (0, 0), "{left:?}");
    let finished = published - i32::try_from(left.depth).unwrap();
    let mut numbers: Vec<i32> = take(&nsqd, "t", "c", usize::try_from(left.depth).unwrap())
        .await
        .iter()
        .map(|body| body.parse().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (finished..published).collect::<Vec<_>>(), "what was finished was printed first");
}

#[tokio::test]
async fn reads_topics_that_match_now_and_later() {
    let cluster = Cluster::start(2, 1).await;
    cluster.nsqds[0].publish("log.a", "now").await;
    cluster.nsqds[0].publish("catalog", "other").await;
    eventually(DEADLINE, "nsqlookupd to know the topic", async || {
        cluster.lookupds[0].lookup("log.a").await.filter(|producers| !producers.is_empty())
    })
    .await;
    let lookupd = format!("--lookupd-http-address={}", cluster.lookupd_urls()[0]);
    let arguments = ["tail", "--topic-regex=^log", "--refresh=100ms", "--print-topic", &lookupd];
    let mut running = Running::start(gnsq(arguments));
    assert_eq!(running.line().await, "log.a | now");
    cluster.nsqds[1].publish("log.b", "later").await;
    assert_eq!(running.line().await, "log.b | later");
    running.interrupt();
    running.finish().await.expect(130);
}

#[tokio::test]
async fn says_what_it_waits_for() {
    let cluster = Cluster::start(1, 1).await;
    let lookupd = format!("--lookupd-http-address={}", cluster.lookupd_urls()[0]);
    for (arguments, text) in [
        (vec!["tail", "nobody.has.it", &lookupd], "topic nobody.has.it is not known to nsqlookupd yet"),
        (vec!["tail", "--topic-regex=nobody", &lookupd], "no topic matches nobody yet"),
        (vec!["tail", "t", "--nsqd-tcp-address=127.0.0.1:1"], "can't connect to 127.0.0.1:1"),
    ] {
        let running = Running::start(gnsq(arguments));
        running.says(text).await;
        running.interrupt();
        running.finish().await.expect(130);
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let address = "--nsqd-tcp-address=127.0.0.1:1";
    for (arguments, reason) in [
        (vec!["tail", address], "<TOPIC>"),
        (vec!["tail", "--topic-regex=(", address], "regex"),
        (vec!["tail", "--topic-regex=a", address], "--topic-regex needs --lookupd-http-address"),
        (vec!["tail", "t", "-n0", address], "-n"),
        (vec!["tail", "t", "--json", "--pretty", address], "cannot be used with"),
    ] {
        let refused = run(&arguments, "").await.expect(2);
        assert!(refused.stderr.contains(reason), "{arguments:?}: {}", refused.stderr);
    }
    let arguments = ["tail", "--topic-regex=a", "--lookupd-http-address=127.0.0.1:1"];
    let failed = run(arguments, "").await.expect(1);
    assert!(failed.stderr.contains("no nsqlookupd answers"), "{}", failed.stderr);
}

async fn channels(nsqd: &Nsqd, topic: &str) -> Vec<String> {
    let target = format!("/stats?format=json&include_mem=false&topic={topic}");
    let (_, body) = http::get(nsqd.http_address(), &target).await;
    let stats: serde_json::Value = serde_json::from_str(&body).unwrap();
    let channels = stats["topics"][0]["channels"].as_array().cloned().unwrap_or_default();
    channels.iter().map(|channel| channel["channel_name"].as_str().unwrap().to_owned()).collect()
}
