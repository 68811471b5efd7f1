//! Gathers the statistics of an nsqd.

use std::sync::Arc;

use super::broker::Broker;
use super::channel::Channel;
use super::client::{AuthIdentity, Client, TlsIdentity};
use super::consumers::Consumer;
use super::latency::Figures;
use super::message::Now;
use super::stats::{
    ChannelStats, ClientState, ClientStats, E2eLatency, MemoryStats, PubCount, Stats, StatsFilter, TopicStats,
};
use super::topic::Topic;
use crate::version::NSQ_VERSION;

impl Broker {
    /// What `filter` asks for. Each channel is looked at for itself, so that no two have to wait for each other.
    pub(super) fn stats(&self, filter: &StatsFilter) -> Stats {
        let topics = match &filter.topic {
            Some(name) => self.topic(name).into_iter().collect(),
            None => self.topics(),
        };
        let now = self.now();
        Stats {
            version: NSQ_VERSION.to_owned(),
            health: "OK".to_owned(),
            start_time: self.started_unix(),
            topics: topics.iter().filter_map(|topic| topic_stats(topic, filter, now)).collect(),
            memory: filter.memory.then(|| {
                let budget = &self.shared().budget;
                MemoryStats {
                    heap_objects: budget.messages() as u64,
                    heap_in_use_bytes: budget.bytes() as u64,
                    ..MemoryStats::default()
                }
            }),
            producers: if filter.clients { self.producers(filter) } else { Vec::new() },
        }
    }

    /// Those who have published anything, be it to another topic, as nsqd lists them.
    fn producers(&self, filter: &StatsFilter) -> Vec<ClientStats> {
        let clients = self.clients();
        let producers = clients.iter().filter(|client| client.has_published());
        producers
            .map(|client| match client.state() {
                ClientState::Init => client_stats(client, None, filter),
                // Seldom does a connection do both, so it has no shorter way from one to the other.
                ClientState::Subscribed | ClientState::Closing => self
                    .topics()
                    .iter()
                    .flat_map(|topic| topic.snapshot().channels)
                    .find_map(|channel| {
                        let mut channel = channel.state();
                        channel.consumers.find(client.id()).map(|consumer| client_stats(client, Some(consumer), filter))
                    })
                    .unwrap_or_else(|| client_stats(client, None, filter)),
            })
            .collect()
    }
}

/// Nothing for a topic that has no channel of the name that is asked for.
fn topic_stats(topic: &Topic, filter: &StatsFilter, now: Now) -> Option<TopicStats> {
    let snapshot = topic.snapshot();
    let mut channels = snapshot.channels;
    // Of all channels, also when one is asked for.
    let e2e_processing_latency = latency_of_all(&channels, now);
    if let Some(name) = &filter.channel {
        channels.retain(|channel| channel.name().as_str() == name);
        if channels.is_empty() {
            return None;
        }
    }
    Some(TopicStats {
        topic_name: topic.name().clone(),
        channels: channels.iter().map(|channel| channel_stats(channel, filter, now)).collect(),
        depth: snapshot.depth as u64,
        backend_depth: 0,
        message_count: snapshot.message_count,
        message_bytes: snapshot.message_bytes,
        paused: snapshot.paused,
        e2e_processing_latency,
    })
}

/// Nothing for a topic without channels.
fn latency_of_all(channels: &[Arc<Channel>], now: Now) -> E2eLatency {
    let Some(percentiles) = channels.first().map(|channel| percentiles(channel)).filter(|asked| !asked.is_empty())
    else {
        return E2eLatency::default();
    };
    let mut all = Figures::default();
    for channel in channels {
        if let Some(latencies) = &mut channel.state().latencies {
            all.add(&latencies.figures(now));
        }
    }
    all.stats(percentiles)
}

fn percentiles(channel: &Channel) -> &[f64] {
    &channel.shared().options.e2e_processing_latency_percentiles
}

fn channel_stats(channel: &Channel, filter: &StatsFilter, now: Now) -> ChannelStats {
    let mut state = channel.state();
    let clients = filter.clients.then(|| {
        let mut consumers: Vec<_> = state.consumers.iter().collect();
        consumers.sort_unstable_by_key(|consumer| consumer.client.id());
        consumers.iter().map(|consumer| client_stats(&consumer.client, Some(consumer), filter)).collect()
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
        e2e_processing_latency: state
            .latencies
            .as_mut()
            .map(|latencies| latencies.figures(now).stats(percentiles(channel)))
            .unwrap_or_default(),
    }
}

fn client_stats(client: &Client, consumer: Option<&Consumer>, filter: &StatsFilter) -> ClientStats {
    let mut pub_counts: Vec<_> = client
        .published()
        .into_iter()
        .filter(|(topic, _)| filter.topic.as_ref().is_none_or(|asked| topic.as_str() == asked))
        .map(|(topic, count)| PubCount { topic, count })
        .collect();
    pub_counts.sort_unstable_by(|a, b| a.topic.cmp(&b.topic));
    let identity = client.identity().clone();
    let tls = identity.tls.is_some();
    let authed = identity.auth.is_some();
    let AuthIdentity { identity: auth_identity, identity_url: auth_identity_url } = identity.auth.unwrap_or_default();
    let TlsIdentity { version, cipher_suite, negotiated_protocol, negotiated_protocol_is_mutual } =
        identity.tls.unwrap_or_default();
    ClientStats {
        client_id: identity.client_id,
        hostname: identity.hostname,
        version: "V2".to_owned(),
        remote_address: client.remote().map_or_else(|| UNIX_PEER.to_owned(), |address| address.to_string()),
        state: client.state(),
        ready_count: consumer.map_or(0, |consumer| consumer.ready.into()),
        in_flight_count: consumer.map_or(0, |consumer| consumer.in_flight.into()),
        message_count: consumer.map_or(0, |consumer| consumer.message_count),
        finish_count: consumer.map_or(0, |consumer| consumer.finish_count),
        requeue_count: consumer.map_or(0, |consumer| consumer.requeue_count),
        connect_ts: client.connected_unix(),
        sample_rate: identity.sample_rate,
        deflate: identity.deflate,
        snappy: identity.snappy,
        user_agent: identity.user_agent,
        authed,
        auth_identity,
        auth_identity_url,
        pub_counts,
        tls,
        tls_cipher_suite: cipher_suite,
        tls_version: version,
        tls_negotiated_protocol: negotiated_protocol,
        tls_negotiated_protocol_is_mutual: negotiated_protocol_is_mutual,
    }
}

/// How Go writes the address of a unix socket without a name.
const UNIX_PEER: &str = "@";
