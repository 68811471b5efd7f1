//! nsqds, channels and networks that go away and come back under a consumer.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod support;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gnsq::{ConnectionConfig, ConnectionError, Error, Message, Producer};
use gnsq_testkit::{Nsqd, Proxy, eventually};
use support::{CHANNEL, Consuming, DEADLINE, Seen, TOPIC, consumer, fill, within};
use tokio::sync::Semaphore;

#[tokio::test]
async fn a_killed_nsqd_leaves_the_others_in_use_and_comes_back() {
    let mut nsqds = [Nsqd::start().await, Nsqd::start().await, Nsqd::start().await];
    let addresses = nsqds.each_ref().map(Nsqd::tcp_address);
    for (address, start) in addresses.iter().zip([0, 10_000, 20_000]) {
        fill(*address, start..start + 3000).await;
    }
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqds(addresses).max_in_flight(300), &seen);
    seen.wait_for(0..100).await;
    nsqds[0].kill().await;
    // What the killed one held in memory is lost; the others' messages aren't.
    seen.wait_for((10_000..13_000).chain(20_000..23_000)).await;
    consuming.wait_for_connections(2).await;
    fill(addresses[1], 30_000..31_000).await;
    seen.wait_for(30_000..31_000).await;
    nsqds[0].start_again().await;
    fill(addresses[0], 40_000..41_000).await;
    seen.wait_for(40_000..41_000).await;
    assert_eq!(consuming.handle.stats().connections, 3);
    println!("{} of the killed nsqd's 3000 came, {} duplicates in all", seen.distinct() - 8000, seen.duplicates());
    consuming.shutdown().await;
}

#[tokio::test]
async fn an_nsqd_that_restarts_hands_out_again_what_was_in_flight() {
    let mut nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..100).await;
    let seen = Seen::new();
    let gate = Arc::new(Semaphore::new(0));
    let (pass, note) = (gate.clone(), seen.clone());
    let handler = move |message: Message| {
        let (gate, seen) = (pass.clone(), note.clone());
        async move {
            gate.acquire().await.unwrap().forget();
            seen.note(&message);
            Ok::<_, io::Error>(())
        }
    };
    let consuming = Consuming::with(consumer().nsqd(nsqd.tcp_address()).max_in_flight(100).concurrency(10), handler);
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 100).await;
    nsqd.restart().await;
    gate.add_permits(10_000);
    seen.wait_for(0..100).await;
    // What was handled without effect, since its connection was gone, comes again and is finished then.
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.depth + stats.in_flight_count == 0).await;
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_deleted_channel_comes_back_and_is_consumed() {
    let nsqd = Nsqd::start().await;
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(nsqd.tcp_address()), &seen);
    fill(nsqd.tcp_address(), 0..100).await;
    seen.wait_for(0..100).await;
    let mut closed = consuming.handle.signals().on_close.subscribe(10);
    nsqd.delete_channel(TOPIC, CHANNEL).await;
    within("the connection's end", futures_util::StreamExt::next(&mut closed)).await.unwrap();
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.client_count == 1).await;
    fill(nsqd.tcp_address(), 100..200).await;
    seen.wait_for(100..200).await;
    nsqd.delete_topic(TOPIC).await;
    within("the connection's end", futures_util::StreamExt::next(&mut closed)).await.unwrap();
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.client_count == 1).await;
    fill(nsqd.tcp_address(), 200..300).await;
    seen.wait_for(200..300).await;
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
}

