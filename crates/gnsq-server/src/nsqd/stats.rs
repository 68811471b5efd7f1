//! What an nsqd tells of itself in `/stats`: plain data, in nsqd's words and order.

use gnsq_proto::{ChannelName, TopicName};
use serde::{Deserialize, Serialize};

use crate::json::{go_float, name, null_if_empty};

/// The statistics of an nsqd at a moment.
///
/// As JSON they are what nsqd's `GET /stats?format=json` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// The version of NSQ whose nsqd this one stands in for.
    pub version: String,
    /// `OK`: there is no disk that could fail.
    pub health: String,
    /// When the nsqd started, in seconds since 1970.
    pub start_time: i64,
    /// The topics, by name.
    #[serde(deserialize_with = "null_if_empty::deserialize")]
    pub topics: Vec<TopicStats>,
    /// What the nsqd needs of the memory; `None` if it wasn't asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStats>,
    /// The connections that have published; none if clients weren't asked for.
    #[serde(with = "null_if_empty")]
    pub producers: Vec<ClientStats>,
}

/// A topic of an nsqd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TopicStats {
    /// Its name.
    #[serde(with = "name")]
    pub topic_name: TopicName,
    /// Its channels, by name; those that were asked for.
    pub channels: Vec<ChannelStats>,
    /// Messages that wait in the topic itself: for its first channel, or for the end of a pause.
    pub depth: u64,
    /// Those of them on disk: always 0.
    pub backend_depth: u64,
    /// Messages published since the topic was created.
    pub message_count: u64,
    /// The bytes of their bodies.
    pub message_bytes: u64,
    /// Whether messages are held back from the channels.
    pub paused: bool,
    /// How long messages take from being published to being finished.
    pub e2e_processing_latency: E2eLatency,
}

/// A channel of a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Its name.
    #[serde(with = "name")]
    pub channel_name: ChannelName,
    /// Messages that wait, without those in flight and those deferred.
    pub depth: u64,
    /// Those of them on disk: always 0.
    pub backend_depth: u64,
    /// Messages that clients have and have not yet answered.
    pub in_flight_count: u64,
    /// Messages that wait for their time, published or requeued with a delay.
    pub deferred_count: u64,
    /// Messages that came in since the channel was created.
    pub message_count: u64,
    /// Times that a client requeued a message.
    pub requeue_count: u64,
    /// Times that a client did not answer a message in time.
    pub timeout_count: u64,
    /// Subscribed clients.
    pub client_count: u64,
    /// The subscribed clients; `None` if they weren't asked for.
    pub clients: Option<Vec<ClientStats>>,
    /// Whether messages are held back from the clients.
    pub paused: bool,
    /// How long messages take from being published to being finished.
    pub e2e_processing_latency: E2eLatency,
}

/// A connection of the TCP protocol.
#[allow(clippy::struct_excessive_bools, reason = "they are nsqd's")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientStats {
    /// What it calls itself: until it says, its IP address.
    pub client_id: String,
    /// The host it says it runs on: until it says, its IP address.
    pub hostname: String,
    /// The protocol's version: `V2`.
    pub version: String,
    /// Where it connects from: `ip:port`, or `@` on a unix socket.
    pub remote_address: String,
    /// How far it has come.
    pub state: ClientState,
    /// How many messages it takes at once (its RDY).
    pub ready_count: u64,
    /// Messages that it has and has not yet answered.
    pub in_flight_count: u64,
    /// Messages sent to it.
    pub message_count: u64,
    /// Messages that it finished.
    pub finish_count: u64,
    /// Messages that it requeued.
    pub requeue_count: u64,
    /// When it connected, in seconds since 1970.
    pub connect_ts: i64,
    /// The share of messages that it takes, in percent; 0 means all.
    pub sample_rate: u8,
    /// Whether deflate compresses the connection.
    pub deflate: bool,
    /// Whether snappy compresses the connection.
    pub snappy: bool,
    /// The library and version that it says it uses.
    pub user_agent: String,
    /// Whether it has shown a secret that the auth server knows.
    #[serde(default, skip_serializing_if = "is_false")]
    pub authed: bool,
    /// Who it is to the auth server.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub auth_identity: String,
    /// A page about that identity.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub auth_identity_url: String,
    /// What it has published, by topic; only one topic's if only that one was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pub_counts: Vec<PubCount>,
    /// Whether it uses TLS.
    pub tls: bool,
    /// The cipher suite, such as `TLS_AES_128_GCM_SHA256`; empty without TLS.
    pub tls_cipher_suite: String,
    /// The version of TLS, such as `TLS1.3`; empty without TLS.
    pub tls_version: String,
    /// The protocol negotiated over TLS (ALPN); mostly empty.
    pub tls_negotiated_protocol: String,
    /// Whether both sides named that protocol.
    pub tls_negotiated_protocol_is_mutual: bool,
}

