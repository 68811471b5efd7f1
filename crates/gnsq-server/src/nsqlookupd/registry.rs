//! Which nsqds have which topics and channels: pure state that is told the time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gnsq_proto::{ChannelName, TopicName};
use thiserror::Error;

use super::producer::Producer;
use crate::clock::Tick;

/// All registrations of an nsqlookupd.
///
/// A topic stays when its nsqds are gone, as in nsqlookupd, and so does a channel; what is `#ephemeral` goes with its
/// last nsqd.
#[derive(Debug)]
pub(super) struct Registry {
    peers: BTreeMap<PeerId, Peer>,
    topics: BTreeMap<TopicName, Topic>,
    next_peer: u64,
    /// Names, and nsqds under each name.
    entries: usize,
    max_entries: usize,
    may_have_orphans: bool,
    inactive_after: Duration,
    tombstone_lifetime: Duration,
}

/// A connection that has introduced itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PeerId(u64);

/// No further registration is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("there are {0} registrations already, and no more are taken: raise max_registrations")]
pub(super) struct Full(usize);

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) producer: Producer,
    pub(super) last_update: Tick,
    topics: BTreeSet<TopicName>,
}

#[derive(Debug, Default)]
pub(super) struct Topic {
    /// With each nsqd, when it was tombstoned.
    producers: BTreeMap<PeerId, Option<Tick>>,
    channels: BTreeMap<ChannelName, BTreeSet<PeerId>>,
}

/// One nsqd under one name.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) peer: &'a Peer,
    pub(super) tombstoned_at: Option<Tick>,
}

impl Registry {
    pub(super) fn new(max_entries: usize, inactive_after: Duration, tombstone_lifetime: Duration) -> Self {
        Self {
            peers: BTreeMap::new(),
            topics: BTreeMap::new(),
            next_peer: 0,
            entries: 0,
            max_entries,
            may_have_orphans: false,
            inactive_after,
            tombstone_lifetime,
        }
    }

    /// An nsqd has introduced itself.
    pub(super) fn join(&mut self, producer: Producer, now: Tick) -> PeerId {
        let id = PeerId(self.next_peer);
        self.next_peer += 1;
        self.peers.insert(id, Peer { producer, last_update: now, topics: BTreeSet::new() });
        id
    }

    /// Its connection is gone, and with it all that it has registered.
    pub(super) fn leave(&mut self, id: PeerId) {
        let Some(peer) = self.peers.remove(&id) else { return };
        self.may_have_orphans = true;
        for topic in &peer.topics {
            self.drop_topic(id, topic);
        }
    }

