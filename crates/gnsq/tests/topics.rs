//! Consumers of several topics: named ones, and those that match a pattern as they come and go.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gnsq::{Address, Consumer, ConsumerBuilder, Message, NsqdHttpClient, Producer, TopicName};
use gnsq_testkit::{Cluster, Nsqd, Nsqlookupd, eventually};
use support::{Consuming, DEADLINE, Seen, number, within};

const POLL: Duration = Duration::from_millis(50);
const CHANNEL: &str = "archive";

fn matching(pattern: &str, lookupds: impl IntoIterator<Item = String>) -> ConsumerBuilder {
    Consumer::matching(pattern, CHANNEL)
        .lookupds(lookupds)
        .lookupd_poll_interval(POLL)
        .max_reconnect_delay(Duration::from_millis(200))
        .max_attempts(0)
}

async fn fill(nsqd: impl Into<Address>, topic: &str, numbers: impl IntoIterator<Item = u64>) {
    let producer = Producer::builder().nsqd(nsqd.into()).build().unwrap();
    producer.multipublish(topic, numbers.into_iter().map(|number| number.to_string())).await.unwrap();
    producer.close().await;
}

/// Lets discovery ask several times.
async fn next_polls(lookupd: &Nsqlookupd, count: usize) {
    let polls = || lookupd.log().matches("GET /nodes").count();
    let before = polls();
    eventually(DEADLINE, "polls", async || (polls() > before + count).then_some(())).await;
}

/// Which numbers came from which topic.
type Origins = Arc<Mutex<BTreeMap<TopicName, BTreeSet<u64>>>>;

fn noting(builder: ConsumerBuilder, seen: &Seen) -> (Consuming, Origins) {
    let (origins, seen) = (Origins::default(), seen.clone());
    let noted = origins.clone();
    let consuming = Consuming::with(builder, move |message: Message| {
        noted.lock().unwrap().entry(message.topic().clone()).or_default().insert(number(&message));
        seen.note(&message);
        std::future::ready(Ok::<_, std::io::Error>(()))
    });
    (consuming, origins)
}

fn topics_of(origins: &Origins) -> Vec<String> {
    origins.lock().unwrap().keys().map(ToString::to_string).collect()
}

#[tokio::test]
async fn topics_that_match_are_consumed_from_all_nsqds_and_others_are_not() {
    let cluster = Cluster::start(2, 2).await;
    fill(cluster.nsqds[0].tcp_address(), "orders.new", 0..10).await;
    fill(cluster.nsqds[1].tcp_address(), "orders.new", 10..20).await;
    fill(cluster.nsqds[1].tcp_address(), "orders.paid", 20..30).await;
    fill(cluster.nsqds[0].tcp_address(), "reorders.new", 30..40).await;
    let seen = Seen::new();
    let (consuming, origins) = noting(matching(r"^orders\.", cluster.lookupd_urls()), &seen);
    seen.wait_for(0..30).await;
    consuming.wait_for_connections(3).await;
    assert_eq!(origins.lock().unwrap()[&TopicName::new("orders.new").unwrap()], (0..20).collect());
    assert_eq!(topics_of(&origins), ["orders.new", "orders.paid"]);
    assert!(cluster.nsqds[0].channel_stats("reorders.new", CHANNEL).await.is_none());
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
}

