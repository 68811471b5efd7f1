//! Addresses with colons in them.

use gnsq::{Address, Consumer, NsqdHttpClient, Producer};
use gnsq_testkit::Nsqd;

use super::common::within;

/// Publishes one message there, and consumes it.
async fn use_it(address: Address) {
    let producer = Producer::builder().nsqd(address.clone()).build().unwrap();
    within(producer.publish("t", "one")).await.unwrap();
    let mut consumer = Consumer::builder("t", "c").nsqd(address).build().unwrap();
    within(consumer.recv()).await.unwrap().finish().unwrap();
    within(consumer.handle().shutdown()).await;
    within(producer.close()).await;
}

// Seen in other clients: an address is cut at its first colon.
#[tokio::test]
async fn an_nsqd_at_an_ipv6_address_is_used() {
    let nsqd = Nsqd::builder().arg("--tcp-address=[::1]:0").arg("--http-address=[::1]:0").start().await;
    assert!(nsqd.tcp_address().is_ipv6());
    use_it(nsqd.tcp_address().to_string().parse().unwrap()).await;
    within(NsqdHttpClient::new(nsqd.http_address().to_string()).unwrap().ping()).await.unwrap();

    let nsqd = gnsq_server::Nsqd::builder().tcp_address("[::1]:0").http_address("[::1]:0").start().await.unwrap();
    use_it(nsqd.tcp_address().parse().unwrap()).await;
    within(NsqdHttpClient::new(nsqd.http_url()).unwrap().ping()).await.unwrap();
}