    /// It has pinged.
    pub(super) fn touch(&mut self, id: PeerId, now: Tick) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.last_update = now;
        }
    }

    /// It has the topic, and the channel if one is named. All of it is taken or nothing.
    pub(super) fn register(&mut self, id: PeerId, topic: TopicName, channel: Option<ChannelName>) -> Result<(), Full> {
        self.add(Some(id), topic, channel)
    }

    pub(super) fn unregister(&mut self, id: PeerId, topic: &TopicName, channel: Option<&ChannelName>) {
        self.may_have_orphans = true;
        let Some(channel) = channel else {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.topics.remove(topic);
            }
            return self.drop_topic(id, topic);
        };
        let Some(entry) = self.topics.get_mut(topic) else { return };
        let Some(producers) = entry.channels.get_mut(channel) else { return };
        self.entries -= usize::from(producers.remove(&id));
        if producers.is_empty() && channel.is_ephemeral() {
            entry.channels.remove(channel);
            self.entries -= 1;
        }
    }

    /// Makes the topic, and the channel, known without an nsqd.
    pub(super) fn create(&mut self, topic: TopicName, channel: Option<ChannelName>) -> Result<(), Full> {
        self.add(None, topic, channel)
    }

    /// Forgets the topic and its channels, whoever has registered them.
    pub(super) fn delete_topic(&mut self, name: &str) -> bool {
        let Ok(name) = TopicName::new(name) else { return false };
        let Some(topic) = self.topics.remove(&name) else { return false };
        self.entries -= topic.entries();
        for id in topic.producers.keys() {
            if let Some(peer) = self.peers.get_mut(id) {
                peer.topics.remove(&name);
            }
        }
        true
    }

    pub(super) fn delete_channel(&mut self, topic: &str, channel: &str) -> bool {
        let (Ok(topic), Ok(channel)) = (TopicName::new(topic), ChannelName::new(channel)) else { return false };
        let Some(producers) = self.topics.get_mut(&topic).and_then(|topic| topic.channels.remove(&channel)) else {
            return false;
        };
        self.entries -= 1 + producers.len();
        true
    }

    /// Hides the nsqds with this `broadcast_address:http_port` from lookups of the topic, for the tombstones' lifetime
    /// or until they register it anew.
    pub(super) fn tombstone(&mut self, topic: &str, node: &str, now: Tick) {
        let Some(topic) = TopicName::new(topic).ok().and_then(|topic| self.topics.get_mut(&topic)) else { return };
        for (id, tombstoned_at) in &mut topic.producers {
            if self.peers.get(id).is_some_and(|peer| peer.producer.node() == node) {
                *tombstoned_at = Some(now);
            }
        }
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.topics.keys()
    }

    /// The topic's channels; none for an unknown topic.
    pub(super) fn channels(&self, topic: &str) -> impl Iterator<Item = &ChannelName> {
        self.topic(topic).into_iter().flat_map(|topic| topic.channels.keys())
    }

    /// The nsqds to ask for a topic: those that are alive and not tombstoned. Nothing for an unknown topic.
    pub(super) fn lookup(&self, topic: &str, now: Tick) -> Option<impl Iterator<Item = &Producer>> {
        let entries = self.topic(topic)?.producers.iter().filter_map(move |(id, tombstoned_at)| {
            let peer = self.peers.get(id)?;
            (self.is_active(peer, now) && !self.is_hidden(*tombstoned_at, now)).then_some(&peer.producer)
        });
        Some(entries)
    }

    /// All nsqds that are alive, each with its topics and whether it is tombstoned there.
    pub(super) fn nodes(&self, now: Tick) -> impl Iterator<Item = (&Producer, Vec<(&TopicName, bool)>)> {
        self.peers.iter().filter(move |(_, peer)| self.is_active(peer, now)).map(move |(id, peer)| {
            let topics = peer.topics.iter().map(|name| {
                let tombstoned_at = self.topics.get(name).and_then(|topic| *topic.producers.get(id)?);
                (name, self.is_hidden(tombstoned_at, now))
            });
            (&peer.producer, topics.collect())
        })
    }

    /// Every nsqd under every name: nsqlookupd's category, key and subkey. Names without nsqds are left out.
    pub(super) fn entries(&self) -> BTreeMap<String, Vec<Entry<'_>>> {
        let mut all = BTreeMap::new();
        let clients = self.peers.values().map(|peer| Entry { peer, tombstoned_at: None });
        all.insert("client::".to_owned(), clients.collect());
        for (name, topic) in &self.topics {
            let producers = topic.producers.iter();
            let entry = |(id, tombstoned_at): (_, &Option<_>)| {
                Some(Entry { peer: self.peers.get(id)?, tombstoned_at: *tombstoned_at })
            };
            all.insert(format!("topic:{name}:"), producers.filter_map(entry).collect());
            for (channel, producers) in &topic.channels {
                let entries = producers.iter().filter_map(|id| entry((id, &None)));
                all.insert(format!("channel:{name}:{channel}"), entries.collect());
            }
        }
        all.retain(|_, entries: &mut Vec<_>| !entries.is_empty());
        all
    }

    fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(&TopicName::new(name).ok()?)
    }

    fn add(&mut self, id: Option<PeerId>, topic: TopicName, channel: Option<ChannelName>) -> Result<(), Full> {
        let mut new = self.new_entries(id, &topic, channel.as_ref());
        if self.entries + new > self.max_entries && self.may_have_orphans {
            self.forget_orphans();
            new = self.new_entries(id, &topic, channel.as_ref());
        }
        if self.entries + new > self.max_entries {
            return Err(Full(self.max_entries));
        }
        self.entries += new;
        self.may_have_orphans |= id.is_none();
        if let Some(peer) = id.and_then(|id| self.peers.get_mut(&id)) {
            peer.topics.insert(topic.clone());
        }
        let entry = self.topics.entry(topic).or_default();
        if let Some(id) = id {
            // A tombstone stays.
            entry.producers.entry(id).or_default();
        }
        if let Some(channel) = channel {
            entry.channels.entry(channel).or_default().extend(id);
        }
        Ok(())
    }

    /// How many entries there will be more.
    fn new_entries(&self, id: Option<PeerId>, topic: &TopicName, channel: Option<&ChannelName>) -> usize {
        let topic = self.topics.get(topic);
        let mut new = usize::from(topic.is_none());
        new += usize::from(id.is_some_and(|id| topic.is_none_or(|topic| !topic.producers.contains_key(&id))));
        if let Some(channel) = channel {
            let producers = topic.and_then(|topic| topic.channels.get(channel));
            new += usize::from(producers.is_none());
            new += usize::from(id.is_some_and(|id| producers.is_none_or(|producers| !producers.contains(&id))));
        }
        new
    }

    /// Makes room: names that no nsqd has are kept only as long as there is.
    fn forget_orphans(&mut self) {
        for topic in self.topics.values_mut() {
            topic.channels.retain(|_, producers| !producers.is_empty());
        }
        self.topics.retain(|_, topic| !topic.producers.is_empty());
        self.entries = self.topics.values().map(Topic::entries).sum();
        self.may_have_orphans = false;
        tracing::warn!(self.max_entries, "topics and channels without nsqds are forgotten to make room for others");
    }

    /// Takes the nsqd from the topic and its channels.
    fn drop_topic(&mut self, id: PeerId, name: &TopicName) {
        let Some(topic) = self.topics.get_mut(name) else { return };
        let before = topic.entries();
        topic.producers.remove(&id);
        topic
            .channels
            .retain(|channel, producers| !producers.remove(&id) || !producers.is_empty() || !channel.is_ephemeral());
        self.entries -= before - topic.entries();
        if topic.producers.is_empty() && name.is_ephemeral() {
            self.entries -= topic.entries();
            self.topics.remove(name);
        }
    }

    fn is_active(&self, peer: &Peer, now: Tick) -> bool {
        now.since(peer.last_update) <= self.inactive_after
    }

    fn is_hidden(&self, tombstoned_at: Option<Tick>, now: Tick) -> bool {
        tombstoned_at.is_some_and(|at| now.since(at) < self.tombstone_lifetime)
    }
}

