//! How long a lone message takes, and that it costs no throughput afterwards.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod support;

use std::time::{Duration, Instant};

use gnsq::{Message, Producer};
use gnsq_testkit::Nsqd;
use support::{CHANNEL, Consuming, Seen, TOPIC, consumer, fill, number, within};
use tokio::sync::mpsc;

const LONE: u64 = 30;
const BACKLOG: u64 = 20_000;

/// The median of the lone messages' times from publish to handler.
async fn median_latency(low_latency: bool) -> Duration {
    let nsqd = Nsqd::start().await;
    let seen = Seen::new();
    let (note, (arrived, mut arrivals)) = (seen.clone(), mpsc::unbounded_channel());
    let builder = consumer().nsqd(nsqd.tcp_address()).max_in_flight(2500).low_latency(low_latency);
    let consuming = Consuming::with(builder, move |message: Message| {
        note.note(&message);
        if number(&message) < LONE {
            arrived.send(Instant::now()).unwrap();
        }
        std::future::ready(Ok(()))
    });
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.client_count == 1).await;
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).build().unwrap();
    producer.ready().await.unwrap();
    let mut times = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    for number in 0..LONE {
        tick.tick().await;
        let published = Instant::now();
        producer.publish(TOPIC, number.to_string()).await.unwrap();
        times.push(within("a lone message", arrivals.recv()).await.unwrap() - published);
    }
    fill(nsqd.tcp_address(), LONE..LONE + BACKLOG).await;
    seen.wait_for(0..LONE + BACKLOG).await;
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.depth + stats.in_flight_count == 0).await;
    assert_eq!(seen.duplicates(), 0);
    producer.close().await;
    consuming.shutdown().await;
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_message_does_not_wait_in_nsqd_and_a_backlog_is_drained_after_it() {
    let (low, plain) = tokio::join!(median_latency(true), median_latency(false));
    println!("medians: {low:?} with low latency, {plain:?} without");
    // nsqd's own timer ends a quarter of a second's wait, at a random point.
    assert!(low < plain / 2, "{low:?} and {plain:?}");
}
