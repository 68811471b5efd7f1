//! Slow, stalled and faulty networks under TLS and compression.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use gnsq::{ConnectionConfig, Consumer, Error, Producer};
use gnsq_testkit::{Nsqd, Proxy};

use super::certificates::Authority;
use super::common::within;
use super::server::Kind;
use super::{LOCALHOST, cause, connect, trusting};

/// An nsqd behind a proxy, and every way to speak to it.
struct Setup {
    nsqd: Nsqd,
    authority: Authority,
}

impl Setup {
    async fn start() -> Self {
        let authority = Authority::new();
        let server = authority.server(LOCALHOST);
        let options = Kind::Real.tls_nsqd(&server).tls_not_required();
        let super::Nsqd::Real(nsqd) = options.start().await else { unreachable!("it was asked for") };
        Self { nsqd, authority }
    }

    fn layers(&self) -> [ConnectionConfig; 5] {
        let config = ConnectionConfig::new;
        let tls = || config().tls(trusting(&self.authority));
        [config().snappy(true), config().deflate(1), tls(), tls().snappy(true), tls().deflate(6)]
    }
}

/// What can't be compressed.
fn noise(len: usize) -> Bytes {
    let mut random = 1_u64;
    std::iter::repeat_with(|| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random.to_be_bytes()[0]
    })
    .take(len)
    .collect()
}

#[tokio::test]
async fn a_peer_that_reads_nothing_counts_as_dead_under_every_layer() {
    let setup = Setup::start().await;
    let body = noise(1024 * 1024);
    for config in setup.layers() {
        let proxy = Proxy::to(setup.nsqd.tcp_address()).await;
        let client = connect(proxy.address(), config.write_timeout(Duration::from_millis(200))).await;
        within(client.identify()).await.unwrap();
        proxy.upstream().stall();
        // More than all the buffers on the way take.
        let published = within(join_all((0..32).map(|_| client.publish("t", body.clone())))).await;
        for error in published.into_iter().filter_map(Result::err) {
            let Error::Io { source, .. } = cause(error) else { panic!("not a dead peer") };
            assert_eq!(source.kind(), ErrorKind::TimedOut);
        }
        assert!(!client.is_connected());
    }
}

#[tokio::test]
async fn a_slow_network_only_takes_longer() {
    let setup = Setup::start().await;
    let body = noise(300_000);
    for config in setup.layers() {
        let proxy = Proxy::to(setup.nsqd.tcp_address()).await;
        proxy.upstream().throttle(4_000_000);
        proxy.downstream().throttle(4_000_000);
        let producer = Producer::builder().nsqd(proxy.address()).connection(config.clone()).build().unwrap();
        let mut consumer = Consumer::builder("t", "c").nsqd(proxy.address()).connection(config).build().unwrap();
        for published in within(join_all((0..5).map(|_| producer.publish("t", body.clone())))).await {
            published.unwrap();
        }
        for _ in 0..5 {
            let message = within(consumer.recv()).await.unwrap();
            assert!(message.body() == &body, "something else came back");
            message.finish().unwrap();
        }
        let report = within(consumer.handle().shutdown()).await;
        assert!(report.unconfirmed.is_empty(), "{report:?}");
        within(producer.close()).await;
        setup.nsqd.wait_for_channel("t", "c", |channel| channel.depth == 0 && channel.in_flight_count == 0).await;
    }
}

#[tokio::test]
async fn what_is_changed_on_its_way_is_noticed_by_tls() {
    let setup = Setup::start().await;
    let [.., tls, tls_snappy, tls_deflate] = setup.layers();
    for config in [tls, tls_snappy, tls_deflate] {
        let proxy = Proxy::to(setup.nsqd.tcp_address()).await;
        let client = connect(proxy.address(), config).await;
        within(client.identify()).await.unwrap();
        proxy.downstream().corrupt_after(0);
        let error = cause(within(client.publish("t", "one")).await.unwrap_err());
        assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_close_sends_what_is_to_be_sent_through_every_layer() {
    let setup = Setup::start().await;
    for (number, config) in setup.layers().into_iter().enumerate() {
        let topic = format!("t{number}");
        setup.nsqd.create_channel(&topic, "c").await;
        setup.nsqd.publish(&topic, "one").await;
        let client = connect(setup.nsqd.tcp_address(), config).await;
        within(client.identify()).await.unwrap();
        within(client.subscribe(&*topic, "c")).await.unwrap();
        client.ready(1).unwrap();
        let message = within(client.recv()).await.unwrap();
        message.finish().unwrap();
        within(client.close()).await;
        let channel = setup.nsqd.channel_stats(&topic, "c").await.unwrap();
        assert_eq!((channel.depth, channel.in_flight_count), (0, 0), "the FIN has arrived");
    }
}
