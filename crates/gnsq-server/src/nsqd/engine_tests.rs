//! Topics and channels without sockets, in a time that only the tests move.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt;
use gnsq_proto::frame::{Frame, FrameDecoder};
use gnsq_proto::{ChannelName, MessageFrame, TopicName};
use proptest::prelude::*;

use super::broker::Broker;
use super::budget::Refused;
use super::channel::{Channel, SubscribeError};
use super::client::Client;
use super::consumers::Delivery;
use super::in_flight::NotInFlight;
use super::options::NsqdOptions;
use super::stats::StatsFilter;
use super::subscription::Subscription;
use super::topic::Topic;
use crate::clock::Clock;

const SECOND: Duration = Duration::from_secs(1);

/// A client as its connection's task uses it.
struct Peer {
    client: Arc<Client>,
    subscription: Subscription,
    held: Vec<MessageFrame>,
}

struct Nsqd {
    broker: Arc<Broker>,
    clock: Clock,
}

impl Nsqd {
    fn new(change: impl FnOnce(&mut NsqdOptions)) -> Self {
        let clock = Clock::manual();
        let mut options = NsqdOptions { clock: clock.clone(), ..NsqdOptions::default() };
        change(&mut options);
        Self { broker: Broker::alone(options), clock }
    }

    fn topic(&self, name: &str) -> Arc<Topic> {
        self.broker.topic_or_create(&TopicName::new(name).unwrap()).unwrap()
    }

    fn channel(&self, topic: &str, name: &str) -> Arc<Channel> {
        self.topic(topic).channel_or_create(&ChannelName::new(name).unwrap()).unwrap()
    }

    fn publish(&self, topic: &str, body: &str) {
        self.topic(topic).publish(self.broker.now(), body.as_bytes(), None).unwrap();
    }

    fn subscribe(&self, channel: &Arc<Channel>, ready: u32) -> Peer {
        let client = Client::new(self.broker.next_client_id(), None, 0);
        let delivery = Delivery { msg_timeout: 60 * SECOND, sample_rate: 0 };
        let subscription = channel.subscribe(&client, delivery).unwrap();
        subscription.set_ready(ready);
        let mut peer = Peer { client, subscription, held: Vec::new() };
        self.take(&mut peer);
        peer
    }

    /// Takes what there is; returns the bodies.
    fn take(&self, peer: &mut Peer) -> Vec<String> {
        let mut out = BytesMut::new();
        peer.subscription.take(self.broker.now(), &mut out, usize::MAX);
        let mut bodies = Vec::new();
        while let Some(frame) = FrameDecoder::new(1 << 20).decode(&mut out).unwrap() {
            let Frame::Message(message) = frame else { panic!("{frame:?}") };
            bodies.push(String::from_utf8(message.body.to_vec()).unwrap());
            peer.held.push(message);
        }
        bodies
    }

    /// What the alarms' task does.
    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.broker.shared().alarms.run(&self.clock).now_or_never();
    }
}

impl Peer {
    fn was_rung(&self) -> bool {
        self.client.rung().now_or_never().is_some()
    }
}

#[test]
fn a_waiting_consumer_is_rung_for_a_new_message() {
    let nsqd = Nsqd::new(|_| {});
    let mut peer = nsqd.subscribe(&nsqd.channel("t", "c"), 10);
    assert!(!peer.was_rung());
    nsqd.publish("t", "a");
    assert!(peer.was_rung());
    assert_eq!(nsqd.take(&mut peer), ["a"]);
    assert_eq!(peer.held[0].attempts, 1);
}

