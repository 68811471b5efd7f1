//! What tests ask of an nsqd and nsqlookupd over HTTP.

use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{Nsqd, Nsqlookupd};
use crate::{DEADLINE, POLL_INTERVAL, eventually, http};

/// What nsqd tells about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicStats {
    /// Messages that wait in the topic for a channel.
    pub depth: u64,
    /// Messages published.
    pub message_count: u64,
    /// Whether the topic hands no messages to its channels.
    pub paused: bool,
}

/// What nsqd tells about a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelStats {
    /// Messages that wait for a consumer, without those in flight and deferred.
    pub depth: u64,
    /// Messages with a consumer.
    pub in_flight_count: u64,
    /// Messages that wait for their time.
    pub deferred_count: u64,
    /// Messages taken from the topic.
    pub message_count: u64,
    /// Messages given back.
    pub requeue_count: u64,
    /// Messages taken back from consumers that neither finished, requeued nor touched them in time.
    pub timeout_count: u64,
    /// Consumers connected.
    pub client_count: u64,
    /// Messages finished, by the consumers that are connected now.
    pub finish_count: u64,
    /// Whether the channel hands out no messages.
    pub paused: bool,
}

impl Nsqd {
    /// The answer of `/stats`, without the figures about memory.
    ///
    /// # Panics
    ///
    /// If nsqd doesn't answer.
    pub async fn stats(&self) -> Value {
        let (status, body) = http::get(self.http_address(), "/stats?format=json&include_mem=false").await;
        assert_eq!(status, 200, "/stats: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body}"))
    }

    /// How the topic is; `None` if there is none of this name.
    ///
    /// # Panics
    ///
    /// If nsqd doesn't answer.
    pub async fn topic_stats(&self, topic: &str) -> Option<TopicStats> {
        let stats = self.stats().await;
        let topic = named(&stats["topics"], "topic_name", topic)?;
        Some(TopicStats {
            depth: number(topic, "depth"),
            message_count: number(topic, "message_count"),
            paused: topic["paused"] == true,
        })
    }

    /// How the channel is; `None` if there is none of this name.
    ///
    /// # Panics
    ///
    /// If nsqd doesn't answer.
    pub async fn channel_stats(&self, topic: &str, channel: &str) -> Option<ChannelStats> {
        let stats = self.stats().await;
        let channel = named(&named(&stats["topics"], "topic_name", topic)?["channels"], "channel_name", channel)?;
        let clients = channel["clients"].as_array().map_or(&[][..], Vec::as_slice);
        Some(ChannelStats {
            depth: number(channel, "depth"),
            in_flight_count: number(channel, "in_flight_count"),
            deferred_count: number(channel, "deferred_count"),
            message_count: number(channel, "message_count"),
            requeue_count: number(channel, "requeue_count"),
            timeout_count: number(channel, "timeout_count"),
            client_count: number(channel, "client_count"),
            finish_count: clients.iter().map(|client| number(client, "finish_count")).sum(),
            paused: channel["paused"] == true,
        })
    }

    /// Waits until the channel exists and `holds`, and returns how it is then.
    ///
    /// # Panics
    ///
    /// After [`DEADLINE`], with how the channel was last.
    pub async fn wait_for_channel(
        &self,
        topic: &str,
        channel: &str,
        mut holds: impl FnMut(&ChannelStats) -> bool,
    ) -> ChannelStats {
        let mut last = None;
        let poll = async {
            loop {
                last = self.channel_stats(topic, channel).await;
                if let Some(stats) = last.filter(&mut holds) {
                    return stats;
                }
                sleep(POLL_INTERVAL).await;
            }
        };
        let Ok(stats) = timeout(DEADLINE, poll).await else {
            panic!("channel {topic}/{channel} is not as awaited after {DEADLINE:?}: {last:?}");
        };
        stats
    }

    /// Waits until the nsqlookupd lists this nsqd.
    ///
    /// To one that was away nsqd comes back within 15 seconds, or when it is [nudged](Self::nudge_lookupds).
    ///
    /// # Panics
    ///
    /// After [`DEADLINE`].
    pub async fn wait_until_registered(&self, lookupd: &Nsqlookupd) {
        let http_port = u64::from(self.http_address().port());
        eventually(DEADLINE, "nsqd to register with nsqlookupd", async || {
            lookupd.nodes().await.iter().any(|node| number(node, "http_port") == http_port).then_some(())
        })
        .await;
    }

    /// Makes nsqd talk to its nsqlookupds now, by creating and deleting a topic.
    ///
    /// It notices a lost connection only when it has something to say, and connects again only for what it says next;
    /// by itself it says something every 15 seconds. Nudge until it is back.
    ///
    /// # Panics
    ///
    /// If nsqd doesn't answer.
    pub async fn nudge_lookupds(&self) {
        self.create_topic("nudge#ephemeral").await;
        self.delete_topic("nudge#ephemeral").await;
    }

    /// Publishes one message.
    ///
    /// # Panics
    ///
    /// If nsqd refuses it.
    pub async fn publish(&self, topic: &str, body: impl AsRef<[u8]>) {
        self.post(&format!("/pub?topic={}", http::escape(topic)), body.as_ref()).await;
    }

    /// Creates a topic, unless it exists.
    ///
    /// # Panics
    ///
    /// If nsqd refuses the name.
    pub async fn create_topic(&self, topic: &str) {
        self.topic("create", topic).await;
    }

    /// Deletes a topic with its channels, and closes the connections of their consumers.
    ///
    /// # Panics
    ///
    /// If there is no such topic.
    pub async fn delete_topic(&self, topic: &str) {
        self.topic("delete", topic).await;
    }

    /// Drops the messages that wait in the topic, not those in its channels.
    ///
    /// # Panics
    ///
    /// If there is no such topic.
    pub async fn empty_topic(&self, topic: &str) {
        self.topic("empty", topic).await;
    }

    /// Keeps new messages in the topic, away from its channels.
    ///
    /// # Panics
    ///
    /// If there is no such topic.
    pub async fn pause_topic(&self, topic: &str) {
        self.topic("pause", topic).await;
    }

    /// Ends [`pause_topic`](Self::pause_topic).
    ///
    /// # Panics
    ///
    /// If there is no such topic.
    pub async fn unpause_topic(&self, topic: &str) {
        self.topic("unpause", topic).await;
    }

    /// Creates a channel, unless it exists; its topic too.
    ///
    /// # Panics
    ///
    /// If nsqd refuses a name.
    pub async fn create_channel(&self, topic: &str, channel: &str) {
        self.create_topic(topic).await;
        self.channel("create", topic, channel).await;
    }

    /// Deletes a channel and closes the connections of its consumers.
    ///
    /// # Panics
    ///
    /// If there is no such channel.
    pub async fn delete_channel(&self, topic: &str, channel: &str) {
        self.channel("delete", topic, channel).await;
    }

    /// Drops all of a channel's messages, those in flight and deferred included.
    ///
    /// # Panics
    ///
    /// If there is no such channel.
    pub async fn empty_channel(&self, topic: &str, channel: &str) {
        self.channel("empty", topic, channel).await;
    }

    /// Hands out no more messages.
    ///
    /// # Panics
    ///
    /// If there is no such channel.
    pub async fn pause_channel(&self, topic: &str, channel: &str) {
        self.channel("pause", topic, channel).await;
    }

    /// Ends [`pause_channel`](Self::pause_channel).
    ///
    /// # Panics
    ///
    /// If there is no such channel.
    pub async fn unpause_channel(&self, topic: &str, channel: &str) {
        self.channel("unpause", topic, channel).await;
    }

    async fn topic(&self, action: &str, topic: &str) {
        self.post(&format!("/topic/{action}?topic={}", http::escape(topic)), b"").await;
    }

    async fn channel(&self, action: &str, topic: &str, channel: &str) {
        let (topic, channel) = (http::escape(topic), http::escape(channel));
        self.post(&format!("/channel/{action}?topic={topic}&channel={channel}"), b"").await;
    }

    async fn post(&self, target: &str, body: &[u8]) {
        let (status, answer) = http::post(self.http_address(), target, body).await;
        assert_eq!(status, 200, "POST {target}: {answer}");
    }
}

/// The entry of a list whose `key` is `name`; nsqd writes an empty list as `null`.
fn named<'a>(list: &'a Value, key: &str, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| entry[key] == name)
}

fn number(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {object}"))
}