/// How far a connection has come. As JSON it is nsqd's number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[non_exhaustive]
pub enum ClientState {
    /// Connected and not subscribed, as one that only publishes stays: 0.
    #[default]
    Init = 0,
    /// Subscribed to a channel: 3.
    Subscribed = 3,
    /// Subscribed, and asked for no more messages before it closes (CLS): 4.
    Closing = 4,
}

/// How many messages a connection has published to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PubCount {
    /// The topic.
    #[serde(with = "name")]
    pub topic: TopicName,
    /// The number of messages.
    pub count: u64,
}

/// How long messages take from being published to being finished: measured only when
/// [percentiles](crate::NsqdOptions::e2e_processing_latency_percentiles) are asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct E2eLatency {
    /// How many messages were finished in the time that the percentiles reach back.
    pub count: u64,
    /// The percentiles that were asked for, the highest first; none of a topic without channels.
    #[serde(with = "null_if_empty")]
    pub percentiles: Vec<E2ePercentile>,
}

/// A percentile of these times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct E2ePercentile {
    /// Which one: more than 0 and at most 1.
    #[serde(serialize_with = "go_float")]
    pub quantile: f64,
    /// That share of the messages took at most so many nanoseconds, give or take 1 %; 0 if there were none.
    pub value: u64,
}

/// What an nsqd needs of the memory, under the names that Go's runtime has for its heap.
///
/// It is counted, not measured: the process may have other tenants. There is no garbage collector, so what concerns one
/// is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Messages that are kept. One in several channels counts once.
    pub heap_objects: u64,
    /// Bytes set aside and not in use: always 0.
    pub heap_idle_bytes: u64,
    /// The bytes of these messages, what each needs beside its body included.
    pub heap_in_use_bytes: u64,
    /// Bytes given back to the system: always 0.
    pub heap_released_bytes: u64,
    /// The longest pause for collecting garbage, in microseconds: always 0.
    pub gc_pause_usec_100: u64,
    /// The 99th percentile of these pauses, in microseconds: always 0.
    pub gc_pause_usec_99: u64,
    /// The 95th percentile of these pauses, in microseconds: always 0.
    pub gc_pause_usec_95: u64,
    /// The size of the heap, in bytes, at which garbage is collected next: always 0.
    pub next_gc_bytes: u64,
    /// How often garbage was collected: always 0.
    pub gc_total_runs: u64,
}

/// Which statistics are wanted.
#[derive(Debug, Clone)]
pub(super) struct StatsFilter {
    /// Only this topic. A name that can't be is a topic that there isn't.
    pub(super) topic: Option<String>,
    /// Only channels of this name, and topics that have one.
    pub(super) channel: Option<String>,
    /// Whether to list the channels' clients and the producers.
    pub(super) clients: bool,
    pub(super) memory: bool,
}

/// Everything.
impl Default for StatsFilter {
    fn default() -> Self {
        Self { topic: None, channel: None, clients: true, memory: true }
    }
}

impl Stats {
    /// The topic of that name.
    pub fn topic(&self, name: &str) -> Option<&TopicStats> {
        self.topics.iter().find(|topic| topic.topic_name.as_str() == name)
    }
}

impl TopicStats {
    /// The channel of that name.
    pub fn channel(&self, name: &str) -> Option<&ChannelStats> {
        self.channels.iter().find(|channel| channel.channel_name.as_str() == name)
    }
}

impl MemoryStats {
    /// What can rise and fall, by its name and in nsqd's order.
    pub(super) fn gauges(&self) -> [(&'static str, u64); 8] {
        [
            ("heap_objects", self.heap_objects),
            ("heap_idle_bytes", self.heap_idle_bytes),
            ("heap_in_use_bytes", self.heap_in_use_bytes),
            ("heap_released_bytes", self.heap_released_bytes),
            ("gc_pause_usec_100", self.gc_pause_usec_100),
            ("gc_pause_usec_99", self.gc_pause_usec_99),
            ("gc_pause_usec_95", self.gc_pause_usec_95),
            ("next_gc_bytes", self.next_gc_bytes),
        ]
    }
}

impl From<ClientState> for u8 {
    fn from(state: ClientState) -> Self {
        state as Self
    }
}

impl TryFrom<u8> for ClientState {
    type Error = String;

