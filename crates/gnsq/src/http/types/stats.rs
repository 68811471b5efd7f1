//! The statistics of an nsqd.

use std::time::Duration;

use gnsq_proto::{ChannelName, TopicName};
use serde::{Deserialize, Serialize};

use super::encoding::{name, null_as_default};

/// What [`NsqdHttpClient::stats`](crate::http::NsqdHttpClient::stats) tells.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Stats {
    /// nsqd's version, such as `1.3.0`.
    pub version: String,
    /// `OK`, or what is wrong, beginning with `NOK`.
    pub health: String,
    /// When nsqd started, in seconds since 1970.
    pub start_time: i64,
    /// The topics asked for.
    #[serde(deserialize_with = "null_as_default")]
    pub topics: Vec<TopicStats>,
    /// nsqd's memory, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStats>,
    /// The connections that have published, if asked for with the clients.
    #[serde(deserialize_with = "null_as_default")]
    pub producers: Vec<ClientStats>,
}

/// A topic of an nsqd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TopicStats {
    /// The topic's name.
    #[serde(with = "name")]
    pub topic_name: TopicName,
    /// Its channels, or the one that was asked for.
    #[serde(default, deserialize_with = "null_as_default")]
    pub channels: Vec<ChannelStats>,
    /// Messages that wait in the topic itself, in memory and on disk, for a first channel or for the end of a pause.
    #[serde(default)]
    pub depth: i64,
    /// Those of them on disk.
    #[serde(default)]
    pub backend_depth: i64,
    /// Messages published since nsqd started.
    #[serde(default)]
    pub message_count: u64,
    /// The bytes of their bodies.
    #[serde(default)]
    pub message_bytes: u64,
    /// Whether messages are held back from the channels.
    #[serde(default)]
    pub paused: bool,
    /// How long messages took from being published to being finished.
    #[serde(default, deserialize_with = "null_as_default", rename = "e2e_processing_latency")]
    pub latency: Latency,
}

/// A channel of a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChannelStats {
    /// The channel's name.
    #[serde(with = "name")]
    pub channel_name: ChannelName,
    /// Messages that wait, in memory and on disk, without those in flight and those deferred.
    #[serde(default)]
    pub depth: i64,
    /// Those of them on disk.
    #[serde(default)]
    pub backend_depth: i64,
    /// Messages that clients have and have not yet answered.
    #[serde(default)]
    pub in_flight_count: i64,
    /// Messages that wait for their time, published or requeued with a delay.
    #[serde(default)]
    pub deferred_count: i64,
    /// Messages that came in since nsqd started.
    #[serde(default)]
    pub message_count: u64,
    /// Times that a client requeued a message.
    #[serde(default)]
    pub requeue_count: u64,
    /// Times that a client did not answer a message in time.
    #[serde(default)]
    pub timeout_count: u64,
    /// Subscribed clients; also told when they are not listed.
    #[serde(default)]
    pub client_count: i64,
    /// The subscribed clients, if asked for.
    #[serde(default, deserialize_with = "null_as_default")]
    pub clients: Vec<ClientStats>,
    /// Whether messages are held back from the clients.
    #[serde(default)]
    pub paused: bool,
    /// How long messages took from being published to being finished.
    #[serde(default, deserialize_with = "null_as_default", rename = "e2e_processing_latency")]
    pub latency: Latency,
    /// Messages delivered to clients of nsqd's own zone, from servers after 1.3.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_local_msg_count: Option<u64>,
    /// Messages delivered to clients of nsqd's own region and another zone, from servers after 1.3.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_local_msg_count: Option<u64>,
    /// Messages delivered to clients elsewhere, from servers after 1.3.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_msg_count: Option<u64>,
}

