//! nsqds that come, go, move and are forgotten, found through nsqlookupds that do the same.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gnsq::{ConsumerBuilder, LookupdClient, Producer, ProducerBuilder};
use gnsq_testkit::{Cluster, Nsqd, Nsqlookupd, Proxy, eventually, http};
use support::{CHANNEL, Consuming, DEADLINE, Seen, TOPIC, consumer, fill};
use tokio::net::TcpSocket;

const POLL: Duration = Duration::from_millis(50);

fn finder<'a>(lookupds: impl IntoIterator<Item = &'a Nsqlookupd>) -> ConsumerBuilder {
    consumer().lookupds(lookupds.into_iter().map(Nsqlookupd::http_url)).lookupd_poll_interval(POLL)
}

/// An nsqd that tells nsqlookupd the address of a proxy: who finds it connects through the proxy.
async fn nsqd_behind_proxy(lookupd: &Nsqlookupd) -> (Nsqd, Proxy) {
    // Each has to know the other's port first. One that is bound, but not listened on, is given to nobody else.
    let reserved = TcpSocket::new_v4().unwrap();
    reserved.set_reuseaddr(true).unwrap();
    reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = reserved.local_addr().unwrap();
    let proxy = Proxy::to(address).await;
    let nsqd = Nsqd::builder()
        .arg(format!("--tcp-address={address}"))
        .arg(format!("--broadcast-tcp-port={}", proxy.address().port()))
        .lookupd(lookupd)
        .start()
        .await;
    (nsqd, proxy)
}

/// Lets discovery ask once more at the least.
async fn next_poll(lookupd: &Nsqlookupd) {
    let polls = || lookupd.log().matches("/lookup?topic=").count();
    let before = polls();
    // One may be under way that was answered before.
    eventually(DEADLINE, "two polls", async || (polls() >= before + 2).then_some(())).await;
}

#[tokio::test]
async fn a_topic_created_later_is_found() {
    let cluster = Cluster::start(2, 1).await;
    let seen = Seen::new();
    let consuming = Consuming::into(finder(&cluster.lookupds), &seen);
    next_poll(&cluster.lookupds[0]).await;
    assert_eq!(consuming.handle.stats().connections, 0);
    fill(cluster.nsqds[0].tcp_address(), 0..100).await;
    seen.wait_for(0..100).await;
    // Another nsqd gets the topic.
    fill(cluster.nsqds[1].tcp_address(), 100..200).await;
    seen.wait_for(100..200).await;
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
}

#[tokio::test]
async fn who_asks_for_it_has_nsqlookupd_asked_at_once() {
    let cluster = Cluster::start(2, 1).await;
    fill(cluster.nsqds[0].tcp_address(), 0..10).await;
    let seen = Seen::new();
    let builder = consumer()
        .lookupd(cluster.lookupds[0].http_url())
        .lookupd_poll_interval(Duration::from_secs(1000))
        .lookupd_poll_jitter(0.0);
    let consuming = Consuming::into(builder, &seen);
    seen.wait_for(0..10).await;
    fill(cluster.nsqds[1].tcp_address(), 10..20).await;
    eventually(DEADLINE, "the topic's nsqds", async || {
        (cluster.lookupds[0].lookup(TOPIC).await?.len() == 2).then_some(())
    })
    .await;
    consuming.handle.query_lookupd();
    seen.wait_for(10..20).await;
    consuming.shutdown().await;
}

#[tokio::test]
async fn an_nsqd_may_be_named_while_the_consumer_runs() {
    let nsqds = [Nsqd::start().await, Nsqd::start().await];
    fill(nsqds[0].tcp_address(), 0..10).await;
    fill(nsqds[1].tcp_address(), 10..20).await;
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(nsqds[0].tcp_address()), &seen);
    seen.wait_for(0..10).await;
    assert!(consuming.handle.add_nsqd("not:an:address").is_err());
    for nsqd in &nsqds {
        consuming.handle.add_nsqd(nsqd.tcp_address()).unwrap();
        consuming.handle.add_nsqd(nsqd.tcp_address()).unwrap();
    }
    seen.wait_for(10..20).await;
    consuming.wait_for_connections(2).await;
    consuming.shutdown().await;
    assert_eq!(seen.duplicates(), 0);
}

#[tokio::test]
async fn what_any_of_several_nsqlookupds_knows_is_used() {
    let lookupds = [Nsqlookupd::start().await, Nsqlookupd::start().await];
    let first = Nsqd::builder().lookupd(&lookupds[0]).start().await;
    let second = Nsqd::builder().lookupd(&lookupds[1]).start().await;
    fill(first.tcp_address(), 0..100).await;
    fill(second.tcp_address(), 100..200).await;
    let seen = Seen::new();
    let consuming = Consuming::into(finder(&lookupds), &seen);
    seen.wait_for(0..200).await;
    consuming.wait_for_connections(2).await;
    consuming.shutdown().await;
}