    fn try_from(state: u8) -> Result<Self, String> {
        match state {
            0 => Ok(Self::Init),
            3 => Ok(Self::Subscribed),
            4 => Ok(Self::Closing),
            other => Err(format!("there is no client state {other}: it is 0, 3 or 4")),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference to the field")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nsqd 1.3.0 wrote it, without its memory's figures.
    const FULL: &str = concat!(
        r#"{"version":"1.3.0","health":"OK","start_time":1795335434,"topics":[{"topic_name":"emp","channels":[],"#,
        r#""depth":1,"backend_depth":0,"message_count":1,"message_bytes":3,"paused":true,"#,
        r#""e2e_processing_latency":{"count":0,"percentiles":null}},{"topic_name":"t1","channels":[{"#,
        r#""channel_name":"c1","depth":0,"backend_depth":0,"in_flight_count":0,"deferred_count":1,"message_count":4,"#,
        r#""requeue_count":0,"timeout_count":0,"client_count":1,"clients":[{"client_id":"cid","hostname":"hst","#,
        r#""version":"V2","remote_address":"127.0.0.1:37904","state":3,"ready_count":1,"in_flight_count":0,"#,
        r#""message_count":0,"finish_count":0,"requeue_count":0,"connect_ts":1795335437,"sample_rate":20,"#,
        r#""deflate":false,"snappy":false,"user_agent":"ua/1","tls":false,"tls_cipher_suite":"","tls_version":"","#,
        r#""tls_negotiated_protocol":"","tls_negotiated_protocol_is_mutual":false}],"paused":false,"#,
        r#""e2e_processing_latency":{"count":0,"percentiles":null}},{"channel_name":"c2","depth":3,"backend_depth":0,"#,
        r#""in_flight_count":0,"deferred_count":1,"message_count":4,"requeue_count":0,"timeout_count":0,"#,
        r#""client_count":0,"clients":[],"paused":true,"e2e_processing_latency":{"count":0,"percentiles":null}}],"#,
        r#""depth":0,"backend_depth":0,"message_count":4,"message_bytes":16,"paused":false,"#,
        r#""e2e_processing_latency":{"count":0,"percentiles":null}}],"memory":{"heap_objects":0,"heap_idle_bytes":0,"#,
        r#""heap_in_use_bytes":0,"heap_released_bytes":0,"gc_pause_usec_100":0,"gc_pause_usec_99":0,"#,
        r#""gc_pause_usec_95":0,"next_gc_bytes":0,"gc_total_runs":0},"producers":[{"client_id":"prod","#,
        r#""hostname":"phost","version":"V2","remote_address":"127.0.0.1:37912","state":0,"ready_count":0,"#,
        r#""in_flight_count":0,"message_count":0,"finish_count":0,"requeue_count":0,"connect_ts":1795335437,"#,
        r#""sample_rate":0,"deflate":false,"snappy":false,"user_agent":"pua/1","#,
        r#""pub_counts":[{"topic":"t1","count":1}],"tls":false,"tls_cipher_suite":"","tls_version":"","#,
        r#""tls_negotiated_protocol":"","tls_negotiated_protocol_is_mutual":false}]}"#,
    );

    #[test]
    fn the_json_is_nsqds_to_the_byte() {
        let stats: Stats = serde_json::from_str(FULL).unwrap();
        assert_eq!(stats.topic("t1").unwrap().channel("c1").unwrap().deferred_count, 1);
        assert_eq!(serde_json::to_string(&stats).unwrap(), FULL);
    }

    #[test]
    fn what_was_not_asked_for_is_null_or_left_out() {
        let bare = concat!(
            r#"{"version":"1.3.0","health":"OK","start_time":1795335434,"topics":[{"topic_name":"t1","channels":[{"#,
            r#""channel_name":"c1","depth":0,"backend_depth":0,"in_flight_count":0,"deferred_count":1,"#,
            r#""message_count":4,"requeue_count":0,"timeout_count":0,"client_count":2,"clients":null,"paused":false,"#,
            r#""e2e_processing_latency":{"count":0,"percentiles":null}}],"depth":0,"backend_depth":0,"#,
            r#""message_count":4,"message_bytes":16,"paused":false,"#,
            r#""e2e_processing_latency":{"count":0,"percentiles":null}}],"producers":null}"#,
        );
        let stats: Stats = serde_json::from_str(bare).unwrap();
        assert_eq!(serde_json::to_string(&stats).unwrap(), bare);
    }

    #[test]
    fn percentiles_are_written_as_gos_floats() {
        let json =
            r#"{"count":5,"percentiles":[{"quantile":1,"value":572242602},{"quantile":0.333,"value":510984194}]}"#;
        let latency: E2eLatency = serde_json::from_str(json).unwrap();
        assert_eq!(latency.percentiles[1], E2ePercentile { quantile: 0.333, value: 510_984_194 });
        assert_eq!(serde_json::to_string(&latency).unwrap(), json);
    }

    #[test]
    fn an_identity_comes_behind_the_user_agent() {
        let client = ClientStats {
            user_agent: "ua".to_owned(),
            authed: true,
            auth_identity: "me".to_owned(),
            auth_identity_url: "http://me".to_owned(),
            ..ClientStats::default()
        };
        let json = serde_json::to_string(&client).unwrap();
        let part = r#""user_agent":"ua","authed":true,"auth_identity":"me","auth_identity_url":"http://me","tls":"#;
        assert!(json.contains(part), "{json}");
    }
}
