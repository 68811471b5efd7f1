//! TLS, compression and AUTH, with the real nsqd, the embedded one, and peers that misbehave.

#![cfg(all(feature = "http", feature = "tls", feature = "snappy", feature = "deflate"))]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod auth;
mod auth_server;
mod certificates;
#[path = "../common/mod.rs"]
mod common;
mod compression;
mod cuts;
mod dialer;
mod expired_grants;
mod handshake;
mod https;
mod layers;
mod logs;
mod server;
mod tls;
mod tls_peer;
mod versions;

use std::time::Duration;

use bytes::Bytes;
use gnsq::{Address, ConnectionConfig, Consumer, Error, IdentifyResponse, Io, NsqdTcpClient, Producer, TlsConfig};
use serde_json::Value;

use self::certificates::Authority;
use self::common::within;
use self::server::Nsqd;

/// Who lives where the nsqds of the tests do.
const LOCALHOST: &str = "127.0.0.1";

/// A delay between attempts that no test has to wait for.
const SOON: Duration = Duration::from_millis(50);

fn trusting(authority: &Authority) -> TlsConfig {
    TlsConfig::new().ca_certificate_pem(authority.certificate.as_str())
}

async fn connect(address: impl Into<Address>, config: ConnectionConfig) -> NsqdTcpClient {
    within(NsqdTcpClient::connect_with(address.into(), config, &Io::Current)).await.unwrap()
}

/// What an nsqd grants such a client.
async fn identify(nsqd: &Nsqd, config: ConnectionConfig) -> Result<IdentifyResponse, Error> {
    within(connect(nsqd.tcp_address(), config).await.identify()).await
}

/// Why a connection that waited for an answer ended.
fn cause(error: Error) -> Error {
    match error {
        Error::Lost { cause, .. } => *cause,
        other => panic!("expected a lost connection, not: {other}"),
    }
}

/// What a producer with these options has as its last failure when it gives up.
async fn last_failure(nsqd: &Nsqd, config: ConnectionConfig) -> Error {
    let builder = Producer::builder().nsqd(nsqd.tcp_address()).connection(config);
    let producer = builder.publish_timeout(Duration::from_secs(2)).build().unwrap();
    match within(producer.publish("t", "never")).await {
        Err(Error::NoConnections { last: Some(last), .. }) => *last,
        other => panic!("expected no connection, not {other:?}"),
    }
}

/// Publishes all of these, with all of them outstanding at once, and consumes them again; returns what nsqd then tells of
/// the consumer.
async fn round_trip(nsqd: &Nsqd, config: &ConnectionConfig, bodies: &[Bytes]) -> Value {
    let (producer, consumer) = exchange(&nsqd.address(), config, bodies).await;
    let client = nsqd.topic("t").await["channels"][0]["clients"][0].take();
    let report = within(consumer.handle().shutdown()).await;
    assert!(report.unconfirmed.is_empty(), "{report:?}");
    within(producer.close()).await;
    nsqd.wait_until_drained("t").await;
    client
}

/// Publishes all of these, with all of them outstanding at once, and consumes them again.
async fn exchange(address: &Address, config: &ConnectionConfig, bodies: &[Bytes]) -> (Producer, Consumer) {
    let producer = Producer::builder().nsqd(address.clone()).connection(config.clone()).build().unwrap();
    let mut consumer = Consumer::builder("t", "c").nsqd(address.clone()).connection(config.clone()).build().unwrap();
    let publishing = bodies.iter().map(|body| producer.publish("t", body.clone()));
    for published in within(futures_util::future::join_all(publishing)).await {
        published.unwrap();
    }
    let mut received = Vec::new();
    while received.len() < bodies.len() {
        let message = within(consumer.recv()).await.unwrap();
        received.push(message.body().clone());
        message.finish().unwrap();
    }
    let mut expected = bodies.to_vec();
    expected.sort_unstable();
    received.sort_unstable();
    assert!(received == expected, "something else came back");
    (producer, consumer)
}
