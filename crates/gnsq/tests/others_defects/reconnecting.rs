//! nsqds that aren't there, or not yet, or not any more.

use std::time::Duration;

use gnsq::{Consumer, Error, Producer};
use gnsq_testkit::{Cluster, Nsqd};

use super::common::within;
use super::support::{Consuming, Seen, consumer, fill};

/// An address at which nobody listens.
fn nobody(number: usize) -> String {
    format!("127.0.{}.{}:1", 1 + number / 250, 1 + number % 250)
}

// Seen in other clients: the first attempt at an address that was given is the last one.
#[tokio::test]
async fn an_nsqd_that_was_not_there_at_first_is_connected_to_when_it_is() {
    let mut nsqd = Nsqd::start().await;
    nsqd.stop().await;
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(nsqd.tcp_address()), &seen);
    // Time for some attempts; if it weren't enough, there is nothing to be seen here.
    tokio::time::sleep(Duration::from_millis(300)).await;
    nsqd.start_again().await;
    // An nsqd that has just begun may not obey SIGTERM in order yet: what it was given before would be lost.
    fill(nsqd.tcp_address(), 0..10).await;
    seen.wait_for(0..10).await;
    consuming.shutdown().await;
}

// Seen in other clients: a lost nsqd comes back with the next poll of nsqlookupd only.
#[tokio::test]
async fn an_nsqd_that_was_found_is_connected_to_again_long_before_nsqlookupd_is_asked_again() {
    let mut cluster = Cluster::start(1, 1).await;
    fill(cluster.nsqds[0].tcp_address(), 0..10).await;
    let seen = Seen::new();
    let builder = consumer().lookupds(cluster.lookupd_urls()).lookupd_poll_interval(Duration::from_secs(24 * 60 * 60));
    let consuming = Consuming::into(builder, &seen);
    seen.wait_for(0..10).await;
    cluster.nsqds[0].restart().await;
    fill(cluster.nsqds[0].tcp_address(), 10..20).await;
    seen.wait_for(10..20).await;
    consuming.shutdown().await;
}

// Seen in other clients: the first address that fails ends the whole connect.
#[tokio::test]
async fn an_address_where_nobody_listens_keeps_no_other_from_being_used() {
    let nsqd = Nsqd::start().await;
    let addresses = [nobody(0), nsqd.tcp_address().to_string(), nobody(1)];
    let producer = Producer::builder().nsqds(addresses.iter().map(String::as_str)).build().unwrap();
    for _ in 0..10 {
        within(producer.publish("t", "one")).await.unwrap();
    }
    let mut consumer = Consumer::builder("t", "c").nsqds(addresses.iter().map(String::as_str)).build().unwrap();
    for _ in 0..10 {
        within(consumer.recv()).await.unwrap().finish().unwrap();
    }
    within(consumer.handle().shutdown()).await;
    within(producer.close()).await;
}

// Seen in other clients: a publish that calls itself for each host that fails, or fails with an error of its own list.
#[tokio::test]
async fn a_publish_to_many_nsqds_that_are_all_away_ends_with_their_failure() {
    let addresses: Vec<_> = (0..200).map(nobody).collect();
    let builder = Producer::builder().nsqds(addresses.iter().map(String::as_str));
    let producer = builder.publish_timeout(Duration::from_secs(1)).build().unwrap();
    let error = within(producer.publish("t", "one")).await.unwrap_err();
    let Error::NoConnections { last: Some(last), .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**last, Error::Connect { .. }), "{last:?}");
    assert!(error.is_retryable() && !error.outcome_unknown());
    within(producer.close()).await;
}
