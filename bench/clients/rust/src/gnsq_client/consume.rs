//! Taking messages; and consumers that get none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gnsq::Message;

use super::Threads;
use crate::clock::Clock;
use crate::options::Options;
use crate::socket_loop::IDLING;

/// Takes and finishes all. The clock runs from the first message to the last.
pub(super) async fn run(options: &Options, threads: Threads) {
    let consumer = super::consumer(options, threads).build().expect("the options are right");
    let handle = consumer.handle().clone();
    let (seen, clock) = (AtomicUsize::new(0), Arc::new(Clock::default()));
    let count = options.count;
    let in_handler = clock.clone();
    consumer
        .run(move |_: Message| {
            let number = seen.fetch_add(1, Ordering::Relaxed) + 1;
            if number == 1 {
                in_handler.start();
            }
            if number == count {
                in_handler.stop();
                in_handler.report(&[], 0);
                let handle = handle.clone();
                tokio::spawn(async move { handle.shutdown().await });
            }
            std::future::ready(Ok::<_, std::io::Error>(()))
        })
        .await;
}

/// Consumers that have nothing to do.
pub(super) async fn idle(options: &Options, threads: Threads) {
    let consumer = || super::consumer(options, threads).build().expect("the options are right");
    let consumers: Vec<_> = (0..options.count).map(|_| consumer()).collect();
    let handles: Vec<_> = consumers.iter().map(|consumer| consumer.handle().clone()).collect();
    for handle in handles {
        while handle.connections().is_empty() {
            tokio::time::sleep(SOON).await;
        }
    }
    tokio::time::sleep(SETTLING).await;
    let clock = Clock::started();
    tokio::time::sleep(IDLING).await;
    clock.stop();
    clock.report(&[], 0);
}

const SOON: Duration = Duration::from_millis(5);
/// Until all that follows from connecting is done.
const SETTLING: Duration = Duration::from_secs(1);