#[tokio::test]
async fn nsqds_stay_known_while_nsqlookupd_is_away_and_are_not_connected_twice_when_it_is_back() {
    let mut cluster = Cluster::start(2, 1).await;
    for (nsqd, start) in cluster.nsqds.iter().zip([0, 100]) {
        fill(nsqd.tcp_address(), start..start + 100).await;
    }
    let seen = Seen::new();
    let consuming = Consuming::into(finder(&cluster.lookupds), &seen);
    seen.wait_for(0..200).await;

    cluster.lookupds[0].stop().await;
    for (nsqd, start) in cluster.nsqds.iter().zip([200, 300]) {
        fill(nsqd.tcp_address(), start..start + 100).await;
    }
    seen.wait_for(200..400).await;
    for nsqd in &cluster.nsqds {
        nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 0).await;
    }
    // Even one that restarts is found where it was.
    cluster.nsqds[0].restart().await;
    fill(cluster.nsqds[0].tcp_address(), 400..500).await;
    seen.wait_for(400..500).await;

    // Back without its memory, nsqlookupd lists nobody until the nsqds notice.
    cluster.lookupds[0].start_again().await;
    next_poll(&cluster.lookupds[0]).await;
    fill(cluster.nsqds[1].tcp_address(), 500..600).await;
    seen.wait_for(500..600).await;
    for nsqd in &cluster.nsqds {
        eventually(DEADLINE, "nsqd to be back at nsqlookupd", async || {
            nsqd.nudge_lookupds().await;
            let port = u64::from(nsqd.tcp_address().port());
            let producers = cluster.lookupds[0].lookup(TOPIC).await.unwrap_or_default();
            producers.iter().any(|producer| producer["tcp_port"] == port).then_some(())
        })
        .await;
    }
    next_poll(&cluster.lookupds[0]).await;
    for nsqd in &cluster.nsqds {
        assert_eq!(nsqd.channel_stats(TOPIC, CHANNEL).await.unwrap().client_count, 1);
    }
    assert_eq!(consuming.handle.stats().connections, 2);
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
}