/// A connection to an nsqd.
#[allow(clippy::struct_excessive_bools, reason = "they are nsqd's")]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ClientStats {
    /// What it calls itself; may be empty.
    pub client_id: String,
    /// The machine it says it runs on; may be empty.
    pub hostname: String,
    /// The protocol's version: `V2`.
    pub version: String,
    /// Where it connects from, as `ip:port`.
    pub remote_address: String,
    /// Whether it is subscribed.
    pub state: ClientState,
    /// How many messages it takes at once (its RDY).
    pub ready_count: i64,
    /// Messages it has and has not yet answered.
    pub in_flight_count: i64,
    /// Messages sent to it.
    pub message_count: u64,
    /// Messages it finished.
    pub finish_count: u64,
    /// Messages it requeued.
    pub requeue_count: u64,
    /// When it connected, in seconds since 1970.
    pub connect_ts: i64,
    /// The share of messages it takes, in percent; 0 means all.
    pub sample_rate: i64,
    /// Whether the connection is compressed with deflate.
    pub deflate: bool,
    /// Whether the connection is compressed with snappy.
    pub snappy: bool,
    /// The library and version it says it uses.
    pub user_agent: String,
    /// Whether it has authenticated; left out by nsqd when it has not.
    #[serde(skip_serializing_if = "is_false")]
    pub authed: bool,
    /// As whom it has authenticated.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_identity: String,
    /// A page about that identity.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_identity_url: String,
    /// What it has published. nsqd 1.3.0 names at most one topic here; asking for the statistics of one topic
    /// tells of that one.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub pub_counts: Vec<PublishCount>,
    /// Whether the connection uses TLS.
    pub tls: bool,
    /// Its cipher suite; empty without TLS.
    pub tls_cipher_suite: String,
    /// Its version of TLS; empty without TLS.
    pub tls_version: String,
    /// The protocol negotiated over TLS; mostly empty.
    pub tls_negotiated_protocol: String,
    /// Whether both sides named that protocol.
    pub tls_negotiated_protocol_is_mutual: bool,
    /// Where it runs, from servers after 1.3.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_region: Option<String>,
    /// Where in the region it runs, from servers after 1.3.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_zone: Option<String>,
}

/// How far a connection has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "i32", into = "i32")]
#[non_exhaustive]
pub enum ClientState {
    /// Connected and not subscribed, as a publishing connection stays.
    #[default]
    Init,
    /// Subscribed to a channel.
    Subscribed,
    /// Subscribed, and asked for no more messages before it closes.
    Closing,
    /// A state that this client doesn't know.
    Other(i32),
}

/// How many messages a connection has published to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PublishCount {
    /// The topic.
    #[serde(with = "name")]
    pub topic: TopicName,
    /// The number of messages.
    #[serde(default)]
    pub count: u64,
}

/// How long messages took from being published to being finished. Measured only by an nsqd that runs with
/// `-e2e-processing-latency-percentile`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Latency {
    /// The number of messages measured.
    pub count: i64,
    /// The percentiles that nsqd was told to measure.
    #[serde(deserialize_with = "null_as_default")]
    pub percentiles: Vec<Percentile>,
}

/// A percentile of the latency.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Percentile {
    /// The share of messages, from 0 to 1.
    pub quantile: f64,
    /// The time in which they were done, in nanoseconds.
    pub value: f64,
}

/// The memory of an nsqd, as Go's runtime sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Objects on the heap.
    pub heap_objects: u64,
    /// Bytes of the heap that are not in use.
    pub heap_idle_bytes: u64,
    /// Bytes of the heap that are in use.
    pub heap_in_use_bytes: u64,
    /// Bytes given back to the system.
    pub heap_released_bytes: u64,
    /// The longest recent pause for garbage collection, in microseconds.
    pub gc_pause_usec_100: u64,
    /// Its 99th percentile, in microseconds.
    pub gc_pause_usec_99: u64,
    /// Its 95th percentile, in microseconds.
    pub gc_pause_usec_95: u64,
    /// The heap size in bytes at which the next collection starts.
    pub next_gc_bytes: u64,
    /// Collections so far.
    pub gc_total_runs: u64,
}

impl Percentile {
    /// The time in which they were done.
    pub fn latency(&self) -> Duration {
        Duration::try_from_secs_f64(self.value / 1e9).unwrap_or_default()
    }
}

impl From<i32> for ClientState {
    fn from(state: i32) -> Self {
        match state {
            0 => Self::Init,
            3 => Self::Subscribed,
            4 => Self::Closing,
            other => Self::Other(other),
        }
    }
}

