//! Taking messages, also those that were published here; and consumers that get none.

use std::time::{Duration, Instant};

use tokio_nsq::{NSQChannel, NSQConsumer, NSQConsumerConfig, NSQConsumerConfigSources, NSQEvent, NSQTopic};

use crate::clock::Clock;
use crate::options::Options;
use crate::publish::{confirmed, connected};

/// Takes and finishes all. The clock runs from when the first connection is there, before messages can have come: what
/// had been received when the first is looked at would be for nothing.
pub(crate) async fn run(options: &Options) {
    let mut consumer = consumer(options);
    healthy(&mut consumer).await;
    let mut clock = Clock::started();
    for _ in 0..options.count {
        consumer.consume_filtered().await.expect("it is connected").finish().await;
    }
    clock.stop();
    clock.report(&[], 0);
    tokio::time::sleep(PARTING).await;
}

/// Publishes messages that say when, and receives them.
pub(crate) async fn round_trip(options: &Options) {
    let epoch = Instant::now();
    let topic = NSQTopic::new("bench").expect("it is a name");
    let mut consumer = consumer(options);
    let (sender, mut received) = tokio::sync::mpsc::channel(options.count + WARM_UP);
    tokio::spawn(async move {
        while let Some(message) = consumer.consume_filtered().await {
            let sent = u64::from_be_bytes(*message.body.first_chunk().expect("it says when it was sent"));
            let latency = epoch.elapsed().saturating_sub(Duration::from_nanos(sent));
            message.finish().await;
            sender.try_send(latency).expect("there is room for all");
        }
    });
    let mut producer = connected(options).await;
    let mut send = async || {
        let mut body = options.bodies[0].clone();
        let now = u64::try_from(epoch.elapsed().as_nanos()).expect("it is a short time");
        body[..8].copy_from_slice(&now.to_be_bytes());
        producer.publish(&topic, body).await.expect("it is connected");
        confirmed(&mut producer).await;
    };
    for _ in 0..WARM_UP {
        send().await;
        received.recv().await.expect("it comes back");
    }
    let mut latencies = Vec::with_capacity(options.count);
    let mut clock = Clock::started();
    let began = tokio::time::Instant::now();
    for number in 0..options.count {
        if let Some(period) = Duration::from_secs(1).checked_div(options.rate) {
            tokio::time::sleep_until(began + period * u32::try_from(number).expect("it is a small number")).await;
        }
        send().await;
        if options.rate == 0 {
            latencies.push(received.recv().await.expect("it comes back"));
        }
    }
    while latencies.len() < options.count {
        latencies.push(received.recv().await.expect("it comes back"));
    }
    clock.stop();
    tokio::time::sleep(PARTING).await;
    clock.report(&latencies, WARM_UP);
}

/// Consumers that have nothing to do.
pub(crate) async fn idle(options: &Options) {
    let mut consumers: Vec<_> = (0..options.count).map(|_| consumer(options)).collect();
    for consumer in &mut consumers {
        healthy(consumer).await;
    }
    tokio::time::sleep(SETTLING).await;
    let mut clock = Clock::started();
    tokio::time::sleep(IDLING).await;
    clock.stop();
    clock.report(&[], 0);
}

async fn healthy(consumer: &mut NSQConsumer) {
    match consumer.consume().await {
        Some(NSQEvent::Healthy()) => {}
        event => panic!("nsqd is not there: {event:?}"),
    }
}

fn consumer(options: &Options) -> NSQConsumer {
    let topic = NSQTopic::new("bench").expect("it is a name");
    let channel = NSQChannel::new("bench").expect("it is a name");
    NSQConsumerConfig::new(topic, channel)
        .set_max_in_flight(options.max_in_flight)
        .set_sources(NSQConsumerConfigSources::Daemons(options.addresses.clone()))
        .set_shared(options.connection.clone())
        .build()
}

/// It has no way to say that the last answers were sent.
const PARTING: Duration = Duration::from_millis(300);
const SETTLING: Duration = Duration::from_secs(1);
const IDLING: Duration = Duration::from_secs(10);
const WARM_UP: usize = 10;