#[tokio::test]
async fn an_emptied_channel_is_consumed_further() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..100).await;
    let gate = Arc::new(Semaphore::new(0));
    let pass = gate.clone();
    let seen = Seen::new();
    let note = seen.clone();
    let handler = move |message: Message| {
        let (gate, seen) = (pass.clone(), note.clone());
        async move {
            gate.acquire().await.unwrap().forget();
            seen.note(&message);
            Ok::<_, io::Error>(())
        }
    };
    let consuming = Consuming::with(consumer().nsqd(nsqd.tcp_address()).max_in_flight(50), handler);
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 50).await;
    nsqd.empty_channel(TOPIC, CHANNEL).await;
    gate.add_permits(10_000);
    // nsqd refuses the answers to what it has forgotten, and counts for this consumer start anew.
    fill(nsqd.tcp_address(), 1000..2000).await;
    seen.wait_for(1000..2000).await;
    let handle = consuming.handle.clone();
    eventually(DEADLINE, "nothing in flight", async || (handle.total_in_flight() == 0).then_some(())).await;
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_handler_that_blocks_its_thread_keeps_its_connection() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), [7]).await;
    let config =
        ConnectionConfig::new().heartbeat_interval(Duration::from_secs(1)).msg_timeout(Duration::from_secs(60));
    let seen = Seen::new();
    let note = seen.clone();
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |message: Message| {
        begun.send(()).unwrap();
        std::thread::sleep(Duration::from_secs(3));
        note.note(&message);
        std::future::ready(Ok(()))
    };
    // The test's runtime has one thread, which the handler blocks: a second one looks at nsqd meanwhile.
    let http = nsqd.http_address();
    let consuming = Consuming::with(consumer().nsqd(nsqd.tcp_address()).connection(config), handler);
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.client_count == 1).await;
    let before = clients(&gnsq_testkit::http::get(http, "/stats?format=json").await.1);
    within("the message", begins.recv()).await.unwrap();
    seen.wait_for([7]).await;
    let stats = nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.finish_count == 1).await;
    assert_eq!((stats.client_count, stats.requeue_count, stats.timeout_count), (1, 0, 0));
    assert_eq!(clients(&gnsq_testkit::http::get(http, "/stats?format=json").await.1), before);
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
}

/// Where the channel's clients connect from, and since when.
fn clients(stats: &str) -> Vec<(String, u64)> {
    let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
    let clients = stats["topics"][0]["channels"][0]["clients"].as_array().unwrap();
    let place = |client: &serde_json::Value| {
        (client["remote_address"].as_str().unwrap().to_owned(), client["connect_ts"].as_u64().unwrap())
    };
    clients.iter().map(place).collect()
}

