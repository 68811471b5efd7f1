//! The whole way once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gnsq::{Consumer, Message, Producer};
use gnsq_testkit::Nsqd;

#[tokio::test]
async fn what_is_published_is_consumed() {
    let nsqd = Nsqd::start().await;
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).build().unwrap();
    let consumer = Consumer::builder("t", "c").nsqd(nsqd.tcp_address()).build().unwrap();
    let handle = consumer.handle().clone();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    for number in 0..1000 {
        producer.publish("t", format!("message {number}")).await.unwrap();
    }
    let report = tokio::time::timeout(
        Duration::from_secs(20),
        consumer.run(move |_: Message| {
            let (count, handle) = (count.clone(), handle.clone());
            async move {
                if count.fetch_add(1, Ordering::Relaxed) + 1 == 1000 {
                    tokio::spawn(async move { handle.shutdown().await });
                }
                Ok::<_, std::io::Error>(())
            }
        }),
    )
    .await
    .unwrap();
    println!("{report:?}");
    assert_eq!(seen.load(Ordering::Relaxed), 1000);
    let stats = nsqd.channel_stats("t", "c").await.unwrap();
    assert_eq!((stats.depth, stats.in_flight_count), (0, 0));
    producer.close().await;
}
