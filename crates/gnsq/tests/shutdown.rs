//! Shutdowns under load: nothing is lost, nothing waits for ever, and nsqd has all of it back at once.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod support;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gnsq::{Message, Requeue};
use gnsq_testkit::{ChannelStats, Nsqd, Proxy, eventually};
use support::{CHANNEL, Consuming, DEADLINE, Seen, TOPIC, consumer, fill, within};
use tokio::sync::Semaphore;

/// How the channel is now: one look, no waiting for message timeouts.
async fn look(nsqd: &Nsqd) -> ChannelStats {
    nsqd.channel_stats(TOPIC, CHANNEL).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_all_that_was_not_finished_is_back_at_once() {
    let nsqds = [Nsqd::start().await, Nsqd::start().await];
    fill(nsqds[0].tcp_address(), 0..2500).await;
    fill(nsqds[1].tcp_address(), 2500..5000).await;
    let seen = Seen::new();
    let note = seen.clone();
    let builder = consumer().nsqds(nsqds.each_ref().map(Nsqd::tcp_address)).max_in_flight(500).concurrency(20);
    let consuming = Consuming::with(builder, move |message: Message| {
        let seen = note.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            seen.note(&message);
            Ok::<_, io::Error>(())
        }
    });
    seen.wait_for_distinct(200).await;
    let handle = consuming.handle.clone();
    let before = handle.stats();
    let report = within("the shutdown", handle.shutdown()).await;
    let mut left = 0;
    for nsqd in &nsqds {
        let stats = look(nsqd).await;
        assert_eq!((stats.in_flight_count, stats.client_count, stats.timeout_count), (0, 0, 0), "{report:?}");
        left += stats.depth;
    }
    let stats = handle.stats();
    println!("{report:?}, {stats:?}");
    assert_eq!(left + stats.finished, 5000);
    assert_eq!(stats.finished, seen.distinct() as u64);
    assert_eq!(report.unconfirmed, []);
    assert_eq!(report.requeued_unfinished, 0);
    assert!(report.requeued_unstarted > 0 && report.requeued_unstarted == stats.requeued, "{report:?}, {stats:?}");
    assert!(report.finished <= stats.finished - before.finished, "{report:?}, {before:?}, {stats:?}");
    assert_eq!(stats.received, stats.finished + stats.requeued);
    assert_eq!(consuming.shutdown().await, report);
}

#[tokio::test]
async fn a_handler_that_never_returns_is_given_up_at_the_time_limit() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..10).await;
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let builder = consumer()
        .nsqd(nsqd.tcp_address())
        .max_in_flight(10)
        .concurrency(2)
        .shutdown_timeout(Duration::from_millis(300));
    let consuming = Consuming::with(builder, move |message: Message| {
        begun.send(()).unwrap();
        async move {
            let _held = message;
            std::future::pending().await
        }
    });
    for _ in 0..2 {
        within("a message", begins.recv()).await.unwrap();
    }
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 10).await;
    let report = within("the shutdown", consuming.handle.shutdown()).await;
    let stats = look(&nsqd).await;
    assert_eq!((stats.depth, stats.in_flight_count, stats.timeout_count), (10, 0, 0));
    assert_eq!((report.requeued_unstarted, report.requeued_unfinished, report.finished), (8, 2, 0));
    assert!(report.took >= Duration::from_millis(300), "{report:?}");
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_in_a_hurry_waits_for_no_handler() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..10).await;
    let mut consumer = consumer().nsqd(nsqd.tcp_address()).max_in_flight(10).build().unwrap();
    let handle = consumer.handle().clone();
    let held = within("a message", consumer.recv()).await.unwrap();
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 10).await;
    let shutdown = tokio::spawn(async move { handle.shutdown().await });
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 1).await;
    consumer.handle().hurry_shutdown();
    let report = within("the shutdown", shutdown).await.unwrap();
    assert!(report.took < Duration::from_secs(30), "{report:?}");
    assert_eq!((report.requeued_unstarted, report.requeued_unfinished), (9, 1));
    let stats = look(&nsqd).await;
    assert_eq!((stats.depth, stats.in_flight_count), (10, 0));
    assert!(held.finish().is_err());
}