#[test]
fn latencies_run_from_publishing_to_finishing() {
    let nsqd = Nsqd::new(|options| options.e2e_processing_latency_percentiles = vec![0.1, 1.0]);
    let latencies = |channel: Option<&str>| {
        let stats = nsqd.broker.stats(&StatsFilter::default());
        let topic = stats.topic("t").unwrap().clone();
        let latency = match channel {
            Some(channel) => topic.channel(channel).unwrap().e2e_processing_latency.clone(),
            None => topic.e2e_processing_latency,
        };
        let values = latency.percentiles.iter().map(|percentile| (percentile.quantile, percentile.value / 1_000_000));
        (latency.count, values.collect::<Vec<_>>())
    };
    nsqd.topic("t");
    assert_eq!(latencies(None), (0, vec![]));
    let mut c = nsqd.subscribe(&nsqd.channel("t", "c"), 1);
    let mut d = nsqd.subscribe(&nsqd.channel("t", "d"), 1);
    nsqd.publish("t", "a");
    nsqd.take(&mut c);
    nsqd.take(&mut d);
    nsqd.clock.advance(2 * SECOND);
    c.subscription.requeue(nsqd.broker.now(), &c.held.pop().unwrap().id.0, Duration::ZERO).unwrap();
    assert_eq!(latencies(Some("c")), (0, vec![(1.0, 0), (0.1, 0)]));
    nsqd.take(&mut c);
    c.subscription.finish(nsqd.broker.now(), &c.held.pop().unwrap().id.0).unwrap();
    nsqd.clock.advance(3 * SECOND);
    d.subscription.finish(nsqd.broker.now(), &d.held.pop().unwrap().id.0).unwrap();
    assert_eq!(latencies(Some("c")), (1, vec![(1.0, 2000), (0.1, 2000)]));
    assert_eq!(latencies(Some("d")), (1, vec![(1.0, 5000), (0.1, 5000)]));
    let (count, values) = latencies(None);
    assert_eq!((count, values[0]), (2, (1.0, 5000)));
    assert!(values[1].1.abs_diff(2000) < 20, "{values:?}");
    nsqd.clock.advance(600 * SECOND);
    assert_eq!(latencies(None), (0, vec![(1.0, 0), (0.1, 0)]));
}

#[test]
fn consumers_share_what_is_queued() {
    let nsqd = Nsqd::new(|_| {});
    let channel = nsqd.channel("t", "c");
    let mut peers = [nsqd.subscribe(&channel, 100), nsqd.subscribe(&channel, 100)];
    for number in 0..10 {
        nsqd.publish("t", &number.to_string());
    }
    while peers.iter_mut().any(|peer| peer.was_rung() && !nsqd.take(peer).is_empty()) {}
    let counts = peers.map(|peer| peer.held.len());
    assert_eq!(counts.iter().sum::<usize>(), 10);
    assert!(counts.iter().all(|count| *count >= 3), "{counts:?}");
}

#[test]
fn a_consumer_without_room_leaves_the_message_to_the_next() {
    let nsqd = Nsqd::new(|_| {});
    let channel = nsqd.channel("t", "c");
    let mut first = nsqd.subscribe(&channel, 1);
    let mut second = nsqd.subscribe(&channel, 1);
    nsqd.publish("t", "a");
    assert!(first.was_rung());
    first.subscription.set_ready(0);
    assert!(nsqd.take(&mut first).is_empty());
    assert!(second.was_rung());
    assert_eq!(nsqd.take(&mut second), ["a"]);
}

#[test]
fn a_consumer_that_leaves_passes_the_bell_on() {
    let nsqd = Nsqd::new(|_| {});
    let channel = nsqd.channel("t", "c");
    let first = nsqd.subscribe(&channel, 1);
    let second = nsqd.subscribe(&channel, 1);
    nsqd.publish("t", "a");
    drop(first);
    assert!(second.was_rung());
}

#[test]
fn a_message_times_out_for_its_holder_and_nobody_else() {
    let nsqd = Nsqd::new(|_| {});
    let channel = nsqd.channel("t", "c");
    let mut peer = nsqd.subscribe(&channel, 1);
    nsqd.publish("t", "a");
    nsqd.take(&mut peer);
    let id = peer.held[0].id.0;
    nsqd.advance(Duration::new(59, 999_999_999));
    assert_eq!(channel.state().timeout_count, 0);
    nsqd.advance(Duration::from_nanos(1));
    assert_eq!(channel.state().timeout_count, 1);
    assert_eq!(peer.subscription.finish(nsqd.broker.now(), &id), Err(NotInFlight::Unknown));
    assert!(peer.was_rung());
    assert_eq!(nsqd.take(&mut peer), ["a"]);
    assert_eq!(peer.held[1].attempts, 2);
    let other = nsqd.subscribe(&channel, 1);
    assert_eq!(other.subscription.finish(nsqd.broker.now(), &id), Err(NotInFlight::NotOwner));
    assert_eq!(peer.subscription.finish(nsqd.broker.now(), &id), Ok(()));
}

#[test]
fn touches_end_at_the_servers_maximum() {
    let nsqd = Nsqd::new(|options| options.max_msg_timeout = 100 * SECOND);
    let channel = nsqd.channel("t", "c");
    let mut peer = nsqd.subscribe(&channel, 1);
    nsqd.publish("t", "a");
    nsqd.take(&mut peer);
    let id = peer.held[0].id.0;
    for _ in 0..3 {
        nsqd.advance(30 * SECOND);
        peer.subscription.touch(nsqd.broker.now(), &id).unwrap();
    }
    nsqd.advance(Duration::new(9, 999_999_999));
    assert_eq!(channel.state().timeout_count, 0);
    nsqd.advance(Duration::from_nanos(1));
    assert_eq!(channel.state().timeout_count, 1);
}