impl Topic {
    fn entries(&self) -> usize {
        1 + self.producers.len() + self.channels.values().map(|producers| 1 + producers.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn registry(max_entries: usize) -> Registry {
        Registry::new(max_entries, 10 * SECOND, 5 * SECOND)
    }

    fn producer(http_port: i64) -> Producer {
        let body = format!(r#"{{"broadcast_address":"h","tcp_port":1,"http_port":{http_port},"version":"1.3.0"}}"#);
        Producer::parse("127.0.0.1:1", body.as_bytes()).unwrap()
    }

    fn topic(name: &str) -> TopicName {
        TopicName::new(name).unwrap()
    }

    fn channel(name: &str) -> ChannelName {
        ChannelName::new(name).unwrap()
    }

    fn found(registry: &Registry, topic: &str, now: Tick) -> Option<Vec<i64>> {
        Some(registry.lookup(topic, now)?.map(|producer| producer.http_port).collect())
    }

    fn names(registry: &Registry) -> String {
        let topics = registry.topics().map(|topic| {
            let channels: Vec<_> = registry.channels(topic.as_str()).map(ChannelName::as_str).collect();
            format!("{topic}({})", channels.join(" "))
        });
        topics.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_an_nsqd_registers_is_found() {
        let mut registry = registry(100);
        let now = Tick::default();
        let (a, b) = (registry.join(producer(1), now), registry.join(producer(2), now));
        registry.register(a, topic("t"), Some(channel("c"))).unwrap();
        registry.register(b, topic("t"), None).unwrap();
        registry.create(topic("new"), Some(channel("d"))).unwrap();
        assert_eq!(names(&registry), "new(d) t(c)");
        assert_eq!(found(&registry, "t", now), Some(vec![1, 2]));
        assert_eq!(found(&registry, "new", now), Some(vec![]));
        assert_eq!(found(&registry, "none", now), None);
        assert_eq!(found(&registry, "", now), None);
        registry.unregister(a, &topic("t"), None);
        assert_eq!(found(&registry, "t", now), Some(vec![2]));
        assert!(registry.entries().keys().eq(["client::", "topic:t:"]));
    }

    #[test]
    fn names_outlive_their_nsqds_unless_they_are_ephemeral() {
        let mut registry = registry(100);
        let now = Tick::default();
        let (a, b) = (registry.join(producer(1), now), registry.join(producer(2), now));
        for name in ["t", "u", "e#ephemeral"] {
            registry.register(a, topic(name), Some(channel("c"))).unwrap();
            registry.register(a, topic(name), Some(channel("d#ephemeral"))).unwrap();
        }
        registry.register(b, topic("u"), Some(channel("d#ephemeral"))).unwrap();
        registry.unregister(a, &topic("t"), Some(&channel("c")));
        assert_eq!(names(&registry), "e#ephemeral(c d#ephemeral) t(c d#ephemeral) u(c d#ephemeral)");
        registry.unregister(a, &topic("t"), Some(&channel("d#ephemeral")));
        assert_eq!(names(&registry), "e#ephemeral(c d#ephemeral) t(c) u(c d#ephemeral)");
        registry.leave(a);
        assert_eq!(names(&registry), "t(c) u(c d#ephemeral)");
        assert_eq!(found(&registry, "t", now), Some(vec![]));
        registry.leave(b);
        assert_eq!(names(&registry), "t(c) u(c)");
        assert!(registry.entries().is_empty());
        assert_eq!(registry.entries, 4);
    }

    #[test]
    fn a_tombstone_hides_an_nsqd_until_its_time_is_over() {
        let mut registry = registry(100);
        let start = Tick::default();
        let (a, b) = (registry.join(producer(1), start), registry.join(producer(2), start));
        for id in [a, b] {
            registry.register(id, topic("t"), None).unwrap();
        }
        registry.register(a, topic("u"), None).unwrap();
        registry.tombstone("t", "h:1", start);
        registry.tombstone("t", "h:3", start);
        registry.register(a, topic("t"), Some(channel("c"))).unwrap();
        let just_before = start.after(Duration::from_millis(4999));
        assert_eq!(found(&registry, "t", just_before), Some(vec![2]));
        let hidden: Vec<Vec<bool>> =
            registry.nodes(start).map(|(_, topics)| topics.iter().map(|(_, hidden)| *hidden).collect()).collect();
        assert_eq!(hidden, [vec![true, false], vec![false]]);
        assert_eq!(found(&registry, "t", start.after(5 * SECOND)), Some(vec![1, 2]));

        registry.tombstone("t", "h:1", start);
        registry.unregister(a, &topic("t"), None);
        registry.register(a, topic("t"), None).unwrap();
        assert_eq!(found(&registry, "t", start), Some(vec![1, 2]), "registered anew");
    }

    #[test]
    fn an_nsqd_that_does_not_ping_is_left_out_until_it_does() {
        let mut registry = registry(100);
        let start = Tick::default();
        let a = registry.join(producer(1), start);
        registry.register(a, topic("t"), None).unwrap();
        assert_eq!(found(&registry, "t", start.after(10 * SECOND)), Some(vec![1]));
        let late = start.after(11 * SECOND);
        assert_eq!(found(&registry, "t", late), Some(vec![]));
        assert_eq!(registry.nodes(late).count(), 0);
        registry.touch(a, late);
        assert_eq!(found(&registry, "t", late), Some(vec![1]));
    }

    #[test]
    fn what_is_deleted_is_gone_whoever_has_it() {
        let mut registry = registry(100);
        let now = Tick::default();
        let a = registry.join(producer(1), now);
        registry.register(a, topic("t"), Some(channel("c"))).unwrap();
        assert!(!registry.delete_channel("t", "d") && !registry.delete_channel("u", "c"));
        assert!(registry.delete_channel("t", "c"));
        assert_eq!(names(&registry), "t()");
        assert!(registry.delete_topic("t") && !registry.delete_topic("t") && !registry.delete_topic("!"));
        assert_eq!(registry.nodes(now).map(|(_, topics)| topics.len()).collect::<Vec<_>>(), [0]);
        registry.register(a, topic("t"), None).unwrap();
        assert_eq!(found(&registry, "t", now), Some(vec![1]));
    }

    #[test]
    fn a_full_registry_refuses_what_is_new_after_it_has_forgotten_what_nobody_has() {
        let mut registry = registry(6);
        let a = registry.join(producer(1), Tick::default());
        registry.create(topic("orphan"), Some(channel("c"))).unwrap();
        registry.register(a, topic("t"), Some(channel("c"))).unwrap();
        assert_eq!(registry.register(a, topic("u"), Some(channel("d"))), Err(Full(6)));
        assert_eq!(names(&registry), "t(c)");
        registry.register(a, topic("t"), Some(channel("c"))).unwrap();
        registry.register(a, topic("u"), None).unwrap();
        assert_eq!(registry.create(topic("v"), None), Err(Full(6)));
        assert_eq!(names(&registry), "t(c) u()");
    }

    proptest! {
        #[test]
        fn entries_are_counted_right_whatever_happens(
            steps in prop::collection::vec((0_u8..7, 0..3_usize, 0..3_usize, 0..4_usize), 0..60),
        ) {
            let mut registry = registry(12);
            let now = Tick::default();
            let mut peers: Vec<_> = (0..3).map(|port| registry.join(producer(port + 1), now)).collect();
            for (step, peer, name, subname) in steps {
                let name = topic(["a", "b", "c#ephemeral"][name]);
                let sub = [None, Some(channel("x")), Some(channel("y")), Some(channel("z#ephemeral"))][subname].clone();
                match step {
                    0 | 1 => drop(registry.register(peers[peer], name, sub)),
                    2 => registry.unregister(peers[peer], &name, sub.as_ref()),
                    3 => drop(registry.create(name, sub)),
                    4 => drop(registry.delete_topic(name.as_str())),
                    5 => drop(registry.delete_channel(name.as_str(), sub.as_ref().map_or("", ChannelName::as_str))),
                    _ => {
                        registry.leave(peers[peer]);
                        peers[peer] = registry.join(producer(9), now);
                    }
                }
                prop_assert_eq!(registry.entries, registry.topics.values().map(Topic::entries).sum::<usize>());
                prop_assert!(registry.entries <= 12);
                for (id, peer) in &registry.peers {
                    for (name, topic) in &registry.topics {
                        prop_assert_eq!(peer.topics.contains(name), topic.producers.contains_key(id));
                        let in_channels = topic.channels.values().any(|producers| producers.contains(id));
                        prop_assert!(!in_channels || topic.producers.contains_key(id));
                    }
                }
            }
        }
    }
}
