//! What a connection tells of itself, and of what nsqd has granted.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod support;

use std::time::Duration;

use gnsq::{ConnectionConfig, Io, NsqdTcpClient};
use gnsq_testkit::{Nsqd, eventually};
use support::{Consuming, DEADLINE, Seen, TOPIC, consumer, fill, within};

async fn identified(nsqd: &Nsqd, config: ConnectionConfig) -> NsqdTcpClient {
    let client = within("a connection", NsqdTcpClient::connect_with(nsqd.tcp_address(), config, &Io::Current)).await;
    let client = client.unwrap();
    within("IDENTIFY", client.identify()).await.unwrap();
    client
}

#[cfg(feature = "deflate")]
fn differences(client: &NsqdTcpClient) -> Vec<String> {
    client.stats().differences.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn what_is_granted_as_asked_is_no_difference() {
    let nsqd = Nsqd::start().await;
    let config = ConnectionConfig::new()
        .msg_timeout(Duration::from_secs(900))
        .output_buffer_size(0)
        .output_buffer_timeout(Duration::ZERO)
        .sample_rate(7);
    let client = identified(&nsqd, config).await;
    let stats = client.stats();
    assert_eq!(stats.differences, []);
    let granted = stats.identified.unwrap();
    assert_eq!((granted.msg_timeout, granted.sample_rate, granted.version.as_str()), (900_000, 7, "1.3.0"));
    client.close().await;
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn a_level_that_nsqd_lowers_is_told() {
    let nsqd = Nsqd::builder().arg("--max-deflate-level=4").start().await;
    let client = identified(&nsqd, ConnectionConfig::new().deflate(9)).await;
    assert_eq!(differences(&client), ["deflate: asked for level 9, granted level 4"]);
    client.close().await;
}

#[cfg(all(feature = "snappy", feature = "deflate"))]
#[tokio::test]
async fn a_compression_that_nsqd_declines_is_told() {
    let nsqd = Nsqd::builder().arg("--snappy=false").arg("--deflate=false").start().await;
    let client = identified(&nsqd, ConnectionConfig::new().snappy(true)).await;
    assert_eq!(differences(&client), ["snappy: asked for on, granted off"]);
    client.close().await;
    let client = identified(&nsqd, ConnectionConfig::new().deflate(3)).await;
    assert_eq!(differences(&client), ["deflate: asked for level 3, granted off"]);
    client.close().await;
}

#[tokio::test]
async fn a_consumers_connections_count_what_goes_through_them() {
    let nsqds = [Nsqd::start().await, Nsqd::start().await];
    fill(nsqds[0].tcp_address(), 0..50).await;
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqds(nsqds.iter().map(Nsqd::tcp_address)), &seen);
    seen.wait_for(0..50).await;
    consuming.wait_for_connections(2).await;
    let stats = eventually(DEADLINE, "the last FIN", async || {
        let mut stats = consuming.handle.connections();
        stats.sort_by_key(|connection| connection.received);
        (stats[1].finished == 50).then_some(stats)
    })
    .await;
    let [quiet, busy] = &stats[..] else { panic!("{stats:?}") };
    assert_eq!(
        (busy.nsqd.to_string(), quiet.nsqd.to_string()),
        (nsqds[0].tcp_address().to_string(), nsqds[1].tcp_address().to_string())
    );
    assert_eq!((busy.received, busy.requeued, busy.in_flight, quiet.received), (50, 0, 0, 0));
    assert!(busy.last_message.is_some() && quiet.last_message.is_none());
    assert!(busy.ready > 0 && busy.topic.as_ref().unwrap().as_str() == TOPIC);
    assert_eq!(busy.identified.as_ref().unwrap().max_rdy_count, 2500);
    // A message frame is 34 bytes and its body, FIN 21.
    assert!(busy.bytes_read > 50 * 35 && busy.bytes_written > 50 * 21, "{busy:?}");
    assert!(quiet.bytes_read > 0 && quiet.bytes_read < busy.bytes_read, "{quiet:?}");
    consuming.shutdown().await;
}