#[test]
fn what_is_deferred_waits_from_when_a_channel_has_it() {
    let nsqd = Nsqd::new(|_| {});
    nsqd.topic("t").publish(nsqd.broker.now(), b"a", Some(10 * SECOND)).unwrap();
    nsqd.advance(60 * SECOND);
    let mut peer = nsqd.subscribe(&nsqd.channel("t", "c"), 5);
    nsqd.advance(9 * SECOND);
    assert!(nsqd.take(&mut peer).is_empty());
    nsqd.advance(SECOND);
    assert!(peer.was_rung());
    assert_eq!(nsqd.take(&mut peer), ["a"]);
    peer.subscription.requeue(nsqd.broker.now(), &peer.held[0].id.0, SECOND).unwrap();
    nsqd.advance(SECOND);
    assert_eq!(nsqd.take(&mut peer), ["a"]);
}

#[test]
fn a_message_counts_until_its_last_copy_is_gone() {
    let nsqd = Nsqd::new(|options| options.max_messages = 1);
    let channels = [nsqd.channel("t", "a"), nsqd.channel("t", "b")];
    nsqd.publish("t", "x");
    let refused = nsqd.topic("t").publish(nsqd.broker.now(), b"y", None);
    assert_eq!(refused, Err(Refused::Messages(1)));
    channels[0].empty();
    assert!(nsqd.topic("t").publish(nsqd.broker.now(), b"y", None).is_err());
    let mut peer = nsqd.subscribe(&channels[1], 1);
    peer.subscription.finish(nsqd.broker.now(), &peer.held.pop().unwrap().id.0).unwrap();
    nsqd.publish("t", "y");
}

#[test]
fn a_batch_that_does_not_fit_leaves_nothing_behind() {
    let nsqd = Nsqd::new(|options| options.max_messages = 3);
    let channel = nsqd.channel("t", "c");
    let bodies = [&b"1"[..], b"2", b"3", b"4"];
    assert!(nsqd.topic("t").publish_all(nsqd.broker.now(), bodies.into_iter()).is_err());
    assert_eq!(channel.state().queue.len(), 0);
    nsqd.topic("t").publish_all(nsqd.broker.now(), bodies.into_iter().take(3)).unwrap();
    assert_eq!(channel.state().queue.len(), 3);
}

#[test]
fn an_ephemeral_channel_and_topic_end_with_their_last_consumer() {
    let nsqd = Nsqd::new(|_| {});
    let channel = nsqd.channel("t#ephemeral", "c#ephemeral");
    let first = nsqd.subscribe(&channel, 1);
    let second = nsqd.subscribe(&channel, 1);
    drop(first);
    assert!(nsqd.broker.topic("t#ephemeral").is_some());
    drop(second);
    assert!(nsqd.broker.topic("t#ephemeral").is_none());
    let client = Client::new(99, None, 0);
    let delivery = Delivery { msg_timeout: SECOND, sample_rate: 0 };
    assert_eq!(channel.subscribe(&client, delivery).unwrap_err(), SubscribeError::Deleted);
}

#[test]
fn an_ephemeral_channel_drops_what_it_has_no_room_for() {
    let nsqd = Nsqd::new(|options| options.mem_queue_size = 2);
    let channel = nsqd.channel("t", "c#ephemeral");
    for body in ["1", "2", "3"] {
        nsqd.publish("t", body);
    }
    let state = channel.state();
    assert_eq!((state.queue.len(), state.message_count), (2, 3));
}

#[test]
fn deleting_a_topic_closes_its_consumers_and_gives_back_its_room() {
    let nsqd = Nsqd::new(|options| (options.max_topics, options.max_channels) = (1, 1));
    let channel = nsqd.channel("t", "c");
    let peer = nsqd.subscribe(&channel, 1);
    nsqd.publish("t", "a");
    assert_eq!(nsqd.topic("t").channel_or_create(&ChannelName::new("d").unwrap()).unwrap_err(), Refused::Channels(1));
    let topic = nsqd.topic("t");
    assert!(nsqd.broker.delete_topic("t"));
    assert!(peer.client.is_closed());
    assert_eq!(topic.publish(nsqd.broker.now(), b"x", None), Err(Refused::Deleted));
    assert_eq!(nsqd.broker.shared().budget.messages(), 0);
    nsqd.channel("u", "c");
}