#[tokio::test]
async fn topics_are_followed_as_they_appear() {
    let cluster = Cluster::start(2, 1).await;
    let seen = Seen::new();
    let (consuming, origins) = noting(matching("^orders", cluster.lookupd_urls()), &seen);
    next_polls(&cluster.lookupds[0], 2).await;
    assert_eq!(consuming.handle.stats().connections, 0);
    for (index, topic) in ["orders", "orders.a", "orders.b"].into_iter().enumerate() {
        let first = index as u64 * 10;
        fill(cluster.nsqds[index % 2].tcp_address(), topic, first..first + 10).await;
        seen.wait_for(first..first + 10).await;
    }
    assert_eq!(topics_of(&origins), ["orders", "orders.a", "orders.b"]);
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_topic_that_is_deleted_stays_so_until_someone_publishes_to_it() {
    let cluster = Cluster::start(1, 1).await;
    let nsqd = &cluster.nsqds[0];
    fill(nsqd.tcp_address(), "orders.a", 0..10).await;
    fill(nsqd.tcp_address(), "orders.b", 10..20).await;
    let seen = Seen::new();
    let (consuming, _) = noting(matching("^orders", cluster.lookupd_urls()), &seen);
    seen.wait_for(0..20).await;
    nsqd.delete_topic("orders.a").await;
    consuming.wait_for_connections(1).await;
    // Longer than any reconnect takes.
    next_polls(&cluster.lookupds[0], 60).await;
    assert_eq!(consuming.handle.stats().connections, 1);
    assert!(nsqd.topic_stats("orders.a").await.is_none());
    fill(nsqd.tcp_address(), "orders.b", 20..30).await;
    seen.wait_for(20..30).await;
    fill(nsqd.tcp_address(), "orders.a", 30..40).await;
    seen.wait_for(30..40).await;
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_tombstoned_topic_is_not_found_at_that_nsqd() {
    let cluster = Cluster::start(2, 1).await;
    for (nsqd, first) in cluster.nsqds.iter().zip([0, 10]) {
        fill(nsqd.tcp_address(), "orders.a", first..first + 10).await;
        let topic = TopicName::new("orders.a").unwrap();
        let lookupd = gnsq::LookupdClient::new(cluster.lookupds[0].http_url()).unwrap();
        eventually(DEADLINE, "the topic to be registered", async || {
            let nodes = lookupd.nodes().await.unwrap();
            let port = nsqd.tcp_address().port();
            let node = nodes.iter().find(|node| node.producer.tcp_port == Some(port))?;
            node.topics.iter().any(|registered| registered.topic == topic).then_some(())
        })
        .await;
        if first == 0 {
            lookupd.tombstone_topic(&topic, &nsqd.http_address().to_string()).await.unwrap();
        }
    }
    let seen = Seen::new();
    let (consuming, _) = noting(matching("^orders", cluster.lookupd_urls()), &seen);
    seen.wait_for(10..20).await;
    next_polls(&cluster.lookupds[0], 2).await;
    assert_eq!((consuming.handle.stats().connections, seen.distinct()), (1, 10));
    consuming.shutdown().await;
}

#[tokio::test]
async fn an_nsqd_that_restarts_is_found_again_with_its_topics() {
    let mut cluster = Cluster::start(2, 1).await;
    for (nsqd, first) in cluster.nsqds.iter().zip([0, 10]) {
        fill(nsqd.tcp_address(), "orders.a", first..first + 10).await;
    }
    let seen = Seen::new();
    let (consuming, _) = noting(matching("^orders", cluster.lookupd_urls()), &seen);
    seen.wait_for(0..20).await;
    consuming.wait_for_connections(2).await;
    cluster.nsqds[0].restart().await;
    fill(cluster.nsqds[0].tcp_address(), "orders.a", 20..30).await;
    seen.wait_for(20..30).await;

    // While nsqlookupd is away, what it knew last holds.
    cluster.lookupds[0].stop().await;
    cluster.nsqds[1].restart().await;
    fill(cluster.nsqds[1].tcp_address(), "orders.a", 30..40).await;
    seen.wait_for(30..40).await;
    consuming.wait_for_connections(2).await;
    consuming.shutdown().await;
}

#[tokio::test]
async fn many_topics_share_a_small_max_in_flight() {
    const TOPICS: u64 = 12;
    for max_in_flight in [1, 3] {
        let cluster = Cluster::start(2, 1).await;
        for topic in 0..TOPICS {
            for (nsqd, half) in cluster.nsqds.iter().zip([0, 1]) {
                let first = (topic * 2 + half) * 10;
                fill(nsqd.tcp_address(), &format!("orders.{topic}"), first..first + 10).await;
            }
        }
        let builder = matching("^orders", cluster.lookupd_urls())
            .turns(Duration::from_millis(20), Duration::from_secs(1))
            .max_in_flight(max_in_flight)
            .concurrency(8);
        let consumer = builder.build().unwrap();
        let handle = consumer.handle().clone();
        let (seen, exceeded) = (Seen::new(), Arc::new(AtomicBool::new(false)));
        let running = tokio::spawn({
            let (seen, exceeded, handle) = (seen.clone(), exceeded.clone(), handle.clone());
            consumer.run(move |message: Message| {
                // The connections are looked at one by one: a place that moves on meanwhile can be counted twice, once.
                if (0..10).all(|_| handle.total_ready() > max_in_flight) {
                    exceeded.store(true, Ordering::Relaxed);
                }
                seen.note(&message);
                std::future::ready(Ok::<_, std::io::Error>(()))
            })
        });
        seen.wait_for(0..TOPICS * 20).await;
        assert!(!exceeded.load(Ordering::Relaxed));
        let stats = handle.stats();
        assert_eq!((stats.connections, stats.requeued), (24, 0));
        within("the shutdown", handle.shutdown()).await;
        running.await.unwrap();
    }
}

#[tokio::test]
async fn several_named_topics_have_a_connection_each() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), "orders", 0..10).await;
    let seen = Seen::new();
    let builder = Consumer::builder("orders", CHANNEL).topics(["bills", "orders"]).nsqd(nsqd.tcp_address());
    let (consuming, origins) = noting(builder, &seen);
    consuming.wait_for_connections(2).await;
    fill(nsqd.tcp_address(), "bills", 10..20).await;
    seen.wait_for(0..20).await;
    assert_eq!(topics_of(&origins), ["bills", "orders"]);
    consuming.shutdown().await;
}

