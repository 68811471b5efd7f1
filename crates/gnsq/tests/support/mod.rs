//! What the tests against the real servers have in common.

// Each test program uses its own part of it.
#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gnsq::{Address, Consumer, ConsumerBuilder, ConsumerHandle, Message, Producer, ShutdownReport};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// No busy machine needs so long, and no stuck test outlives it.
pub const DEADLINE: Duration = Duration::from_secs(100);

/// Waits for the future; fails the test when it takes longer than [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(output) = tokio::time::timeout(DEADLINE, future).await else {
        panic!("waited {DEADLINE:?} in vain for {what}");
    };
    output
}

/// The messages that have been seen, which are numbers, and how often.
#[derive(Clone)]
pub struct Seen(Arc<Inner>);

struct Inner {
    numbers: Mutex<HashMap<u64, u32>>,
    /// How many messages were seen, duplicates included.
    total: watch::Sender<u64>,
}

impl Seen {
    pub fn new() -> Self {
        Self(Arc::new(Inner { numbers: Mutex::default(), total: watch::Sender::new(0) }))
    }

    pub fn note(&self, message: &Message) {
        self.note_number(number(message));
    }

    pub fn note_number(&self, number: u64) {
        *self.numbers().entry(number).or_default() += 1;
        self.0.total.send_modify(|total| *total += 1);
    }

    /// How many different numbers there are.
    pub fn distinct(&self) -> usize {
        self.numbers().len()
    }

    /// How many messages came that had been there before.
    pub fn duplicates(&self) -> u64 {
        *self.0.total.borrow() - self.distinct() as u64
    }

    pub fn contains(&self, number: u64) -> bool {
        self.numbers().contains_key(&number)
    }

    pub fn all(&self) -> HashSet<u64> {
        self.numbers().keys().copied().collect()
    }

    /// Waits until all of these are seen.
    pub async fn wait_for(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut missing: HashSet<u64> = numbers.into_iter().collect();
        let mut total = self.0.total.subscribe();
        let all = async {
            loop {
                total.borrow_and_update();
                {
                    let seen = self.numbers();
                    missing.retain(|number| !seen.contains_key(number));
                }
                if missing.is_empty() {
                    return;
                }
                total.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(DEADLINE, all).await.is_err() {
            let mut some: Vec<_> = missing.iter().copied().collect();
            some.sort_unstable();
            some.truncate(20);
            panic!("{} messages never came, {some:?} among them; {} did", missing.len(), self.distinct());
        }
    }

    /// Waits until there are this many different numbers.
    pub async fn wait_for_distinct(&self, count: usize) {
        let mut total = self.0.total.subscribe();
        let enough = async { total.wait_for(|_| self.distinct() >= count).await.map(drop).unwrap() };
        let in_time = tokio::time::timeout(DEADLINE, enough).await.is_ok();
        assert!(in_time, "{count} messages were to come; {} did", self.distinct());
    }

    fn numbers(&self) -> MutexGuard<'_, HashMap<u64, u32>> {
        self.0.numbers.lock().unwrap()
    }
}

/// The number that the message is.
pub fn number(message: &Message) -> u64 {
    std::str::from_utf8(message.body()).unwrap().parse().unwrap()
}

/// A consumer that runs in the background.
pub struct Consuming {
    pub handle: ConsumerHandle,
    running: JoinHandle<ShutdownReport>,
}

impl Consuming {
    /// Notes each message, and finishes it.
    pub fn into(builder: ConsumerBuilder, seen: &Seen) -> Self {
        let seen = seen.clone();
        Self::with(builder, move |message: Message| {
            seen.note(&message);
            std::future::ready(Ok::<_, std::io::Error>(()))
        })
    }

    pub fn with<H, F>(builder: ConsumerBuilder, handler: H) -> Self
    where
        H: Fn(Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), std::io::Error>> + Send + 'static,
    {
        let consumer = builder.build().unwrap();
        let handle = consumer.handle().clone();
        Self { handle, running: tokio::spawn(consumer.run(handler)) }
    }

    /// Shuts it down, and returns the report of `run`.
    pub async fn shutdown(self) -> ShutdownReport {
        within("the shutdown", self.handle.shutdown()).await;
        within("the end of run", self.running).await.unwrap()
    }

    /// Waits until so many connections are subscribed.
    pub async fn wait_for_connections(&self, count: usize) {
        gnsq_testkit::eventually(DEADLINE, &format!("{count} connections"), async || {
            (self.handle.stats().connections == count).then_some(())
        })
        .await;
    }
}

/// A consumer of the tests' topic and channel.
pub fn consumer() -> ConsumerBuilder {
    Consumer::builder(TOPIC, CHANNEL)
        .max_reconnect_delay(Duration::from_millis(200))
        .requeue_delay(Duration::ZERO)
        .max_attempts(0)
}

pub const TOPIC: &str = "orders";
pub const CHANNEL: &str = "billing";

/// Publishes numbers to one nsqd, many at once.
pub async fn fill(nsqd: impl Into<Address>, numbers: impl IntoIterator<Item = u64>) {
    let producer = Producer::builder().nsqd(nsqd.into()).build().unwrap();
    let bodies: Vec<_> = numbers.into_iter().map(|number| number.to_string()).collect();
    for chunk in bodies.chunks(5000) {
        producer.multipublish(TOPIC, chunk.iter().cloned()).await.unwrap();
    }
    producer.close().await;
}
