//! Large messages and a slow handler.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gnsq::Message;

use super::servers::Server;
use super::support::{Consuming, consumer};

const MIB: usize = 1024 * 1024;

async fn what_is_held_stays_within_the_limit(server: Server) {
    const LIMIT: u64 = 4 * MIB as u64;
    server.publish((0..40_u8).map(|number| vec![number; MIB])).await;
    let builder = consumer().nsqd(server.address.clone()).max_in_flight(200).max_in_flight_bytes(LIMIT);
    let seen = Arc::new(Mutex::new((HashSet::new(), 0)));
    let noting = seen.clone();
    let handle = Arc::new(std::sync::OnceLock::<gnsq::ConsumerHandle>::new());
    let of_handler = handle.clone();
    let consuming = Consuming::with(builder.concurrency(2), move |message: Message| {
        let (noting, handle) = (noting.clone(), of_handler.clone());
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let mut noting = noting.lock().unwrap();
            noting.0.insert(message.body()[0]);
            noting.1 = handle.get().map_or(0, |handle| handle.stats().bytes).max(noting.1);
            Ok(())
        }
    });
    handle.set(consuming.handle.clone()).unwrap();
    server.wait_until_empty().await;
    assert_eq!(seen.lock().unwrap().0.len(), 40);
    let most = seen.lock().unwrap().1;
    // Messages are all of one size, so nothing but the messages that are being dropped comes on top.
    assert!(most > 0 && most <= LIMIT + 2 * MIB as u64, "{most}");
    assert_eq!(consuming.handle.stats().bytes, 0);
    consuming.shutdown().await;
}

#[tokio::test]
async fn what_is_held_of_the_real_nsqd_stays_within_the_limit() {
    what_is_held_stays_within_the_limit(Server::real().await).await;
}

#[tokio::test]
async fn what_is_held_of_the_embedded_nsqd_stays_within_the_limit() {
    what_is_held_stays_within_the_limit(Server::embedded().await).await;
}
