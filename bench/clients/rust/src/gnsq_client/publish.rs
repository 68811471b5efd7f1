//! One message or many with a publish, by as many tasks as publishes are outstanding.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use gnsq::{Producer, TopicName};

use super::until;
use crate::clock::Clock;
use crate::options::Options;

pub(super) async fn each(options: &Options) {
    let bodies: Arc<[Bytes]> = options.bodies.clone().into();
    measure(options, options.count, |producer, topics, number, times| {
        let bodies = bodies.clone();
        // Each at another one, so that no two follow one another that are the same.
        let first = |of: usize| number * of / options.outstanding;
        let (first_body, first_topic) = (first(bodies.len()), first(topics.len()));
        async move {
            let topics = topics.iter().cycle().skip(first_topic);
            for (body, topic) in bodies.iter().cycle().skip(first_body).zip(topics).take(times) {
                producer.publish(topic, body.clone()).await.expect("nsqd confirms");
            }
        }
    })
    .await;
}

pub(super) async fn many(options: &Options) {
    let batch: Arc<[Bytes]> = options.bodies.iter().cycle().take(options.batch).cloned().collect();
    measure(options, options.count / options.batch, |producer, topics, _, times| {
        let batch = batch.clone();
        async move {
            for _ in 0..times {
                producer.multipublish(&topics[0], batch.to_vec()).await.expect("nsqd confirms");
            }
        }
    })
    .await;
}

/// Publishes so many times; `task` is given its number and how many of them it does.
async fn measure<F>(options: &Options, times: usize, task: impl Fn(Producer, Arc<[TopicName]>, usize, usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let producer = producer(options).await;
    let names = options.topics().into_iter();
    let topics: Arc<[TopicName]> = names.map(|name| TopicName::new(name).expect("it is a name")).collect();
    let outstanding = options.outstanding;
    let clock = Clock::started();
    let share = |number| times / outstanding + usize::from(number < times % outstanding);
    let tasks: Vec<_> = (0..outstanding)
        .map(|number| tokio::spawn(task(producer.clone(), topics.clone(), number, share(number))))
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
    let builder = Producer::builder().nsqds(options.addresses.iter().copied()).connection(super::connection(options));
    let producer = builder.batching(options.batching).build().expect("the options are right");
    producer.ready().await.expect("nsqd is there");
    until(|| producer.connections() == options.addresses.len()).await;
    producer
}
