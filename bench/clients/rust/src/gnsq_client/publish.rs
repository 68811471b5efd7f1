//! One message or many with a publish, by as many tasks as publishes are outstanding.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use gnsq::{Producer, TopicName};

use crate::TOPIC;
use crate::clock::Clock;
use crate::options::Options;

pub(super) async fn each(options: &Options) {
    let bodies: Arc<[Bytes]> = options.bodies.clone().into();
    measure(options, options.count, |producer, topic, number, times| {
        let bodies = bodies.clone();
        // Each at another one, so that no two follow one another that are the same.
        let first = number * bodies.len() / options.outstanding;
        async move {
            for body in bodies.iter().cycle().skip(first).take(times) {
                producer.publish(&topic, body.clone()).await.expect("nsqd confirms");
            }
        }
    })
    .await;
}

pub(super) async fn many(options: &Options) {
    let batch: Arc<[Bytes]> = options.bodies.iter().cycle().take(options.batch).cloned().collect();
    measure(options, options.count / options.batch, |producer, topic, _, times| {
        let batch = batch.clone();
        async move {
            for _ in 0..times {
                producer.multipublish(&topic, batch.to_vec()).await.expect("nsqd confirms");
            }
        }
    })
    .await;
}

/// Publishes so many times; `task` is given its number and how many of them it does.
async fn measure<F>(options: &Options, times: usize, task: impl Fn(Producer, TopicName, usize, usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let producer = producer(options).await;
    let topic = TopicName::new(TOPIC).expect("it is a name");
    let outstanding = options.outstanding;
    let clock = Clock::started();
    let share = |number| times / outstanding + usize::from(number < times % outstanding);
    let tasks: Vec<_> = (0..outstanding)
        .map(|number| tokio::spawn(task(producer.clone(), topic.clone(), number, share(number))))
        .collect();
    for task in tasks {
        task.await.expect("it publishes");
    }
    clock.stop();
    producer.close().await;
    clock.report(&[], 0);
}

/// A producer that is connected.
pub(super) async fn producer(options: &Options) -> Producer {
    let builder = Producer::builder().nsqd(options.address()).connection(super::connection(options));
    let producer = builder.batching(options.batching).build().expect("the options are right");
    producer.ready().await.expect("nsqd is there");
    producer
}
