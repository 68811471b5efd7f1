//! A message's way through the client, between the stream and the user: on one thread, and on an nsqd in memory.
//!
//! An iteration is 10,000 messages, connecting and closing included, which takes as long as a few hundred of them.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gnsq::{Address, ConnectionConfig, Consumer, ConsumerBuilder, Dialer, Io, Message, Producer, TopicName};
use gnsq_testkit::MemoryNsqd;
use tokio::runtime::Builder;

fn main() {
    divan::main();
}

const MESSAGES: usize = 10_000;
const BODY: usize = 200;
const TOPIC: &str = "topic";

#[divan::bench(args = [1, 100], sample_count = 20)]
fn handlers(bencher: Bencher<'_, '_>, concurrency: usize) {
    run(bencher, || consume(consumer().concurrency(concurrency)));
}

#[divan::bench(sample_count = 20)]
fn recv_and_finish(bencher: Bencher<'_, '_>) {
    run(bencher, async || {
        let mut consumer = consumer().build().expect("the options are right");
        for _ in 0..MESSAGES {
            finish(consumer.recv().await);
        }
        consumer.handle().shutdown().await;
    });
}

#[divan::bench(args = [10, 1000], sample_count = 20)]
fn recv_many_and_finish(bencher: Bencher<'_, '_>, limit: usize) {
    run(bencher, async || {
        let mut consumer = consumer().build().expect("the options are right");
        let mut messages = Vec::new();
        let mut count = 0;
        while count < MESSAGES {
            count += consumer.recv_many(&mut messages, limit).await;
            messages.drain(..).for_each(|message| finish(Some(message)));
        }
        consumer.handle().shutdown().await;
    });
}

#[divan::bench(args = [1, 100, 1000], sample_count = 20)]
fn publish(bencher: Bencher<'_, '_>, outstanding: usize) {
    run(bencher, async || {
        let config = ConnectionConfig::new().dialer(InMemory);
        let builder = Producer::builder().nsqd("memory:4150").connection(config).io(Io::Current);
        let producer = builder.build().expect("the options are right");
        let (topic, body) = (TopicName::new(TOPIC).expect("it is a name"), Bytes::from(vec![b'x'; BODY]));
        let mut pending: FuturesUnordered<_> =
            (0..outstanding).map(|_| producer.publish(&topic, body.clone())).collect();
        let mut left = MESSAGES - outstanding;
        while let Some(outcome) = pending.next().await {
            outcome.expect("nsqd confirms");
            if left > 0 {
                left -= 1;
                pending.push(producer.publish(&topic, body.clone()));
            }
        }
        drop(pending);
        producer.close().await;
    });
}

async fn consume(builder: ConsumerBuilder) {
    let consumer = builder.build().expect("the options are right");
    let handle = consumer.handle().clone();
    let seen = AtomicUsize::new(0);
    consumer
        .run(move |_: Message| {
            if seen.fetch_add(1, Ordering::Relaxed) + 1 == MESSAGES {
                let handle = handle.clone();
                tokio::spawn(async move { handle.shutdown().await });
            }
            std::future::ready(Ok::<_, io::Error>(()))
        })
        .await;
}

fn consumer() -> ConsumerBuilder {
    let config = ConnectionConfig::new().dialer(InMemory);
    Consumer::builder(TOPIC, "channel").nsqd("memory:4150").connection(config).max_in_flight(2500).io(Io::Current)
}

fn finish(message: Option<Message>) {
    message.expect("nobody shuts the consumer down").finish().expect("it is in hand");
}

fn run<F: Future<Output = ()>>(bencher: Bencher<'_, '_>, work: impl Fn() -> F) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| runtime.block_on(work()));
}

struct InMemory;

impl Dialer for InMemory {
    type Stream = MemoryNsqd;

    async fn dial(&self, _: &Address) -> io::Result<MemoryNsqd> {
        Ok(MemoryNsqd::new(MESSAGES, BODY))
    }
}
