//! What an nsqlookupd has been told, and what it has to be told next.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use gnsq_proto::lookupd::LookupdCommand;
use gnsq_proto::{ChannelName, TopicName};

use crate::nsqd::channel::Channel;
use crate::nsqd::topic::Topic;

/// What is registered over one connection: nothing at first.
#[derive(Debug, Default)]
pub(super) struct Registered(BTreeMap<TopicName, Told>);

/// A topic that has been deleted and created anew is another one, which nsqlookupd has to be told: it may have been
/// tombstoned or deleted there.
#[derive(Debug)]
struct Told {
    topic: Weak<Topic>,
    channels: BTreeMap<ChannelName, Weak<Channel>>,
}

impl Registered {
    /// What to say now that there are these topics. Whatever happened in between doesn't matter.
    pub(super) fn update(&mut self, topics: &[Arc<Topic>]) -> Vec<LookupdCommand> {
        let mut commands = Vec::new();
        let mut before = std::mem::take(&mut self.0);
        for topic in topics {
            let name = topic.name();
            let mut told = before.remove(name);
            if let Some(other) = told.take_if(|told| !is(&told.topic, topic)) {
                other.unregister(name, &mut commands);
            }
            let is_new = told.is_none();
            let mut old = told.map(|told| told.channels).unwrap_or_default();
            let mut channels = BTreeMap::new();
            for channel in topic.snapshot().channels {
                let channel_name = channel.name().clone();
                let known = old.remove(&channel_name);
                if !known.as_ref().is_some_and(|known| is(known, &channel)) {
                    if known.is_some() {
                        commands.push(LookupdCommand::Unregister(name.clone(), Some(channel_name.clone())));
                    }
                    // This registers the topic too.
                    commands.push(LookupdCommand::Register(name.clone(), Some(channel_name.clone())));
                }
                channels.insert(channel_name, Arc::downgrade(&channel));
            }
            if is_new && channels.is_empty() {
                commands.push(LookupdCommand::Register(name.clone(), None));
            }
            commands.extend(old.into_keys().map(|gone| LookupdCommand::Unregister(name.clone(), Some(gone))));
            self.0.insert(name.clone(), Told { topic: Arc::downgrade(topic), channels });
        }
        for (name, gone) in before {
            gone.unregister(&name, &mut commands);
        }
        commands
    }
}

impl Told {
    /// The channels too: nsqlookupd forgets an ephemeral one only when it is named.
    fn unregister(self, topic: &TopicName, commands: &mut Vec<LookupdCommand>) {
        commands
            .extend(self.channels.into_keys().map(|channel| LookupdCommand::Unregister(topic.clone(), Some(channel))));
        commands.push(LookupdCommand::Unregister(topic.clone(), None));
    }
}

fn is<T>(known: &Weak<T>, current: &Arc<T>) -> bool {
    std::ptr::eq(known.as_ptr(), Arc::as_ptr(current))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::nsqd::broker::Broker;
    use crate::nsqd::options::NsqdOptions;

    struct Nsqd {
        broker: Arc<Broker>,
        registered: Registered,
    }

    impl Nsqd {
        fn new() -> Self {
            Self { broker: Broker::alone(NsqdOptions::default()), registered: Registered::default() }
        }

        fn topic(&self, name: &str) -> Arc<Topic> {
            self.broker.topic_or_create(&TopicName::new(name).unwrap()).unwrap()
        }

        fn channel(&self, topic: &str, name: &str) {
            self.topic(topic).channel_or_create(&ChannelName::new(name).unwrap()).unwrap();
        }

        /// What is said now.
        fn said(&mut self) -> String {
            let mut wire = BytesMut::new();
            for command in self.registered.update(&self.broker.topics()) {
                command.encode(&mut wire);
            }
            String::from_utf8(wire.to_vec()).unwrap().trim_end().replace('\n', ", ")
        }
    }

    #[test]
    fn only_what_changes_is_said() {
        let mut nsqd = Nsqd::new();
        assert_eq!(nsqd.said(), "");
        nsqd.topic("bare");
        nsqd.channel("t", "c");
        nsqd.channel("t", "d");
        assert_eq!(nsqd.said(), "REGISTER bare, REGISTER t c, REGISTER t d");
        assert_eq!(nsqd.said(), "");
        nsqd.channel("bare", "c");
        nsqd.topic("t").delete_channel("d");
        assert_eq!(nsqd.said(), "REGISTER bare c, UNREGISTER t d");
        nsqd.topic("t").delete_channel("c");
        assert_eq!(nsqd.said(), "UNREGISTER t c");
        nsqd.broker.delete_topic("t");
        nsqd.broker.delete_topic("bare");
        assert_eq!(nsqd.said(), "UNREGISTER bare c, UNREGISTER bare, UNREGISTER t");
    }

    #[test]
    fn what_came_and_went_in_between_is_not_said() {
        let mut nsqd = Nsqd::new();
        nsqd.channel("t", "c");
        nsqd.broker.delete_topic("t");
        assert_eq!(nsqd.said(), "");
    }

    #[test]
    fn what_was_created_anew_in_between_is_said_anew() {
        let mut nsqd = Nsqd::new();
        nsqd.channel("t", "c");
        nsqd.said();
        nsqd.broker.delete_topic("t");
        nsqd.channel("t", "c");
        assert_eq!(nsqd.said(), "UNREGISTER t c, UNREGISTER t, REGISTER t c");
        nsqd.topic("t").delete_channel("c");
        nsqd.channel("t", "c");
        assert_eq!(nsqd.said(), "UNREGISTER t c, REGISTER t c");
    }

    #[test]
    fn a_new_connection_is_told_all() {
        let mut nsqd = Nsqd::new();
        nsqd.channel("t", "c");
        nsqd.said();
        nsqd.registered = Registered::default();
        assert_eq!(nsqd.said(), "REGISTER t c");
    }
}
