//! Messages that are worked on for longer than their timeout.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gnsq::Message;

use super::servers::Server;
use super::support::{Consuming, within};

async fn a_handler_that_blocks_its_thread_keeps_its_message(server: Server) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let builder = server.short_lived().auto_touch(true);
    // This test has one thread: nothing else of the program runs meanwhile.
    let consuming = Consuming::with(builder, move |_: Message| {
        counter.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2500));
        std::future::ready(Ok(()))
    });
    let mut finished = consuming.handle.signals().on_finish.subscribe(1);
    server.publish(["slow"]).await;
    within("the finish", finished.recv()).await.unwrap();
    let channel = server.wait_until_empty().await;
    let stats = consuming.handle.stats();
    consuming.shutdown().await;
    assert_eq!((calls.load(Ordering::Relaxed), channel.timeout_count), (1, 0));
    assert_eq!((stats.finished, stats.expired, stats.too_late), (1, 0, 0));
}

#[tokio::test]
async fn a_handler_that_blocks_its_thread_keeps_its_message_of_the_real_nsqd() {
    a_handler_that_blocks_its_thread_keeps_its_message(Server::real().await).await;
}

#[tokio::test]
async fn a_handler_that_blocks_its_thread_keeps_its_message_of_the_embedded_nsqd() {
    a_handler_that_blocks_its_thread_keeps_its_message(Server::embedded().await).await;
}

async fn what_the_stream_hands_out_is_kept_until_it_is_dropped(server: Server) {
    let mut consumer = server.short_lived().auto_touch(true).max_in_flight(1).build().unwrap();
    server.publish(["mine"]).await;
    let message = within("the message", consumer.recv()).await.unwrap();
    let first = message.deadline();
    while message.deadline() < first + Duration::from_millis(1500) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!message.is_expired());
    }
    drop(message);
    // It comes back, at once and not by a timeout.
    let message = within("the message", consumer.recv()).await.unwrap();
    message.finish_confirmed().await.unwrap();
    assert_eq!(server.channel().await.timeout_count, 0);
    consumer.handle().shutdown().await;
}

#[tokio::test]
async fn what_the_stream_hands_out_is_kept_until_it_is_dropped_on_the_real_nsqd() {
    what_the_stream_hands_out_is_kept_until_it_is_dropped(Server::real().await).await;
}

#[tokio::test]
async fn what_the_stream_hands_out_is_kept_until_it_is_dropped_on_the_embedded_nsqd() {
    what_the_stream_hands_out_is_kept_until_it_is_dropped(Server::embedded().await).await;
}
