//! What is to be sent waits for no timer.

use std::time::{Duration, Instant};

use gnsq::{Consumer, Producer};
use gnsq_testkit::Nsqd;

use super::common::within;

// Seen in other clients: what is written leaves by a timer of a quarter of a second, or of two seconds.
#[tokio::test]
async fn publishes_and_finishes_leave_at_once() {
    let nsqd = Nsqd::start().await;
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).build().unwrap();
    let began = Instant::now();
    for number in 0..COUNT {
        // The next one waits for the answer to this one.
        within(producer.publish("t", number.to_string())).await.unwrap();
    }
    assert!(began.elapsed() < SLOW, "{COUNT} publishes took {:?}", began.elapsed());
    // With room for one message the next one waits for the FIN of this one.
    let builder = Consumer::builder("t", "c").nsqd(nsqd.tcp_address()).max_in_flight(1);
    let mut consumer = builder.build().unwrap();
    let began = Instant::now();
    for _ in 0..COUNT {
        within(consumer.recv()).await.unwrap().finish().unwrap();
    }
    assert!(began.elapsed() < SLOW, "{COUNT} messages took {:?}", began.elapsed());
    within(consumer.handle().shutdown()).await;
    within(producer.close()).await;
}

const COUNT: u32 = 300;
/// With a timer of 250 ms it would be 75 s; without it is less than one.
const SLOW: Duration = Duration::from_secs(60);
