//! The state of topics and channels, asked for over HTTP.

use gnsq_testkit::{DEADLINE, eventually};
use serde_json::Value;

use crate::server::Nsqd;

/// What `/stats` tells of the topic; null if there is none.
pub(crate) async fn topic(nsqd: &impl Nsqd, topic: &str) -> Value {
    let stats = nsqd.http().json("/stats?format=json&include_mem=false").await;
    named(&stats["topics"], "topic_name", topic)
}

/// What `/stats` tells of the channel; null if there is none.
pub(crate) async fn channel(nsqd: &impl Nsqd, topic: &str, channel: &str) -> Value {
    named(&self::topic(nsqd, topic).await["channels"], "channel_name", channel)
}

/// Waits until the channel has these counts, such as `[("depth", 1)]`.
pub(crate) async fn wait_for_channel(nsqd: &impl Nsqd, topic: &str, name: &str, counts: &[(&str, u64)]) {
    let mut last = Value::Null;
    let description = format!("channel {topic}/{name} to have {counts:?}");
    let poll = eventually(DEADLINE, &description, async || {
        last = channel(nsqd, topic, name).await;
        counts.iter().all(|(key, count)| last[key] == *count).then_some(())
    });
    poll.await;
}

/// Waits until the topic has these counts.
pub(crate) async fn wait_for_topic(nsqd: &impl Nsqd, name: &str, counts: &[(&str, u64)]) {
    let description = format!("topic {name} to have {counts:?}");
    eventually(DEADLINE, &description, async || {
        let topic = topic(nsqd, name).await;
        counts.iter().all(|(key, count)| topic[key] == *count).then_some(())
    })
    .await;
}

fn named(all: &Value, key: &str, name: &str) -> Value {
    let all = all.as_array().map_or(&[][..], Vec::as_slice);
    all.iter().find(|one| one[key] == name).cloned().unwrap_or_default()
}