#[tokio::test]
async fn an_nsqd_that_nsqlookupd_has_forgotten_is_left_alone() {
    let lookupd = Nsqlookupd::builder().arg("--inactive-producer-timeout=200ms").start().await;
    let (mut nsqd, proxy) = nsqd_behind_proxy(&lookupd).await;
    fill(nsqd.tcp_address(), 0..100).await;
    let seen = Seen::new();
    let consuming = Consuming::into(finder([&lookupd]), &seen);
    seen.wait_for(0..100).await;
    nsqd.stop().await;
    consuming.wait_for_connections(0).await;
    eventually(DEADLINE, "nsqlookupd to forget", async || {
        lookupd.lookup(TOPIC).await.unwrap_or_default().is_empty().then_some(())
    })
    .await;
    next_poll(&lookupd).await;
    // An attempt that had begun may end yet.
    eventually(DEADLINE, "the last attempt", async || (proxy.open_connections() == 0).then_some(())).await;
    let attempts = proxy.accepted_connections();
    // Longer than the longest delay between attempts, by many times.
    for _ in 0..20 {
        next_poll(&lookupd).await;
    }
    assert_eq!(proxy.accepted_connections(), attempts);

    nsqd.start_again().await;
    fill(nsqd.tcp_address(), 100..200).await;
    seen.wait_for(100..200).await;
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_tombstoned_nsqd_is_left_when_it_goes_and_not_before() {
    let mut cluster = Cluster::start(2, 1).await;
    for (nsqd, start) in cluster.nsqds.iter().zip([0, 100]) {
        fill(nsqd.tcp_address(), start..start + 100).await;
    }
    let seen = Seen::new();
    let consuming = Consuming::into(finder(&cluster.lookupds), &seen);
    seen.wait_for(0..200).await;
    let node = cluster.nsqds[0].http_address();
    let target = format!("/topic/tombstone?topic={TOPIC}&node={node}");
    let (status, answer) = http::post(cluster.lookupds[0].http_address(), &target, b"").await;
    assert_eq!(status, 200, "{answer}");
    next_poll(&cluster.lookupds[0]).await;
    // It is there still, and so may messages be.
    fill(cluster.nsqds[0].tcp_address(), 200..300).await;
    seen.wait_for(200..300).await;
    cluster.nsqds[0].stop().await;
    consuming.wait_for_connections(1).await;
    next_poll(&cluster.lookupds[0]).await;
    fill(cluster.nsqds[1].tcp_address(), 300..400).await;
    seen.wait_for(300..400).await;
    assert_eq!(consuming.handle.stats().connections, 1);
    consuming.shutdown().await;
}

#[tokio::test]
async fn an_nsqd_that_moved_is_found_at_its_new_place() {
    let lookupd = Nsqlookupd::start().await;
    let first = Nsqd::builder().lookupd(&lookupd).start().await;
    fill(first.tcp_address(), 0..100).await;
    let seen = Seen::new();
    let consuming = Consuming::into(finder([&lookupd]), &seen);
    seen.wait_for(0..100).await;
    drop(first);
    let moved = Nsqd::builder().lookupd(&lookupd).start().await;
    fill(moved.tcp_address(), 100..200).await;
    seen.wait_for(100..200).await;
    consuming.wait_for_connections(1).await;
    consuming.shutdown().await;
}

#[tokio::test]
async fn consumption_begins_when_the_first_nsqlookupd_answers() {
    let mut lookupds = [Nsqlookupd::start().await, Nsqlookupd::start().await];
    let nsqd = Nsqd::builder().lookupd(&lookupds[1]).start().await;
    fill(nsqd.tcp_address(), 0..100).await;
    nsqd.wait_until_registered(&lookupds[1]).await;
    for lookupd in &mut lookupds {
        lookupd.stop().await;
    }
    let seen = Seen::new();
    let consuming = Consuming::into(finder(&lookupds), &seen);
    lookupds[1].start_again().await;
    eventually(DEADLINE, "nsqd to be back at nsqlookupd", async || {
        nsqd.nudge_lookupds().await;
        lookupds[1].lookup(TOPIC).await.filter(|producers| !producers.is_empty()).map(drop)
    })
    .await;
    seen.wait_for(0..100).await;
    consuming.shutdown().await;
}

#[tokio::test]
async fn an_nsqlookupd_that_answers_nothing_delays_no_other() {
    let lookupds = [Nsqlookupd::start().await, Nsqlookupd::start().await];
    let nsqd = Nsqd::builder().lookupd(&lookupds[1]).start().await;
    fill(nsqd.tcp_address(), 0..100).await;
    eventually(DEADLINE, "nsqlookupd to know the topic", async || {
        lookupds[1].lookup(TOPIC).await.filter(|producers| !producers.is_empty()).map(drop)
    })
    .await;
    lookupds[0].pause();
    let seen = Seen::new();
    let patient = |lookupd: &Nsqlookupd| {
        LookupdClient::builder(lookupd.http_url()).request_timeout(Duration::from_secs(3600)).build().unwrap()
    };
    let builder = consumer().lookupd_client(patient(&lookupds[0])).lookupd_client(patient(&lookupds[1]));
    let consuming = Consuming::into(builder, &seen);
    seen.wait_for(0..100).await;
    consuming.shutdown().await;
}

fn publisher(lookupd: &Nsqlookupd) -> ProducerBuilder {
    Producer::builder()
        .lookupd(lookupd.http_url())
        .lookupd_poll_interval(POLL)
        .max_reconnect_delay(Duration::from_millis(200))
}

async fn connected_to(producer: &Producer, count: usize) {
    eventually(DEADLINE, &format!("{count} connections"), async || (producer.connections() == count).then_some(()))
        .await;
}

async fn messages(nsqd: &Nsqd, topic: &str) -> u64 {
    nsqd.topic_stats(topic).await.map_or(0, |stats| stats.message_count)
}

#[tokio::test]
async fn a_producer_publishes_to_every_nsqd_that_is_there() {
    let lookupd = Nsqlookupd::start().await;
    // It waits for the first.
    let producer = publisher(&lookupd).build().unwrap();
    let first = tokio::spawn({
        let producer = producer.clone();
        async move { producer.publish(TOPIC, "1").await }
    });
    let mut nsqds = Vec::new();
    for count in 1..=3 {
        nsqds.push(Nsqd::builder().lookupd(&lookupd).start().await);
        connected_to(&producer, count).await;
    }
    support::within("the first publish", first).await.unwrap().unwrap();
    for number in 2..=7 {
        producer.publish(TOPIC, number.to_string()).await.unwrap();
    }
    let mut counts = Vec::new();
    for nsqd in &nsqds {
        counts.push(messages(nsqd, TOPIC).await);
    }
    assert_eq!(counts.iter().sum::<u64>(), 7);
    assert!(counts.iter().all(|count| (2..=3).contains(count)), "{counts:?}");
    producer.close().await;
}

#[tokio::test]
async fn a_producer_forgets_an_nsqd_that_nsqlookupd_has_forgotten_but_not_one_that_was_named() {
    let lookupd = Nsqlookupd::builder().arg("--inactive-producer-timeout=200ms").start().await;
    let mut found = Nsqd::builder().lookupd(&lookupd).start().await;
    let mut named = Nsqd::builder().lookupd(&lookupd).start().await;
    let producer = publisher(&lookupd).nsqd(named.tcp_address()).build().unwrap();
    connected_to(&producer, 2).await;
    assert_eq!(producer.stats().nsqds.len(), 2);
    // While it is connected it stays, listed or not.
    found.stop().await;
    named.stop().await;
    eventually(DEADLINE, "it to be forgotten", async || (producer.stats().nsqds.len() == 1).then_some(())).await;
    let stats = producer.stats();
    assert_eq!(stats.nsqds[0].address.to_string(), named.tcp_address().to_string());
    assert!(!stats.nsqds[0].connected);
    found.start_again().await;
    named.start_again().await;
    connected_to(&producer, 2).await;
    producer.publish(TOPIC, "1").await.unwrap();
    producer.close().await;
}

#[tokio::test]
async fn a_tombstoned_topic_is_published_elsewhere_if_there_is_somewhere() {
    let lookupd = Nsqlookupd::start().await;
    let first = Nsqd::builder().lookupd(&lookupd).start().await;
    let client = LookupdClient::new(lookupd.http_url()).unwrap();
    let producer = publisher(&lookupd).build().unwrap();
    connected_to(&producer, 1).await;
    let (leaving, staying) = ("leaving".try_into().unwrap(), "staying".try_into().unwrap());
    for topic in [&leaving, &staying] {
        producer.publish(topic, "1").await.unwrap();
    }
    first.wait_until_registered(&lookupd).await;
    eventually(DEADLINE, "both topics", async || {
        let nodes = client.nodes().await.unwrap();
        (nodes.first()?.topics.len() == 2).then_some(())
    })
    .await;
    let node =
        format!("{}:{}", client.nodes().await.unwrap()[0].producer.broadcast_address, first.http_address().port());
    client.tombstone_topic(&leaving, &node).await.unwrap();
    eventually(DEADLINE, "the tombstone", async || {
        let nodes = client.nodes().await.unwrap();
        nodes.first()?.topics.iter().any(|topic| topic.tombstoned).then_some(())
    })
    .await;

    let second = Nsqd::builder().lookupd(&lookupd).start().await;
    // The round that finds the second knows of the tombstone.
    connected_to(&producer, 2).await;
    for _ in 0..4 {
        producer.publish(&leaving, "x").await.unwrap();
        producer.publish(&staying, "x").await.unwrap();
    }
    assert_eq!((messages(&first, "leaving").await, messages(&second, "leaving").await), (1, 4));
    assert_eq!(messages(&first, "staying").await + messages(&second, "staying").await, 5);
    assert!(messages(&first, "staying").await > 1);
    drop(second);
    connected_to(&producer, 1).await;
    // There is nobody else: it is published where it was on its way out.
    producer.publish(&leaving, "x").await.unwrap();
    producer.close().await;
}

/// A source of addresses, such as DNS SRV records are.
#[tokio::test]
async fn nsqlookupds_come_from_where_the_user_says() {
    let cluster = Cluster::start(1, 1).await;
    let other = Nsqlookupd::start().await;
    let moved = Nsqd::builder().lookupd(&other).start().await;
    fill(cluster.nsqds[0].tcp_address(), 0..100).await;
    fill(moved.tcp_address(), 100..200).await;
    let told = Arc::new(Mutex::new(Err("no such name")));
    let source = told.clone();
    let builder = consumer()
        .lookupds_from(move || {
            let told: Result<Vec<String>, _> = source.lock().unwrap().clone();
            async move { if told == Err("a bug") { panic!("a bug") } else { told } }
        })
        .lookupd_poll_interval(POLL);
    let seen = Seen::new();
    let consuming = Consuming::into(builder, &seen);
    *told.lock().unwrap() = Ok(vec![cluster.lookupds[0].http_url(), "no address".to_owned()]);
    seen.wait_for(0..100).await;

    // What it told last holds while it fails, in any way.
    for failure in ["timeout", "a bug"] {
        *told.lock().unwrap() = Err(failure);
        next_poll(&cluster.lookupds[0]).await;
    }
    assert_eq!(consuming.handle.stats().connections, 1);

    *told.lock().unwrap() = Ok(vec![other.http_url()]);
    seen.wait_for(100..200).await;
    // The one that it no longer tells of isn't asked, and what it knows counts no more once the connection ends.
    drop(cluster);
    consuming.wait_for_connections(1).await;
    next_poll(&other).await;
    assert_eq!(consuming.handle.connections()[0].nsqd, moved.tcp_address().into());
    consuming.shutdown().await;
}