#[tokio::test]
async fn what_is_in_hand_may_be_finished_before_the_time_limit() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..100).await;
    let gate = Arc::new(Semaphore::new(0));
    let pass = gate.clone();
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let builder = consumer().nsqd(nsqd.tcp_address()).max_in_flight(50).concurrency(10);
    let consuming = Consuming::with(builder, move |_| {
        let gate = pass.clone();
        begun.send(()).unwrap();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok::<_, io::Error>(())
        }
    });
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 50).await;
    for _ in 0..10 {
        within("a message", begins.recv()).await.unwrap();
    }
    let handle = consuming.handle.clone();
    let shutdown = tokio::spawn(async move { handle.shutdown().await });
    // The 40 that nobody began are back while the 10 go on.
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 10 && stats.depth == 90).await;
    assert!(!shutdown.is_finished());
    gate.add_permits(10);
    let report = within("the shutdown", shutdown).await.unwrap();
    assert_eq!((report.requeued_unstarted, report.finished, report.requeued_unfinished), (40, 10, 0));
    let stats = look(&nsqd).await;
    assert_eq!((stats.depth, stats.in_flight_count, stats.requeue_count), (90, 0, 40));
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_dropped_run_gives_everything_back() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..100).await;
    let consumer = consumer().nsqd(nsqd.tcp_address()).max_in_flight(50).concurrency(10).build().unwrap();
    let handle = consumer.handle().clone();
    let running = tokio::spawn(consumer.run(|message: Message| async move {
        let _held = message;
        std::future::pending::<Result<(), io::Error>>().await
    }));
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 50).await;
    running.abort();
    let report = within("the shutdown", handle.finished()).await;
    let stats = look(&nsqd).await;
    assert_eq!((stats.depth, stats.in_flight_count), (100, 0), "{report:?}");
    assert_eq!(report.requeued_unfinished, 0);
}

#[tokio::test]
async fn a_dropped_stream_gives_everything_back() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..100).await;
    let mut consumer = consumer().nsqd(nsqd.tcp_address()).max_in_flight(50).build().unwrap();
    let handle = consumer.handle().clone();
    let held = within("a message", consumer.recv()).await.unwrap();
    let finished = within("a message", consumer.recv()).await.unwrap();
    finished.finish().unwrap();
    drop(consumer);
    drop(held);
    within("the shutdown", handle.finished()).await;
    let stats = look(&nsqd).await;
    assert_eq!((stats.depth, stats.in_flight_count), (99, 0));
}

#[tokio::test]
async fn a_shutdown_before_any_connection_ends_at_once() {
    let mut nsqd = Nsqd::start().await;
    nsqd.stop().await;
    let consuming = Consuming::into(consumer().nsqd(nsqd.tcp_address()), &Seen::new());
    let report = consuming.shutdown().await;
    assert_eq!((report.requeued_unstarted, report.requeued_unfinished, report.unconfirmed.len()), (0, 0, 0));
}

#[tokio::test]
async fn a_shutdown_while_nsqd_is_silent_ends_at_the_time_limits() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    fill(nsqd.tcp_address(), 0..100).await;
    let config = gnsq::ConnectionConfig::new().write_timeout(Duration::from_millis(200));
    let builder = consumer()
        .nsqd(proxy.address())
        .connection(config)
        .max_in_flight(10)
        .shutdown_timeout(Duration::from_millis(200));
    let consuming = Consuming::with(builder, |message: Message| async move {
        let _held = message;
        std::future::pending().await
    });
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 10).await;
    proxy.stall();
    let report = consuming.shutdown().await;
    assert_eq!(report.unconfirmed, [proxy.address().into()]);
}

#[tokio::test]
async fn repeated_shutdowns_under_full_rate_leave_nothing_in_flight() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..20_000).await;
    nsqd.create_channel(TOPIC, CHANNEL).await;
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.depth == 20_000).await;
    let seen = Seen::new();
    for round in 1..=20 {
        let consuming = Consuming::into(consumer().nsqd(nsqd.tcp_address()).max_in_flight(100), &seen);
        let handle = consuming.handle.clone();
        eventually(DEADLINE, "messages", async || (handle.stats().finished >= 100).then_some(())).await;
        within("the shutdown", consuming.handle.shutdown()).await;
        let stats = look(&nsqd).await;
        assert_eq!((stats.in_flight_count, stats.client_count), (0, 0), "round {round}: {stats:?}");
        assert_eq!(stats.depth + seen.distinct() as u64, 20_000, "round {round}");
        consuming.shutdown().await;
    }
    assert_eq!(seen.duplicates(), 0);
}

#[tokio::test]
async fn requeues_with_a_delay_of_their_own_survive_a_shutdown() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..10).await;
    let consumer = consumer().nsqd(nsqd.tcp_address()).max_in_flight(10).build().unwrap();
    let handle = consumer.handle().clone();
    let running = tokio::spawn(consumer.run(|_| async {
        Err::<(), gnsq::HandlerError>(Requeue::after(Duration::from_secs(600)).without_backoff().into())
    }));
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.deferred_count == 10).await;
    within("the shutdown", handle.shutdown()).await;
    let stats = look(&nsqd).await;
    assert_eq!((stats.depth, stats.in_flight_count, stats.deferred_count), (0, 0, 10));
    assert!(!handle.stats().backing_off);
    within("run", running).await.unwrap();
}