#[test]
fn a_paused_topic_keeps_its_messages_and_a_held_one_too() {
    let nsqd = Nsqd::new(|_| {});
    let channel = nsqd.channel("t", "c");
    nsqd.topic("t").set_paused(true);
    nsqd.publish("t", "a");
    assert_eq!(channel.state().queue.len(), 0);
    nsqd.topic("t").set_paused(false);
    assert_eq!(channel.state().queue.len(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Publish(u8),
    Ready(usize, u32),
    Finish(usize),
    Requeue(usize, u64),
    Touch(usize),
    Advance(u64),
    Pause(bool),
    Leave(usize),
    Join,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u8..5).prop_map(Step::Publish),
        2 => (0_usize..4, 0_u32..4).prop_map(|(peer, count)| Step::Ready(peer, count)),
        4 => (0_usize..4).prop_map(Step::Finish),
        2 => (0_usize..4, 0_u64..40).prop_map(|(peer, delay)| Step::Requeue(peer, delay)),
        1 => (0_usize..4).prop_map(Step::Touch),
        2 => (1_u64..70).prop_map(Step::Advance),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => (0_usize..4).prop_map(Step::Leave),
        1 => Just(Step::Join),
    ]
}

proptest! {
    /// Whatever is done: a message is somewhere until it is finished, and no consumer with room is left to wait beside
    /// a message, as long as each takes when its bell rings or after its own commands.
    #[test]
    fn nothing_is_lost_and_nobody_waits_in_vain(steps in prop::collection::vec(step(), 1..150)) {
        let nsqd = Nsqd::new(|_| {});
        let channel = nsqd.channel("t", "c");
        let mut peers: Vec<Peer> = Vec::new();
        let (mut published, mut finished) = (0_usize, 0_usize);
        let mut seen: HashMap<[u8; 16], u16> = HashMap::new();
        for step in steps {
            let mut acted = None;
            match step {
                Step::Publish(count) => {
                    published += usize::from(count);
                    let bodies = vec![&b"x"[..]; usize::from(count)];
                    nsqd.topic("t").publish_all(nsqd.broker.now(), bodies.into_iter()).unwrap();
                }
                Step::Ready(peer, count) if peer < peers.len() => {
                    peers[peer].subscription.set_ready(count);
                    acted = Some(peer);
                }
                Step::Finish(peer) if peer < peers.len() => {
                    if let Some(message) = peers[peer].held.pop() {
                        finished += usize::from(peers[peer].subscription.finish(nsqd.broker.now(), &message.id.0).is_ok());
                    }
                    acted = Some(peer);
                }
                Step::Requeue(peer, delay) if peer < peers.len() => {
                    if let Some(message) = peers[peer].held.pop() {
                        let delay = Duration::from_secs(delay);
                        let _ = peers[peer].subscription.requeue(nsqd.broker.now(), &message.id.0, delay);
                    }
                    acted = Some(peer);
                }
                Step::Touch(peer) if peer < peers.len() => {
                    if let Some(message) = peers[peer].held.last() {
                        let _ = peers[peer].subscription.touch(nsqd.broker.now(), &message.id.0);
                    }
                    acted = Some(peer);
                }
                Step::Advance(seconds) => nsqd.advance(Duration::from_secs(seconds)),
                Step::Pause(paused) => channel.set_paused(paused),
                Step::Leave(peer) if peer < peers.len() => drop(peers.remove(peer)),
                Step::Join if peers.len() < 4 => peers.push(nsqd.subscribe(&channel, 1)),
                _ => {}
            }
            if let Some(peer) = acted {
                nsqd.take(&mut peers[peer]);
            }
            while let Some(peer) = peers.iter_mut().find(|peer| peer.was_rung()) {
                nsqd.take(peer);
            }
            for message in peers.iter().flat_map(|peer| &peer.held) {
                let attempts = seen.entry(message.id.0).or_default();
                *attempts = message.attempts.max(*attempts);
            }
            let mut state = channel.state();
            let kept = state.queue.len() + state.in_flight.len() + state.deferred.len();
            prop_assert_eq!(published, finished + kept);
            prop_assert_eq!(nsqd.broker.shared().budget.messages(), kept);
            if !state.paused && !state.queue.is_empty() {
                prop_assert!(state.consumers.iter_mut().all(|consumer| consumer.capacity() == 0));
            }
            let in_flight: u32 = state.consumers.iter().map(|consumer| consumer.in_flight).sum();
            prop_assert!(in_flight as usize <= state.in_flight.len());
        }
    }
}
