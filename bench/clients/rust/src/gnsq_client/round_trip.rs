//! Publishing, and receiving what was published.

use std::time::Duration;

use gnsq::{Message, Producer};
use tokio::sync::mpsc;

use super::{Threads, publish};
use crate::TOPIC;
use crate::clock::Clock;
use crate::options::Options;
use crate::socket_loop::WARM_UP;
use crate::stamp::{age, stamped};

pub(super) async fn run(options: &Options, threads: Threads) {
    let consumer = super::consumer(options, threads).build().expect("the options are right");
    let handle = consumer.handle().clone();
    let (sender, mut received) = mpsc::channel(options.count + WARM_UP);
    let handler = tokio::spawn(consumer.run(move |message: Message| {
        sender.try_send(age(message.body())).expect("there is room for all");
        std::future::ready(Ok::<_, std::io::Error>(()))
    }));
    let producer = publish::producer(options).await;
    for _ in 0..WARM_UP {
        send(&producer, options).await;
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
        send(&producer, options).await;
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
async fn send(producer: &Producer, options: &Options) {
    producer.publish(TOPIC, stamped(options)).await.expect("nsqd confirms");
}
