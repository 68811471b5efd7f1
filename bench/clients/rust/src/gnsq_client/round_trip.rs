//! Publishing, and receiving what was published.

use std::time::{Duration, Instant};

use gnsq::{Message, Producer};
use tokio::sync::mpsc;

use super::{Threads, publish};
use crate::TOPIC;
use crate::clock::Clock;
use crate::options::Options;
use crate::socket_loop::WARM_UP;

pub(super) async fn run(options: &Options, threads: Threads) {
    let epoch = Instant::now();
    let consumer = super::consumer(options, threads).build().expect("the options are right");
    let handle = consumer.handle().clone();
    let (sender, mut received) = mpsc::channel(options.count + WARM_UP);
    let handler = tokio::spawn(consumer.run(move |message: Message| {
        let sent = u64::from_be_bytes(*message.body().first_chunk().expect("it says when it was sent"));
        let latency = epoch.elapsed().saturating_sub(Duration::from_nanos(sent));
        sender.try_send(latency).expect("there is room for all");
        std::future::ready(Ok::<_, std::io::Error>(()))
    }));
    let producer = publish::producer(options).await;
    for _ in 0..WARM_UP {
        send(&producer, options, epoch).await;
        received.recv().await.expect("it comes back");
    }
    let mut latencies = Vec::with_capacity(options.count);
    let clock = Clock::started();
    let began = tokio::time::Instant::now();
    for number in 0..options.count {
        if let Some(period) = Duration::from_secs(1).checked_div(options.rate) {
            let due = period * u32::try_from(number).expect("it is a small number");
            tokio::time::sleep_until(began + due).await;
        }
        send(&producer, options, epoch).await;
        if options.rate == 0 {
            latencies.push(received.recv().await.expect("it comes back"));
        }
    }
    while latencies.len() < options.count {
        latencies.push(received.recv().await.expect("it comes back"));
    }
    clock.stop();
    handle.shutdown().await;
    handler.await.expect("the consumer ends");
    producer.close().await;
    clock.report(&latencies, WARM_UP);
}

/// Publishes a message that says when.
async fn send(producer: &Producer, options: &Options, epoch: Instant) {
    let mut body = options.bodies[0].to_vec();
    let now = u64::try_from(epoch.elapsed().as_nanos()).expect("it is a short time");
    body[..8].copy_from_slice(&now.to_be_bytes());
    producer.publish(TOPIC, body).await.expect("nsqd confirms");
}
