//! Publishing and consuming as fast as it goes.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gnsq::{Consumer, Message, Producer, TopicName};
use tokio::runtime::Runtime;

use crate::options::{CHANNEL, Options};
use crate::usage::Clock;
use crate::wire;

/// Creates the channels, and fills each with its part of the messages.
pub(crate) fn fill(options: &Options) {
    let body = vec![b'x'; options.body];
    let channels = options.nsqd.len() * options.topics;
    let (each, more) = (options.messages / channels, options.messages % channels);
    let batch = (FILL_BYTES / options.body.max(1)).clamp(1, FILL_MESSAGES);
    let mut index = 0;
    for address in &options.nsqd {
        for topic in options.names() {
            let mut subscriber = wire::connect(*address);
            let subscribe = format!("SUB {topic} {CHANNEL}\n");
            subscriber.write_all(subscribe.as_bytes()).expect("nsqd reads");
            wire::expect_ok(&mut subscriber, 1);
            let mut left = each + usize::from(index < more);
            index += 1;
            let mut publisher = wire::connect(*address);
            while left > 0 {
                let count = left.min(batch);
                publisher.write_all(&wire::mpub(&topic, &body, count)).expect("nsqd reads");
                wire::expect_ok(&mut publisher, 1);
                left -= count;
            }
        }
    }
    println!("{{}}");
}

/// Publishes the messages, to the topics in turn, and waits for all confirmations.
pub(crate) fn publish(options: &Options) {
    let runtime = Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let builder = Producer::builder().nsqds(options.nsqd.iter().copied()).batching(options.batching);
        let producer = builder.build().expect("the options are right");
        until(|| producer.connections() == options.nsqd.len()).await;
        let topics: Arc<[TopicName]> =
            options.names().into_iter().map(|name| TopicName::new(name).expect("it is a name")).collect();
        let body = Bytes::from(vec![b'x'; options.body]);
        let (messages, outstanding) = (options.messages, options.outstanding.min(options.messages));
        let clock = Clock::start();
        let tasks: Vec<_> = (0..outstanding)
            .map(|task| {
                let (producer, topics, body) = (producer.clone(), topics.clone(), body.clone());
                tokio::spawn(async move {
                    for number in (task..messages).step_by(outstanding) {
                        let topic = &topics[number % topics.len()];
                        producer.publish(topic, body.clone()).await.expect("nsqd confirms");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("it publishes");
        }
        println!("{{{}}}", clock.stop());
        producer.close().await;
    });
}

/// Takes and finishes the messages that are there, once all connections are.
pub(crate) fn consume(options: &Options) {
    let runtime = Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let [first, others @ ..] = &options.names()[..] else { return };
        let builder = Consumer::builder(first.as_str(), CHANNEL)
            .topics(others.iter().map(String::as_str))
            .nsqds(options.nsqd.iter().copied())
            .max_in_flight(0)
            .low_latency(options.low_latency);
        let consumer = builder.build().expect("the options are right");
        let handle = consumer.handle().clone();
        let connections = options.nsqd.len() * options.topics;
        until(|| handle.stats().connections == connections).await;
        let (stop, messages) = (handle.clone(), options.messages);
        let clock = Arc::new(Clock::start());
        handle.set_max_in_flight(options.max_in_flight);
        let (seen, running) = (AtomicUsize::new(0), clock.clone());
        consumer
            .run(move |_: Message| {
                if seen.fetch_add(1, Ordering::Relaxed) + 1 == messages {
                    println!("{{{}}}", running.stop());
                    let stop = stop.clone();
                    tokio::spawn(async move { stop.shutdown().await });
                }
                std::future::ready(Ok::<_, io::Error>(()))
            })
            .await;
    });
}

/// Waits until it is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not so after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How long connecting and the like may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much one MPUB has: nsqd takes 5 MiB.
const FILL_BYTES: usize = 2 * 1024 * 1024;
const FILL_MESSAGES: usize = 1000;
