//! Works with a client.

use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gnsq::{Address, ConnectionConfig, Consumer, ConsumerBuilder, Dialer, Io, Message, Producer, TopicName};
use gnsq_testkit::MemoryNsqd;

/// What is done with each message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// It comes to a handler, and is finished behind it.
    Consume {
        handlers: usize,
        /// Does what a client has no reason to do.
        wasteful: bool,
    },
    /// It is taken by `recv`, and finished.
    Receive,
    /// It is published and confirmed, with so many others outstanding.
    Publish { outstanding: usize, batching: bool },
    /// It is published with 199 others.
    Multipublish,
}

/// Connects to an nsqd in memory that has so many messages.
struct InMemory {
    messages: usize,
}

impl Dialer for InMemory {
    type Stream = MemoryNsqd;

    async fn dial(&self, _: &Address) -> io::Result<MemoryNsqd> {
        Ok(MemoryNsqd::new(self.messages, BODY))
    }
}

impl Work {
    pub(crate) async fn run(self, messages: usize) {
        match self {
            Self::Consume { handlers, wasteful } => consume(messages, handlers, wasteful).await,
            Self::Receive => receive(messages).await,
            Self::Publish { outstanding, batching } => publish(messages, outstanding, batching).await,
            Self::Multipublish => multipublish(messages).await,
        }
    }
}

async fn consume(messages: usize, handlers: usize, wasteful: bool) {
    let consumer = consumer(messages).concurrency(handlers).build().expect("the options are right");
    let handle = consumer.handle().clone();
    let seen = AtomicUsize::new(0);
    let report = consumer
        .run(move |message: Message| {
            if wasteful {
                waste(message.body());
            }
            if seen.fetch_add(1, Ordering::Relaxed) + 1 == messages {
                let handle = handle.clone();
                tokio::spawn(async move { handle.shutdown().await });
            }
            std::future::ready(Ok::<_, io::Error>(()))
        })
        .await;
    assert_eq!((report.requeued_unstarted, report.requeued_unfinished), (0, 0), "each message is finished");
}

async fn receive(messages: usize) {
    let mut consumer = consumer(messages).build().expect("the options are right");
    for _ in 0..messages {
        let message = consumer.recv().await.expect("nobody shuts the consumer down");
        message.finish().expect("the message is in hand");
    }
    consumer.handle().shutdown().await;
}

async fn publish(messages: usize, outstanding: usize, batching: bool) {
    let producer = producer(batching);
    let topic = topic();
    let body = body();
    let tasks: Vec<_> = (0..outstanding)
        .map(|_| {
            let (producer, topic, body) = (producer.clone(), topic.clone(), body.clone());
            tokio::spawn(async move {
                for _ in 0..messages / outstanding {
                    producer.publish(&topic, body.clone()).await.expect("nsqd confirms");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it publishes");
    }
    producer.close().await;
}

async fn multipublish(messages: usize) {
    let producer = producer(true);
    let topic = topic();
    let body = body();
    for _ in 0..messages / BATCH {
        producer.multipublish(&topic, vec![body.clone(); BATCH]).await.expect("nsqd confirms");
    }
    producer.close().await;
}

fn consumer(messages: usize) -> ConsumerBuilder {
    let connection = ConnectionConfig::new().dialer(InMemory { messages });
    // How long silence is to a client depends on the machine's speed: RDY stays what it is.
    Consumer::builder(TOPIC, "channel")
        .nsqd("memory:4150")
        .connection(connection)
        .max_in_flight(MAX_IN_FLIGHT)
        .low_latency(false)
        .io(Io::Current)
}

fn producer(batching: bool) -> Producer {
    let connection = ConnectionConfig::new().dialer(InMemory { messages: 0 });
    let producer = Producer::builder().nsqd("memory:4150").connection(connection).batching(batching).io(Io::Current);
    producer.build().expect("the options are right")
}

fn topic() -> TopicName {
    TopicName::new(TOPIC).expect("it is a name")
}

fn body() -> Bytes {
    Bytes::from(vec![b'x'; BODY])
}

/// What a client has no reason to do: a good tenth of what a message costs.
fn waste(body: &[u8]) {
    let mut sum = 0_u8;
    for byte in &body[..WASTE] {
        sum = black_box(sum.wrapping_add(*byte));
    }
}

const TOPIC: &str = "topic";
pub(crate) const BODY: usize = 200;
pub(crate) const BATCH: usize = 200;
const MAX_IN_FLIGHT: u32 = 2500;
/// How many bytes are looked at in vain.
const WASTE: usize = 64;
