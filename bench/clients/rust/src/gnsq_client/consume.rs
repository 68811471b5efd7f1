//! Taking messages; and consumers that get none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gnsq::{Consumer, Message};

use super::{Threads, until};
use crate::clock::Clock;
use crate::options::Options;
use crate::socket_loop::IDLING;

/// Takes and finishes all. The clock runs from when every connection is there, and none has been sent anything yet.
pub(super) async fn run(options: &Options, threads: Threads) {
    let consumer = super::consumer(options, threads).max_in_flight(0).build().expect("the options are right");
    let handle = consumer.handle().clone();
    let connections = options.addresses.len() * options.topics;
    until(|| handle.stats().connections == connections).await;
    let clock = Clock::started();
    handle.set_max_in_flight(options.max_in_flight);
    take(options, consumer, clock).await;
}

/// Takes one message, as soon as it can.
pub(super) async fn first(options: &Options, threads: Threads) {
    let clock = Clock::started();
    take(options, super::consumer(options, threads).build().expect("the options are right"), clock).await;
}

async fn take(options: &Options, consumer: Consumer, clock: Clock) {
    let handle = consumer.handle().clone();
    let (seen, count) = (AtomicUsize::new(0), options.count);
    consumer
        .run(move |_: Message| {
            if seen.fetch_add(1, Ordering::Relaxed) + 1 == count {
                clock.stop();
                clock.report(&[], 0);
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
        until(|| !handle.connections().is_empty()).await;
    }
    tokio::time::sleep(SETTLING).await;
    let clock = Clock::started();
    tokio::time::sleep(IDLING).await;
    clock.stop();
    clock.report(&[], 0);
}

/// Until all that follows from connecting is done.
const SETTLING: Duration = Duration::from_secs(1);
