//! What an nsqlookupd knows.

use std::iter;

use gnsq_proto::{ChannelName, TopicName};
use serde::{Deserialize, Serialize};

use super::encoding::{names, null_as_default, port};

/// What [`LookupdClient::info`](crate::http::LookupdClient::info) tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LookupdInfo {
    /// nsqlookupd's version, such as `1.3.0`.
    pub version: String,
}

/// What [`LookupdClient::lookup`](crate::http::LookupdClient::lookup) tells of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lookup {
    /// The topic's channels, on any nsqd.
    #[serde(default, with = "names")]
    pub channels: Vec<ChannelName>,
    /// Each nsqd that has the topic, without those that were not heard of lately and those that are tombstoned.
    #[serde(deserialize_with = "null_as_default")]
    pub producers: Vec<Producer>,
}

/// An nsqd as nsqlookupd knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Producer {
    /// Where its connection to nsqlookupd comes from, as `ip:port`.
    pub remote_address: String,
    /// The name of its machine.
    pub hostname: String,
    /// The host under which clients reach it.
    pub broadcast_address: String,
    /// The port of its TCP protocol.
    #[serde(with = "port")]
    pub tcp_port: Option<u16>,
    /// The port of its HTTP API.
    #[serde(with = "port")]
    pub http_port: Option<u16>,
    /// Its version, such as `1.3.0`.
    pub version: String,
    /// Where it runs, from servers after 1.3.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_region: Option<String>,
    /// Where in the region it runs, from servers after 1.3.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_zone: Option<String>,
}

impl Producer {
    /// Where to speak the TCP protocol: `host:port`, an IPv6 address in brackets. `None` when it has no such port.
    pub fn tcp_address(&self) -> Option<String> {
        self.tcp_port.map(|port| self.join(port))
    }

    /// Where to speak HTTP: `host:port`, an IPv6 address in brackets. `None` when it has no such port.
    pub fn http_address(&self) -> Option<String> {
        self.http_port.map(|port| self.join(port))
    }

    /// What nsqlookupd calls it in
    /// [`tombstone_topic`](crate::http::LookupdClient::tombstone_topic): `host:http_port`, never with brackets.
    pub fn node(&self) -> String {
        format!("{}:{}", self.broadcast_address, self.http_port.map_or(-1, i64::from))
    }

    fn join(&self, port: u16) -> String {
        let host = &self.broadcast_address;
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// An nsqd with all its topics, told by [`LookupdClient::nodes`](crate::http::LookupdClient::nodes).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "NodeJson", into = "NodeJson")]
#[non_exhaustive]
pub struct Node {
    /// The nsqd.
    pub producer: Producer,
    /// Its topics, tombstoned ones included.
    pub topics: Vec<NodeTopic>,
}

/// A topic of a [`Node`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeTopic {
    /// The topic's name.
    pub topic: TopicName,
    /// Whether lookups of the topic leave this nsqd out.
    pub tombstoned: bool,
}

/// An entry of [`LookupdClient::debug`](crate::http::LookupdClient::debug).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Registration {
    /// Where its connection to nsqlookupd comes from, as `ip:port`.
    pub id: String,
    /// The name of its machine.
    pub hostname: String,
    /// The host under which clients reach it.
    pub broadcast_address: String,
    /// The port of its TCP protocol.
    #[serde(with = "port")]
    pub tcp_port: Option<u16>,
    /// The port of its HTTP API.
    #[serde(with = "port")]
    pub http_port: Option<u16>,
    /// Its version, such as `1.3.0`.
    pub version: String,
    /// When it was last heard of, in nanoseconds since 1970.
    pub last_update: i64,
    /// Whether lookups leave it out.
    pub tombstoned: bool,
    /// When it was tombstoned, in nanoseconds since 1970; without meaning if it was not.
    pub tombstoned_at: i64,
}

/// The answer of `/topics`.
#[derive(Deserialize)]
pub(in crate::http) struct Topics {
    #[serde(with = "names")]
    pub(in crate::http) topics: Vec<TopicName>,
}

/// The answer of `/channels`.
#[derive(Deserialize)]
pub(in crate::http) struct Channels {
    #[serde(with = "names")]
    pub(in crate::http) channels: Vec<ChannelName>,
}

/// The answer of `/nodes`.
#[derive(Deserialize)]
pub(in crate::http) struct Nodes {
    #[serde(deserialize_with = "null_as_default")]
    pub(in crate::http) producers: Vec<Node>,
}

/// A node as the server writes it: with parallel lists.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct NodeJson {
    #[serde(flatten)]
    producer: Producer,
    #[serde(deserialize_with = "null_as_default")]
    tombstones: Vec<bool>,
    #[serde(with = "names")]
    topics: Vec<TopicName>,
}

impl From<NodeJson> for Node {
    fn from(node: NodeJson) -> Self {
        let tombstones = node.tombstones.into_iter().chain(iter::repeat(false));
        let topics = node.topics.into_iter().zip(tombstones);
        Self {
            producer: node.producer,
            topics: topics.map(|(topic, tombstoned)| NodeTopic { topic, tombstoned }).collect(),
        }
    }
}

