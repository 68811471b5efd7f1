//! The topics that a connection has published to lately, each found without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gnsq_proto::TopicName;
use rustc_hash::FxHashMap;

use crate::nsqd::client::Client;
use crate::nsqd::topic::Topic;

/// Some topics, of which one is the current one.
#[derive(Debug, Default)]
pub(super) struct Recent {
    topics: Vec<Outlet>,
    by_name: FxHashMap<TopicName, usize>,
    current: usize,
}

/// A topic, and how many messages the client has published to it.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) topic: Arc<Topic>,
    published: Arc<AtomicU64>,
}

impl Recent {
    pub(super) fn current(&self) -> Option<&Outlet> {
        self.topics.get(self.current)
    }

    /// Makes the topic of that name the current one, if it is known here.
    pub(super) fn find(&mut self, name: &str) -> bool {
        if self.current().is_some_and(|outlet| outlet.topic.name().as_str() == name) {
            return true;
        }
        let Some(index) = self.by_name.get(name) else { return false };
        self.current = *index;
        true
    }

    /// Makes `topic` the current one, in the place of another of that name.
    pub(super) fn set(&mut self, topic: Arc<Topic>, client: &Client) {
        if self.topics.len() >= MOST && !self.by_name.contains_key(topic.name()) {
            *self = Self::default();
        }
        let outlet = Outlet { published: client.published_to(topic.name()), topic };
        self.current = *self.by_name.entry(outlet.topic.name().clone()).or_insert(self.topics.len());
        match self.topics.get_mut(self.current) {
            Some(place) => *place = outlet,
            None => self.topics.push(outlet),
        }
    }
}

impl Outlet {
    pub(super) fn count(&self, messages: u64) {
        self.published.fetch_add(messages, Ordering::Relaxed);
    }
}

/// A connection that publishes to more topics looks some of them up again. Each is kept in memory by it.
const MOST: usize = 256;
