//! The statistics of a broker at a moment.

use std::sync::Arc;

use gnsq_proto::TopicName;
use rustc_hash::FxHashMap;

use super::broker::Broker;
use super::channel::Channel;
use super::client::Client;
use super::consumers::Consumer;
use super::stats::{
    ChannelStats, ClientStats, E2eLatency, MemoryStats, PubCount, Stats, StatsFilter, TopicStats,
};
use super::topic::Topic;
use super::{NSQ_VERSION, PROTOCOL_VERSION};

impl Broker {
    /// What `filter` asks for. Each channel is looked at by itself: the whole is not of one instant.
    pub(super) fn stats(&self, filter: &StatsFilter) -> Stats {
        let topics = match &filter.topic {
            Some(name) => self.topic(name).into_iter().collect(),
            None => self.topics(),
        };
        // A client that publishes too is the same one in both lists.
        let mut consumers = FxHashMap::default();
        Stats {
            version: NSQ_VERSION.to_owned(),
            health: "OK".to_owned(),
            start_time: self.started_unix(),
            topics: topics.iter().filter_map(|topic| topic_stats(topic, filter, &mut consumers)).collect(),
            memory: filter.memory.then(|| self.memory_stats()),
            producers: if filter.clients { self.producers(filter, &mut consumers) } else { Vec::new() },
        }
    }

    fn memory_stats(&self) -> MemoryStats {
        let budget = &self.shared().budget;
        MemoryStats {
            heap_objects: budget.messages() as u64,
            heap_in_use_bytes: budget.bytes() as u64,
            ..MemoryStats::default()
        }
    }

    fn producers(&self, filter: &StatsFilter, consumers: &mut FxHashMap<u64, ClientStats>) -> Vec<ClientStats> {
        let with_counts = |client: &Arc<Client>| {
            let pub_counts = pub_counts(client, filter.topic.as_deref());
            (!pub_counts.is_empty()).then(|| {
                let stats = consumers.remove(&client.id()).unwrap_or_else(|| client_stats(client));
                ClientStats { pub_counts, ..stats }
            })
        };
        self.clients().iter().filter_map(with_counts).collect()
    }
}

/// Nothing for a topic without a channel of the name that is asked for.
fn topic_stats(
    topic: &Topic,
    filter: &StatsFilter,
    consumers: &mut FxHashMap<u64, ClientStats>,
) -> Option<TopicStats> {
    let now = topic.snapshot();
    let is_wanted =
        |channel: &&Arc<Channel>| filter.channel.as_ref().is_none_or(|name| channel.name().as_str() == name);
    let channels: Vec<_> = now
        .channels
        .iter()
        .filter(is_wanted)
        .map(|channel| channel_stats(channel, topic.name(), filter, consumers))
        .collect();
    if filter.channel.is_some() && channels.is_empty() {
        return None;
    }
    Some(TopicStats {
        topic_name: topic.name().clone(),
        channels,
        depth: now.depth as u64,
        backend_depth: 0,
        message_count: now.message_count,
        message_bytes: now.message_bytes,
        paused: now.paused,
        e2e_processing_latency: E2eLatency::default(),
    })
}

fn channel_stats(
    channel: &Channel,
    topic: &TopicName,
    filter: &StatsFilter,
    consumers: &mut FxHashMap<u64, ClientStats>,
) -> ChannelStats {
    let state = channel.state();
    let clients = filter.clients.then(|| {
        let mut all: Vec<_> = state.consumers.iter().collect();
        all.sort_unstable_by_key(|consumer| consumer.client.id());
        let with_counts = |consumer: &Consumer| {
            let stats = consumer_stats(consumer);
            consumers.insert(consumer.client.id(), stats.clone());
            ClientStats { pub_counts: pub_counts(&consumer.client, filter.topic.as_ref().map(|_| topic.as_str())), ..stats }
        };
        all.into_iter().map(with_counts).collect()
    });
    ChannelStats {
        channel_name: channel.name().clone(),
        depth: state.queue.len() as u64,
        backend_depth: 0,
        in_flight_count: state.in_flight.len() as u64,
        deferred_count: state.deferred.len() as u64,
        message_count: state.message_count,
        requeue_count: state.requeue_count,
        timeout_count: state.timeout_count,
        client_count: state.consumers.len() as u64,
        clients,
        paused: state.paused,
        e2e_processing_latency: E2eLatency::default(),
    }
}

fn consumer_stats(consumer: &Consumer) -> ClientStats {
    ClientStats {
        ready_count: consumer.ready.into(),
        in_flight_count: consumer.in_flight.into(),
        message_count: consumer.message_count,
        finish_count: consumer.finish_count,
        requeue_count: consumer.requeue_count,
        ..client_stats(&consumer.client)
    }
}

fn client_stats(client: &Client) -> ClientStats {
    let identity = client.identity().clone();
    let stats = ClientStats {
        client_id: identity.client_id,
        hostname: identity.hostname,
        version: PROTOCOL_VERSION.to_owned(),
        // What Go shows of a peer without an address.
        remote_address: client.remote().map_or_else(|| "@".to_owned(), |remote| remote.to_string()),
        state: client.state(),
        connect_ts: client.connected_unix(),
        sample_rate: identity.sample_rate,
        deflate: identity.deflate,
        snappy: identity.snappy,
        user_agent: identity.user_agent,
        ..ClientStats::default()
    };
    let stats = match identity.auth {
        Some(auth) => {
            ClientStats { authed: true, auth_identity: auth.identity, auth_identity_url: auth.identity_url, ..stats }
        }
        None => stats,
    };
    match identity.tls {
        Some(tls) => ClientStats {
            tls: true,
            tls_cipher_suite: tls.cipher_suite,
            tls_version: tls.version,
            tls_negotiated_protocol: tls.negotiated_protocol,
            tls_negotiated_protocol_is_mutual: tls.negotiated_protocol_is_mutual,
            ..stats
        },
        None => stats,
    }
}

/// Of one topic, or of all.
fn pub_counts(client: &Client, topic: Option<&str>) -> Vec<PubCount> {
    let published = client.published().into_iter();
    let wanted = published.filter(|(name, _)| topic.is_none_or(|topic| name.as_str() == topic));
    wanted.map(|(topic, count)| PubCount { topic, count }).collect()
}