impl From<Node> for NodeJson {
    fn from(node: Node) -> Self {
        let (topics, tombstones) = node.topics.into_iter().map(|topic| (topic.topic, topic.tombstoned)).unzip();
        Self { producer: node.producer, tombstones, topics }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn read<'a, T: Deserialize<'a>>(json: &'a str) -> T {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn reads_a_lookup_of_nsqlookupd_1_3_0() {
        let json = r#"{"channels":["c","nope2"],"producers":[{"remote_address":"127.0.0.1:56330","hostname":"vm",
            "broadcast_address":"127.0.0.1","tcp_port":24150,"http_port":24151,"version":"1.3.0"}]}"#;
        let lookup: Lookup = read(json);
        assert_eq!(lookup.channels[1].as_str(), "nope2");
        assert_eq!(lookup.producers[0].tcp_address().as_deref(), Some("127.0.0.1:24150"));
        assert_eq!(lookup.producers[0].http_address().as_deref(), Some("127.0.0.1:24151"));
        assert_eq!(serde_json::to_value(&lookup).unwrap(), read::<Value>(json));
    }

    #[test]
    fn null_lists_are_empty() {
        for json in [r#"{"channels":null,"producers":null}"#, r#"{"producers":[]}"#] {
            assert_eq!(read::<Lookup>(json), Lookup::default());
        }
        assert!(read::<Topics>(r#"{"topics":null}"#).topics.is_empty());
        assert!(read::<Channels>(r#"{"channels":null}"#).channels.is_empty());
        assert!(read::<Nodes>(r#"{"producers":null}"#).producers.is_empty());
        let node: Node = read(r#"{"hostname":"vm","tombstones":null,"topics":null}"#);
        assert!(node.topics.is_empty());
    }

    #[test]
    fn an_answer_without_its_list_is_no_empty_one() {
        for json in ["{}", "[]", r#"{"version":"1.3.0"}"#] {
            assert!(serde_json::from_str::<Lookup>(json).is_err());
            assert!(serde_json::from_str::<Topics>(json).is_err());
            assert!(serde_json::from_str::<Channels>(json).is_err());
            assert!(serde_json::from_str::<Nodes>(json).is_err());
        }
    }

    #[test]
    fn an_ipv6_producer_has_brackets_in_addresses_and_none_as_a_node() {
        let producer: Producer = read(
            r#"{"remote_address":"127.0.0.1:40326","hostname":"vm","broadcast_address":"::1","tcp_port":24250,
            "http_port":24251,"version":"1.3.0"}"#,
        );
        assert_eq!(producer.tcp_address().as_deref(), Some("[::1]:24250"));
        assert_eq!(producer.http_address().as_deref(), Some("[::1]:24251"));
        assert_eq!(producer.node(), "::1:24251");
    }

    #[test]
    fn a_port_that_cannot_be_makes_only_its_producer_unreachable() {
        let lookup: Lookup = read(r#"{"producers":[{"tcp_port":-1,"http_port":70000},{"tcp_port":1}]}"#);
        assert_eq!(lookup.producers[0].tcp_address(), None);
        assert_eq!(lookup.producers[0].http_address(), None);
        assert_eq!(lookup.producers[1].tcp_port, Some(1));
    }

    #[test]
    fn a_node_says_of_each_topic_whether_it_is_tombstoned() {
        let json = r#"{"producers":[{"remote_address":"127.0.0.1:56330","hostname":"vm",
            "broadcast_address":"127.0.0.1","tcp_port":24150,"http_port":24151,"version":"1.3.0",
            "tombstones":[true,false],"topics":["a","b#ephemeral"]}]}"#;
        let nodes = read::<Nodes>(json).producers;
        assert_eq!(nodes[0].producer.node(), "127.0.0.1:24151");
        let topics: Vec<_> = nodes[0].topics.iter().map(|topic| (topic.topic.as_str(), topic.tombstoned)).collect();
        assert_eq!(topics, [("a", true), ("b#ephemeral", false)]);
        assert_eq!(serde_json::to_value(&nodes[0]).unwrap(), read::<Value>(json)["producers"][0]);
    }

    #[test]
    fn reads_the_registrations_of_nsqlookupd_1_3_0() {
        let json = r#"{"topic:a:":[{"broadcast_address":"127.0.0.1","hostname":"vm","http_port":24151,
            "id":"127.0.0.1:56330","last_update":1795323994863417346,"tcp_port":24150,"tombstoned":false,
            "tombstoned_at":-6795364578871345152,"version":"1.3.0"}],"topic:t2:":[]}"#;
        let registrations: BTreeMap<String, Vec<Registration>> = read(json);
        assert_eq!(registrations["topic:a:"][0].last_update, 1_795_323_994_863_417_346);
        assert_eq!(serde_json::to_value(&registrations).unwrap(), read::<Value>(json));
    }

    #[test]
    fn a_name_that_nsq_would_not_take_is_refused() {
        assert!(serde_json::from_str::<Topics>(r#"{"topics":["a b"]}"#).is_err());
    }
}