#[tokio::test]
async fn one_message_at_a_time_drains_five_nsqds() {
    let mut nsqds = Vec::new();
    for start in [0, 100, 200, 300, 400] {
        let nsqd = Nsqd::start().await;
        fill(nsqd.tcp_address(), start..start + 5).await;
        nsqds.push(nsqd);
    }
    let seen = Seen::new();
    let (note, busy, most) = (seen.clone(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (busy.clone(), most.clone());
    let handler = move |message: Message| {
        let (seen, busy, most) = (note.clone(), running.clone(), peak.clone());
        async move {
            most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            busy.fetch_sub(1, Ordering::SeqCst);
            seen.note(&message);
            Ok::<_, io::Error>(())
        }
    };
    let builder = consumer().nsqds(nsqds.iter().map(Nsqd::tcp_address)).max_in_flight(1).concurrency(10);
    let consuming = Consuming::with(builder, handler);
    seen.wait_for((0..5).flat_map(|nsqd| nsqd * 100..nsqd * 100 + 5)).await;
    assert_eq!(most.load(Ordering::SeqCst), 1);
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_max_in_flight_that_does_not_divide_evenly_is_used_up_and_not_exceeded() {
    let mut nsqds = Vec::new();
    for start in 0..6 {
        let nsqd = Nsqd::start().await;
        fill(nsqd.tcp_address(), start * 1000..start * 1000 + 100).await;
        nsqds.push(nsqd);
    }
    let gate = Arc::new(Semaphore::new(0));
    let seen = Seen::new();
    let (pass, note) = (gate.clone(), seen.clone());
    let handler = move |message: Message| {
        let (gate, seen) = (pass.clone(), note.clone());
        async move {
            gate.acquire().await.unwrap().forget();
            seen.note(&message);
            Ok::<_, io::Error>(())
        }
    };
    let builder = consumer().nsqds(nsqds.iter().map(Nsqd::tcp_address)).max_in_flight(9).concurrency(20);
    let consuming = Consuming::with(builder, handler);
    let in_flight = async || {
        let mut sum = 0;
        for nsqd in &nsqds {
            sum += nsqd.channel_stats(TOPIC, CHANNEL).await.map_or(0, |stats| stats.in_flight_count);
        }
        sum
    };
    eventually(DEADLINE, "9 messages in flight", async || {
        let sum = in_flight().await;
        assert!(sum <= 9, "{sum} messages are in flight");
        (sum == 9).then_some(())
    })
    .await;
    assert_eq!(consuming.handle.total_in_flight(), 9);
    // Let go one by one, the sum never passes the limit.
    for _ in 0..100 {
        gate.add_permits(1);
        assert!(consuming.handle.total_in_flight() <= 9);
        tokio::task::yield_now().await;
    }
    gate.add_permits(10_000);
    seen.wait_for((0..6).flat_map(|nsqd| nsqd * 1000..nsqd * 1000 + 100)).await;
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
}

#[tokio::test]
async fn max_in_flight_and_pause_take_effect_on_a_running_consumer() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..1000).await;
    let gate = Arc::new(Semaphore::new(0));
    let seen = Seen::new();
    let (pass, note) = (gate.clone(), seen.clone());
    let handler = move |message: Message| {
        let (gate, seen) = (pass.clone(), note.clone());
        async move {
            gate.acquire().await.unwrap().forget();
            seen.note(&message);
            Ok::<_, io::Error>(())
        }
    };
    let consuming = Consuming::with(consumer().nsqd(nsqd.tcp_address()).max_in_flight(3).concurrency(100), handler);
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 3).await;
    consuming.handle.set_max_in_flight(50);
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 50).await;
    consuming.handle.set_max_in_flight(10);
    eventually(DEADLINE, "a lower RDY", async || (consuming.handle.total_ready() <= 10).then_some(())).await;
    gate.add_permits(45);
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count <= 10 && stats.finish_count == 45).await;
    consuming.handle.pause();
    eventually(DEADLINE, "RDY 0", async || (consuming.handle.total_ready() == 0).then_some(())).await;
    gate.add_permits(10_000);
    let paused = nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 0).await;
    assert!(paused.depth > 900, "{paused:?}");
    consuming.handle.resume();
    seen.wait_for(0..1000).await;
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_partition_is_noticed_and_the_consumer_comes_back() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let config =
        ConnectionConfig::new().heartbeat_interval(Duration::from_secs(1)).connect_timeout(Duration::from_secs(1));
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(proxy.address()).connection(config), &seen);
    fill(nsqd.tcp_address(), 0..10).await;
    seen.wait_for(0..10).await;
    let mut closed = consuming.handle.signals().on_close.subscribe(10);
    proxy.stall();
    let event = within("the connection's end", futures_util::StreamExt::next(&mut closed)).await.unwrap();
    assert!(
        matches!(&event.cause, Error::Connection { source: ConnectionError::Silent(_), .. })
            && event.cause.is_timeout(),
        "{}",
        event.cause
    );
    proxy.resume();
    fill(nsqd.tcp_address(), 10..20).await;
    seen.wait_for(0..20).await;
    consuming.shutdown().await;
}

#[tokio::test]
async fn garbage_from_the_network_only_costs_a_connection() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let config = ConnectionConfig::new().msg_timeout(Duration::from_secs(1)).answer_timeout(Duration::from_secs(5));
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(proxy.address()).connection(config), &seen);
    consuming.wait_for_connections(1).await;
    let mut closed = consuming.handle.signals().on_close.subscribe(10);
    proxy.downstream().corrupt_after(proxy.downstream().bytes() + 1000);
    fill(nsqd.tcp_address(), 0..1000).await;
    let event = within("the connection's end", futures_util::StreamExt::next(&mut closed)).await.unwrap();
    assert!(matches!(&event.cause, Error::Connection { .. }), "{}", event.cause);
    proxy.pass();
    // Bytes inside a message can't be told from others: those of one message may be what never was published.
    let last = 2000..2010;
    fill(nsqd.tcp_address(), last.clone()).await;
    seen.wait_for(last).await;
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.depth + stats.in_flight_count + stats.deferred_count == 0)
        .await;
    consuming.shutdown().await;
}

