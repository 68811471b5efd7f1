//! Real nsqds that register with an embedded nsqlookupd.

use gnsq_server::{Nsqlookupd, TopicRegistration};
use gnsq_testkit::{DEADLINE, Nsqd, NsqdBuilder, eventually};

use crate::wait_until;

fn nsqd(lookupd: &Nsqlookupd) -> NsqdBuilder {
    Nsqd::builder().arg(format!("--lookupd-tcp-address={}", lookupd.tcp_address()))
}

fn has(topics: &[TopicRegistration], topic: &str, channels: &[&str], nsqds: usize) -> bool {
    topics.iter().any(|found| found.topic == topic && found.channels == channels && found.producers.len() == nsqds)
}

#[tokio::test]
async fn a_real_nsqd_registers_its_topics_and_channels() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let mut nsqd = nsqd(&lookupd).start().await;
    nsqd.publish("orders", "1").await;
    nsqd.create_channel("orders", "archive").await;
    let topics = wait_until(&lookupd, |topics| has(topics, "orders", &["archive"], 1)).await;
    let producer = &topics[0].producers[0];
    assert_eq!(producer.tcp_port, i64::from(nsqd.tcp_address().port()));
    assert_eq!(producer.http_port, i64::from(nsqd.http_address().port()));
    nsqd.kill().await;
    wait_until(&lookupd, |topics| has(topics, "orders", &["archive"], 0)).await;
}

#[tokio::test]
async fn a_real_nsqd_creates_the_channels_that_are_known_for_a_new_topic() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let (first, second) = tokio::join!(nsqd(&lookupd).start(), nsqd(&lookupd).start());
    first.create_topic("orders").await;
    first.create_channel("orders", "archive").await;
    wait_until(&lookupd, |topics| has(topics, "orders", &["archive"], 1)).await;
    // Who has registered something knows where to ask.
    second.create_topic("other").await;
    wait_until(&lookupd, |topics| has(topics, "other", &[], 1)).await;
    second.publish("orders", "1").await;
    second.wait_for_channel("orders", "archive", |channel| channel.depth == 1).await;
    wait_until(&lookupd, |topics| has(topics, "orders", &["archive"], 2)).await;
}

#[tokio::test]
async fn a_real_nsqd_comes_back_to_an_nsqlookupd_that_has_restarted() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let address = lookupd.tcp_address();
    let nsqd = nsqd(&lookupd).start().await;
    nsqd.create_topic("orders").await;
    wait_until(&lookupd, |topics| has(topics, "orders", &[], 1)).await;
    lookupd.shutdown().await;
    let lookupd = Nsqlookupd::builder().tcp_address(address).start().await.unwrap();
    eventually(DEADLINE, "the nsqd to come back", async || {
        nsqd.nudge_lookupds().await;
        has(&lookupd.registrations(), "orders", &[], 1).then_some(())
    })
    .await;
}
