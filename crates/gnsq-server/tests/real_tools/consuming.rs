//! nsq_tail, nsq_to_file and nsq_stat.

use std::path::PathBuf;
use std::{env, fs, process};

use gnsq_server::{ChannelStats, Nsqd, Nsqlookupd, TopicRegistration};
use gnsq_testkit::http::post;
use gnsq_testkit::{DEADLINE, eventually};
use tokio::time::timeout;

use crate::tool::Tool;

async fn publish(nsqd: &Nsqd, topic: &str, lines: &str) {
    let address = nsqd.http_address().parse().unwrap();
    assert_eq!(post(address, &format!("/mpub?topic={topic}"), lines).await, (200, "OK".to_owned()));
}

async fn channel(nsqd: &Nsqd, topic: &str, channel: &str, is_so: impl Fn(&ChannelStats) -> bool) {
    let what = format!("channel {channel} of {topic}");
    eventually(DEADLINE, &what, async || {
        nsqd.stats().topic(topic)?.channel(channel).filter(|it| is_so(it)).map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn nsq_tail_prints_what_is_published() {
    let nsqd = Nsqd::start().await.unwrap();
    publish(&nsqd, "before", "one\ntwo").await;
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp_address());
    let arguments = ["--topic=before", "--channel=tail", "-n=2", "--print-topic", &address];
    let (status, mut output) = Tool::start("nsq_tail", arguments).end().await;
    assert!(status.success(), "{}", output.join("\n"));
    output.retain(|line| line.starts_with("before | "));
    assert_eq!(output, ["before | one", "before | two"]);

    let mut tail = Tool::start("nsq_tail", ["--topic=after", "--channel=tail#ephemeral", &address]);
    channel(&nsqd, "after", "tail#ephemeral", |channel| channel.client_count == 1).await;
    publish(&nsqd, "after", "three").await;
    tail.line(|line| (line == "three").then_some(())).await;
    channel(&nsqd, "after", "tail#ephemeral", |channel| channel.in_flight_count == 0).await;
    let now = nsqd.stats();
    let client = &now.topic("after").unwrap().channels[0].clients.as_ref().unwrap()[0];
    assert!(client.user_agent.starts_with("nsq_tail/1.3.0 go-nsq/"), "{client:?}");
    assert_eq!((client.message_count, client.finish_count), (1, 1));
    drop(tail);
    eventually(DEADLINE, "the end of the ephemeral channel", async || {
        nsqd.stats().topic("after")?.channels.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn nsq_tail_finds_nsqds_through_an_nsqlookupd() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let nsqd = Nsqd::builder().lookupd_tcp_addresses([lookupd.tcp_address()]).start().await.unwrap();
    publish(&nsqd, "found", "one\ntwo").await;
    let is_known = |topics: &[TopicRegistration]| topics.iter().any(|found| found.producers.len() == 1);
    timeout(DEADLINE, lookupd.wait_until(is_known)).await.expect("the topic is registered");
    let address = format!("--lookupd-http-address={}", lookupd.http_address());
    let (status, mut output) = Tool::start("nsq_tail", ["--topic=found", "-n=2", &address]).end().await;
    assert!(status.success(), "{}", output.join("\n"));
    output.retain(|line| ["one", "two"].contains(&line.as_str()));
    assert_eq!(output, ["one", "two"]);
}

#[tokio::test]
async fn nsq_to_file_archives_a_topic() {
    let nsqd = Nsqd::start().await.unwrap();
    let directory = Directory::new("to-file");
    let _tool = Tool::start(
        "nsq_to_file",
        [
            "--topic=archive",
            "--sync-interval=100ms",
            "--filename-format=<TOPIC>.log",
            &format!("--output-dir={}", directory.0.display()),
            &format!("--nsqd-tcp-address={}", nsqd.tcp_address()),
        ],
    );
    channel(&nsqd, "archive", "nsq_to_file", |channel| channel.client_count == 1).await;
    let lines = (0..500).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n");
    publish(&nsqd, "archive", &lines).await;
    // A message is finished when it is safe in the file.
    let is_done = |channel: &ChannelStats| {
        channel.message_count == 500 && channel.depth == 0 && channel.in_flight_count == 0 && channel.requeue_count == 0
    };
    channel(&nsqd, "archive", "nsq_to_file", is_done).await;
    let archived = fs::read_to_string(directory.0.join("archive.log")).unwrap();
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&archived), sorted(&lines));
}

#[tokio::test]
async fn nsq_stat_shows_a_channel() {
    let nsqd = Nsqd::start().await.unwrap();
    let address = nsqd.http_address();
    publish(&nsqd, "shown", "one\ntwo\nthree").await;
    assert_eq!(post(address.parse().unwrap(), "/channel/create?topic=shown&channel=c", "").await.0, 200);
    let nsqd_address = format!("--nsqd-http-address={address}");
    let arguments = ["--topic=shown", "--channel=c", "--interval=100ms", "--count=1", &nsqd_address];
    let (status, output) = Tool::start("nsq_stat", arguments).end().await;
    assert!(status.success(), "{}", output.join("\n"));
    let row: Vec<_> = output.last().unwrap().split_whitespace().collect();
    // ingress egress | total mem disk inflt def | req t-o msgs clients
    assert_eq!(row, ["0", "0", "|", "3", "3", "0", "0", "0", "|", "0", "0", "3", "0"]);
}

/// A directory that is removed with what is in it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("gnsq-server-{}-{name}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
