//! The same work with gnsq.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gnsq::{Consumer, ConsumerBuilder, Io, Message, Producer, TopicName};
use tokio::runtime::{Builder, Runtime};

use crate::{BATCH, BODY, CHANNEL, Client, MAX_IN_FLIGHT, TOPIC, Work, outstanding, usage};

pub(crate) fn run(work: Work, client: Client, address: SocketAddr) {
    let (runtime, io) = match client {
        Client::GnsqOneThread => (Builder::new_current_thread().enable_all().build(), Io::Current),
        _ => (Builder::new_multi_thread().enable_all().build(), Io::Dedicated),
    };
    let runtime: Runtime = runtime.expect("threads can be started");
    match work {
        Work::Consume => {
            let builder = Consumer::builder(TOPIC, CHANNEL).nsqd(address).max_in_flight(MAX_IN_FLIGHT).io(io);
            runtime.block_on(consume(builder, work.messages()));
        }
        Work::Publish => {
            let body = Bytes::from(vec![b'x'; BODY]);
            runtime.block_on(async { publish(producer(address), &[body], work.messages()).await });
        }
        Work::Multipublish => runtime.block_on(multipublish(address, work.messages())),
    }
}

/// Takes and finishes so many messages.
pub(crate) async fn consume(builder: ConsumerBuilder, messages: usize) {
    let consumer = builder.build().expect("the options are right");
    let handle = consumer.handle().clone();
    let seen = Arc::new(AtomicUsize::new(0));
    let watch = std::env::var_os("BENCH_MEMORY").is_some();
    consumer
        .run(move |_: Message| {
            let count = seen.fetch_add(1, Ordering::Relaxed) + 1;
            if watch && count.is_multiple_of(500_000) {
                println!("after {count} messages: {} KiB resident", usage::memory_kib());
            }
            if count == messages {
                let handle = handle.clone();
                tokio::spawn(async move { handle.shutdown().await });
            }
            std::future::ready(Ok::<_, std::io::Error>(()))
        })
        .await;
}

/// Publishes so many messages, one of these bodies after the other.
pub(crate) async fn publish(producer: Producer, bodies: &[Bytes], messages: usize) {
    let topic = TopicName::new(TOPIC).expect("it is a name");
    let outstanding = outstanding();
    let tasks: Vec<_> = (0..outstanding)
        .map(|task| {
            let (producer, topic, bodies) = (producer.clone(), topic.clone(), bodies.to_vec());
            tokio::spawn(async move {
                for number in 0..messages / outstanding {
                    let body = bodies[(number * outstanding + task) % bodies.len()].clone();
                    producer.publish(&topic, body).await.expect("nsqd confirms");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it publishes");
    }
    producer.close().await;
}

async fn multipublish(address: SocketAddr, messages: usize) {
    let producer = producer(address);
    let topic = TopicName::new(TOPIC).expect("it is a name");
    let body = Bytes::from(vec![b'x'; BODY]);
    let task = tokio::spawn({
        let producer = producer.clone();
        async move {
            for _ in 0..messages / BATCH {
                producer.multipublish(&topic, vec![body.clone(); BATCH]).await.expect("nsqd confirms");
            }
        }
    });
    task.await.expect("it publishes");
    producer.close().await;
}

fn producer(address: SocketAddr) -> Producer {
    Producer::builder().nsqd(address).build().expect("the options are right")
}