impl From<ClientState> for i32 {
    fn from(state: ClientState) -> Self {
        match state {
            ClientState::Init => 0,
            ClientState::Subscribed => 3,
            ClientState::Closing => 4,
            ClientState::Other(other) => other,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference to the field")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read<'a, T: Deserialize<'a>>(json: &'a str) -> T {
        serde_json::from_str(json).unwrap()
    }

    const FULL: &str = r#"{"version":"1.3.0","health":"OK","start_time":1795323993,"topics":[{"topic_name":"a",
        "channels":[{"channel_name":"c","depth":2,"backend_depth":0,"in_flight_count":1,"deferred_count":1,
        "message_count":4,"requeue_count":0,"timeout_count":0,"client_count":1,"clients":[{"client_id":"",
        "hostname":"","version":"V2","remote_address":"127.0.0.1:42690","state":3,"ready_count":1,
        "in_flight_count":1,"message_count":1,"finish_count":0,"requeue_count":0,"connect_ts":1795324000,
        "sample_rate":0,"deflate":false,"snappy":false,"user_agent":"x/1","tls":false,"tls_cipher_suite":"",
        "tls_version":"","tls_negotiated_protocol":"","tls_negotiated_protocol_is_mutual":false}],"paused":false,
        "e2e_processing_latency":{"count":0,"percentiles":[{"quantile":0.95,"value":0.0}]}}],"depth":0,
        "backend_depth":0,"message_count":4,"message_bytes":6,"paused":false,
        "e2e_processing_latency":{"count":0,"percentiles":[]}}],"memory":{"heap_objects":1759,
        "heap_idle_bytes":2711552,"heap_in_use_bytes":1056768,"heap_released_bytes":2678784,"gc_pause_usec_100":0,
        "gc_pause_usec_99":0,"gc_pause_usec_95":0,"next_gc_bytes":4194304,"gc_total_runs":0},
        "producers":[{"client_id":"127.0.0.1","hostname":"127.0.0.1","version":"V2",
        "remote_address":"127.0.0.1:42706","state":0,"ready_count":0,"in_flight_count":0,"message_count":0,
        "finish_count":0,"requeue_count":0,"connect_ts":1795324000,"sample_rate":0,"deflate":false,"snappy":false,
        "user_agent":"","pub_counts":[{"topic":"a","count":1}],"tls":false,"tls_cipher_suite":"","tls_version":"",
        "tls_negotiated_protocol":"","tls_negotiated_protocol_is_mutual":false}]}"#;

    #[test]
    fn reads_and_writes_what_nsqd_1_3_0_says() {
        let stats: Stats = read(FULL);
        let channel = &stats.topics[0].channels[0];
        assert_eq!((channel.in_flight_count, channel.deferred_count), (1, 1));
        assert_eq!(channel.clients[0].state, ClientState::Subscribed);
        assert_eq!(stats.producers[0].pub_counts[0].count, 1);
        assert_eq!(stats.memory.as_ref().unwrap().heap_objects, 1759);
        assert_eq!(serde_json::to_value(&stats).unwrap(), read::<Value>(FULL));
    }

    #[test]
    fn null_lists_are_empty() {
        let json = r#"{"version":"1.3.0","health":"OK","start_time":1795323993,"topics":null,"producers":null}"#;
        let stats: Stats = read(json);
        assert!(stats.topics.is_empty() && stats.producers.is_empty() && stats.memory.is_none());

        let json = r#"{"channel_name":"c","client_count":3,"clients":null,
            "e2e_processing_latency":{"count":0,"percentiles":null}}"#;
        let channel: ChannelStats = read(json);
        assert!(channel.clients.is_empty() && channel.latency.percentiles.is_empty());
        assert_eq!(channel.client_count, 3);
        assert!(read::<TopicStats>(r#"{"topic_name":"a","channels":null}"#).channels.is_empty());
    }

    #[test]
    fn newer_servers_tell_of_zones() {
        let channel: ChannelStats = read(r#"{"channel_name":"c","zone_local_msg_count":7,"novelty":{}}"#);
        assert_eq!((channel.zone_local_msg_count, channel.global_msg_count), (Some(7), None));
        assert_eq!(read::<ClientStats>(r#"{"topology_zone":"a"}"#).topology_zone.as_deref(), Some("a"));
    }

    #[test]
    fn a_clients_identity_is_told_when_it_has_one() {
        let client: ClientStats = read(r#"{"authed":true,"auth_identity":"me","state":9}"#);
        assert!(client.authed && client.auth_identity == "me");
        assert_eq!(client.state, ClientState::Other(9));
        assert_eq!(serde_json::to_value(&client).unwrap()["state"], 9);
    }

    #[test]
    fn a_percentile_is_a_duration() {
        let latency: Latency = read(r#"{"count":1,"percentiles":[{"quantile":0.5,"value":1500000.5}]}"#);
        assert_eq!(latency.percentiles[0].latency().as_micros(), 1500);
        assert_eq!(Percentile { quantile: 0.5, value: -1.0 }.latency(), Duration::ZERO);
    }
}