#[tokio::test]
async fn what_handlers_fail_at_for_a_while_is_consumed_in_the_end() {
    let nsqds = [Nsqd::start().await, Nsqd::start().await];
    let addresses = nsqds.each_ref().map(Nsqd::tcp_address);
    fill(addresses[0], 0..100).await;
    fill(addresses[1], 100..200).await;
    let seen = Seen::new();
    let broken = Arc::new(AtomicBool::new(true));
    let failures = Arc::new(AtomicU64::new(0));
    let (note, fails, count) = (seen.clone(), broken.clone(), failures.clone());
    let handler = move |message: Message| {
        let result = if fails.load(Ordering::SeqCst) {
            count.fetch_add(1, Ordering::SeqCst);
            Err(io::Error::other("the database is away"))
        } else {
            note.note(&message);
            Ok(())
        };
        std::future::ready(result)
    };
    let builder = consumer().nsqds(addresses).max_in_flight(20).concurrency(4).max_backoff(Duration::from_millis(100));
    let consuming = Consuming::with(builder, handler);
    eventually(DEADLINE, "some failures", async || (failures.load(Ordering::SeqCst) > 60).then_some(())).await;
    broken.store(false, Ordering::SeqCst);
    seen.wait_for(0..200).await;
    eventually(DEADLINE, "the end of backoff", async || (!consuming.handle.stats().backing_off).then_some(())).await;
    assert_eq!(seen.duplicates(), 0);
    println!("{} failures", failures.load(Ordering::SeqCst));
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_stuck_handler_does_not_fill_the_memory_with_messages_that_timed_out() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..50).await;
    let config = ConnectionConfig::new().msg_timeout(Duration::from_secs(1));
    let builder = consumer().nsqd(nsqd.tcp_address()).connection(config).max_in_flight(50);
    let builder = builder.shutdown_timeout(Duration::from_millis(100));
    let consuming = Consuming::with(builder, |message: Message| async move {
        let _held = message;
        std::future::pending().await
    });
    // Every second nsqd takes the messages back and hands them out again.
    eventually(DEADLINE, "deliveries", async || (consuming.handle.stats().received >= 300).then_some(())).await;
    let queued = consuming.handle.stats().queued;
    assert!(queued <= 100, "{queued} messages are queued");
    let report = consuming.shutdown().await;
    assert!(report.requeued_unfinished <= 50, "{report:?}");
}

#[tokio::test]
async fn messages_come_and_go_through_a_slow_network() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    proxy.upstream().delay(Duration::from_millis(40));
    proxy.downstream().delay(Duration::from_millis(40));
    proxy.downstream().throttle(500_000);
    fill(nsqd.tcp_address(), 0..5000).await;
    let start = Instant::now();
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(proxy.address()).max_in_flight(1000), &seen);
    seen.wait_for(0..5000).await;
    println!("5000 messages in {:?}", start.elapsed());
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
    let stats = nsqd.channel_stats(TOPIC, CHANNEL).await.unwrap();
    assert_eq!((stats.depth, stats.in_flight_count), (0, 0));
}

#[tokio::test]
async fn a_consumer_and_a_producer_share_a_topic_that_is_fed_while_it_is_drained() {
    let nsqd = Nsqd::start().await;
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(nsqd.tcp_address()), &seen);
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).build().unwrap();
    for number in 0..2000 {
        producer.publish(TOPIC, number.to_string()).await.unwrap();
    }
    seen.wait_for(0..2000).await;
    assert_eq!(seen.duplicates(), 0);
    producer.close().await;
    consuming.shutdown().await;
}