#[tokio::test]
async fn several_named_topics_are_found_through_nsqlookupd() {
    let cluster = Cluster::start(2, 1).await;
    fill(cluster.nsqds[0].tcp_address(), "orders", 0..10).await;
    fill(cluster.nsqds[1].tcp_address(), "bills", 10..20).await;
    let seen = Seen::new();
    let builder = Consumer::builder("orders", CHANNEL).topics(["bills"]).lookupds(cluster.lookupd_urls());
    let (consuming, origins) = noting(builder, &seen);
    seen.wait_for(0..20).await;
    assert_eq!(topics_of(&origins), ["bills", "orders"]);
    consuming.shutdown().await;
}

#[tokio::test]
async fn events_name_the_topic() {
    let nsqd = Nsqd::start().await;
    let mut consumer = Consumer::builder("orders", CHANNEL).topics(["bills"]).nsqd(nsqd.tcp_address()).build().unwrap();
    let signals = consumer.handle().signals().clone();
    let (mut messages, mut finished) = (signals.on_message.subscribe(9), signals.on_finish.subscribe(9));
    let (mut requeued, mut closed) = (signals.on_requeue.subscribe(9), signals.on_close.subscribe(9));
    fill(nsqd.tcp_address(), "bills", [1]).await;
    let message = within("a message", consumer.recv()).await.unwrap();
    assert_eq!(message.topic().as_str(), "bills");
    message.requeue(Duration::ZERO).unwrap();
    assert_eq!(requeued.recv().await.unwrap().topic.as_str(), "bills");
    within("the message again", consumer.recv()).await.unwrap().finish().unwrap();
    assert_eq!(messages.recv().await.unwrap().topic.as_str(), "bills");
    assert_eq!(finished.recv().await.unwrap().topic.as_str(), "bills");
    within("the shutdown", consumer.handle().shutdown()).await;
    let topics: BTreeSet<_> = [closed.recv().await, closed.recv().await]
        .into_iter()
        .map(|event| event.unwrap().topic.unwrap().to_string())
        .collect();
    assert_eq!(topics, BTreeSet::from(["bills".to_owned(), "orders".to_owned()]));
}

/// The same with the embedded servers.
#[tokio::test]
async fn topics_of_the_embedded_servers_come_and_go() {
    let lookupd = gnsq_server::Nsqlookupd::start().await.unwrap();
    let nsqd = gnsq_server::Nsqd::builder().lookupd(&lookupd).start().await.unwrap();
    let address = || nsqd.tcp_address().parse::<Address>().unwrap();
    let http = NsqdHttpClient::new(nsqd.http_url()).unwrap();
    fill(address(), "orders.a", 0..10).await;
    let seen = Seen::new();
    let (consuming, _) = noting(matching("^orders", [lookupd.http_url()]), &seen);
    seen.wait_for(0..10).await;
    fill(address(), "orders.b", 10..20).await;
    seen.wait_for(10..20).await;
    http.delete_topic(&TopicName::new("orders.a").unwrap()).await.unwrap();
    consuming.wait_for_connections(1).await;
    fill(address(), "orders.a", 20..30).await;
    fill(address(), "orders.b", 30..40).await;
    seen.wait_for(20..40).await;
    consuming.wait_for_connections(2).await;
    consuming.shutdown().await;
    nsqd.shutdown().await;
    lookupd.shutdown().await;
}
