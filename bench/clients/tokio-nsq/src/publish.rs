//! One message a command or many, with so many commands unanswered: `publish` queues, `consume` tells of answers.

use tokio_nsq::{NSQEvent, NSQProducer, NSQProducerConfig, NSQTopic};

use crate::clock::Clock;
use crate::options::Options;

pub(crate) async fn each(options: &Options) {
    let topic = NSQTopic::new("bench").expect("it is a name");
    let mut bodies = options.bodies.iter().cycle();
    let mut producer = connected(options).await;
    let mut clock = Clock::started();
    let (mut sent, mut done) = (0, 0);
    while done < options.count {
        while sent < options.count && sent - done < options.outstanding {
            producer.publish(&topic, bodies.next().expect("it is endless").clone()).await.expect("it is connected");
            sent += 1;
        }
        confirmed(&mut producer).await;
        done += 1;
    }
    clock.stop();
    clock.report(&[], 0);
}

pub(crate) async fn many(options: &Options) {
    let topic = NSQTopic::new("bench").expect("it is a name");
    let batch: Vec<_> = options.bodies.iter().cycle().take(options.batch).cloned().collect();
    let times = options.count / options.batch;
    let mut producer = connected(options).await;
    let mut clock = Clock::started();
    let (mut sent, mut done) = (0, 0);
    while done < times {
        while sent < times && sent - done < options.outstanding {
            producer.publish_multiple(&topic, batch.clone()).await.expect("it is connected");
            sent += 1;
        }
        confirmed(&mut producer).await;
        done += 1;
    }
    clock.stop();
    clock.report(&[], 0);
}

/// A producer that has its connection.
pub(crate) async fn connected(options: &Options) -> NSQProducer {
    let config = NSQProducerConfig::new(options.addresses[0].clone()).set_shared(options.connection.clone());
    let mut producer = config.build();
    match producer.consume().await {
        Some(NSQEvent::Healthy()) => producer,
        event => panic!("nsqd is not there: {event:?}"),
    }
}

/// Waits for an answer.
pub(crate) async fn confirmed(producer: &mut NSQProducer) {
    match producer.consume().await {
        Some(NSQEvent::Ok()) => {}
        event => panic!("nsqd does not confirm: {event:?}"),
    }
}
