//! nsqds at a unix socket, and at names.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod support;

use gnsq::{Address, NsqdTcpClient, Producer};
use gnsq_testkit::Nsqd;
use support::{CHANNEL, Consuming, Seen, TOPIC, consumer, within};

/// Publishes and consumes there, through a restart.
async fn works_at(address: &Address, nsqd: &mut Nsqd) {
    let producer = Producer::builder().nsqd(address).build().unwrap();
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(address), &seen);
    for number in 0..100 {
        within("a publish", producer.publish(TOPIC, number.to_string())).await.unwrap();
    }
    seen.wait_for(0..100).await;
    nsqd.restart().await;
    gnsq_testkit::eventually(support::DEADLINE, "a publish after the restart", async || {
        producer.publish(TOPIC, "100").await.ok()
    })
    .await;
    seen.wait_for(0..=100).await;
    // What was in flight at the restart comes again.
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.depth + stats.in_flight_count == 0).await;
    producer.close().await;
    consuming.shutdown().await;
    let stats = nsqd.channel_stats(TOPIC, CHANNEL).await.unwrap();
    assert_eq!((stats.depth, stats.in_flight_count, stats.client_count), (0, 0, 0));
}

#[tokio::test]
async fn a_unix_socket_is_as_good_as_a_port() {
    let mut nsqd = Nsqd::builder().unix_socket().start().await;
    let address = Address::unix(nsqd.unix_path());
    works_at(&address, &mut nsqd).await;
}

#[tokio::test]
async fn a_name_with_addresses_of_both_families_leads_to_the_one_that_answers() {
    // nsqd listens on 127.0.0.1 only, and `localhost` is ::1 as well on most systems.
    let mut nsqd = Nsqd::start().await;
    let address = Address::tcp("localhost", nsqd.tcp_address().port()).unwrap();
    works_at(&address, &mut nsqd).await;
}

#[tokio::test]
async fn what_is_not_there_is_named_in_the_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nsqd.sock");
    let error = NsqdTcpClient::connect(Address::unix(&path)).await.unwrap_err();
    assert!(error.to_string().contains("nsqd.sock") && error.is_retryable(), "{error}");
    let error = NsqdTcpClient::connect("no-such-host.invalid:4150").await.unwrap_err();
    assert!(error.to_string().contains("no-such-host.invalid:4150") && error.is_retryable(), "{error}");
}
