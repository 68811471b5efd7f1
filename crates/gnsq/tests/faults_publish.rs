//! nsqds that go away and come back while messages are published.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gnsq::{Error, Producer, ProducerBuilder};
use gnsq_testkit::{Nsqd, Proxy};
use support::{CHANNEL, Consuming, Seen, TOPIC, consumer, fill, within};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Publishes numbers from many tasks at once and keeps account of what became of each.
struct Publishing {
    tasks: JoinSet<Account>,
    confirmed: watch::Receiver<u64>,
}

#[derive(Debug, Default)]
struct Account {
    confirmed: HashSet<u64>,
    /// They may have been published, or not.
    unknown: HashSet<u64>,
    /// They surely were not.
    failed: HashSet<u64>,
}

impl Publishing {
    /// The numbers below `count`, from `tasks` tasks.
    fn start(producer: &Producer, tasks: usize, count: u64) -> Self {
        let next = Arc::new(AtomicU64::new(0));
        let progress = Arc::new(watch::Sender::new(0));
        let confirmed = progress.subscribe();
        let mut set = JoinSet::new();
        for _ in 0..tasks {
            let (producer, next, progress) = (producer.clone(), next.clone(), progress.clone());
            set.spawn(async move {
                let mut account = Account::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return account;
                    }
                    let published = within("a publish", producer.publish(TOPIC, number.to_string())).await;
                    match published {
                        Ok(()) => {
                            account.confirmed.insert(number);
                            progress.send_modify(|confirmed| *confirmed += 1);
                        }
                        Err(error) => {
                            assert!(is_typed(&error), "{error}");
                            let list = if error.outcome_unknown() { &mut account.unknown } else { &mut account.failed };
                            list.insert(number);
                        }
                    }
                }
            });
        }
        Self { tasks: set, confirmed }
    }

    async fn wait_for(&mut self, count: u64) {
        within("confirmations", self.confirmed.wait_for(|confirmed| *confirmed >= count)).await.unwrap();
    }

    async fn finish(mut self) -> Account {
        let mut all = Account::default();
        while let Some(account) = within("the publishing tasks", self.tasks.join_next()).await {
            let account = account.unwrap();
            all.confirmed.extend(account.confirmed);
            all.unknown.extend(account.unknown);
            all.failed.extend(account.failed);
        }
        all
    }
}

/// What a publish may end with when nsqds go away.
fn is_typed(error: &Error) -> bool {
    match error {
        Error::Lost { .. } | Error::Timeout { .. } | Error::NoConnections { .. } => true,
        Error::Refused { source, .. } => source.code().is_retryable(),
        _ => false,
    }
}

fn producer() -> ProducerBuilder {
    Producer::builder().max_reconnect_delay(Duration::from_millis(200))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_confirmed_is_consumed_while_each_nsqd_restarts_in_turn() {
    const COUNT: u64 = 100_000;
    let start = Instant::now();
    let mut nsqds = [Nsqd::start().await, Nsqd::start().await, Nsqd::start().await];
    let addresses = nsqds.each_ref().map(Nsqd::tcp_address);
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqds(addresses).max_in_flight(1000).concurrency(4), &seen);
    let producer = producer().nsqds(addresses).build().unwrap();
    let mut publishing = Publishing::start(&producer, 64, COUNT);
    for (nsqd, after) in nsqds.iter_mut().zip([COUNT / 5, COUNT * 2 / 5, COUNT * 3 / 5]) {
        publishing.wait_for(after).await;
        nsqd.stop().await;
        // The other two carry on alone.
        publishing.wait_for(after + COUNT / 20).await;
        nsqd.start_again().await;
    }
    let account = publishing.finish().await;
    let published = start.elapsed();
    seen.wait_for(account.confirmed.iter().copied()).await;
    println!(
        "confirmed {}, unknown {}, failed {}; consumed {} with {} duplicates; published after {published:?}, consumed after {:?}",
        account.confirmed.len(),
        account.unknown.len(),
        account.failed.len(),
        seen.distinct(),
        seen.duplicates(),
        start.elapsed(),
    );
    // Two of three were always there, so what was not sent found another.
    assert!(account.failed.is_empty(), "{:?}", account.failed);
    assert!(seen.all().iter().all(|number| account.confirmed.contains(number) || account.unknown.contains(number)));
    producer.close().await;
    let report = consuming.shutdown().await;
    assert_eq!(report.unconfirmed, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_confirmed_survives_a_killed_nsqd() {
    const COUNT: u64 = 10_000;
    // All goes to the disk, and stays in the topic: on its way to a channel a message is in nsqd's memory alone.
    // A disk in memory survives a killed process too, and takes a sync a message in its stride.
    let memory = Path::new("/dev/shm");
    let disk = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let mut nsqd = Nsqd::builder()
        .arg("--mem-queue-size=0")
        .arg("--sync-every=1")
        .arg(format!("--data-path={}", disk.path().display()))
        .start()
        .await;
    let producer = producer().nsqd(nsqd.tcp_address()).build().unwrap();
    let mut publishing = Publishing::start(&producer, 64, COUNT);
    publishing.wait_for(COUNT / 2).await;
    nsqd.kill().await;
    nsqd.start_again().await;
    let account = publishing.finish().await;
    assert!(account.failed.is_empty(), "{:?}", account.failed);
    let stats = producer.stats();
    assert!(stats.batched > stats.batches, "messages shared commands: {stats:?}");
    assert_eq!(stats.published, account.confirmed.len() as u64);
    assert_eq!((stats.unknown, stats.failed), (account.unknown.len() as u64, 0));

    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(nsqd.tcp_address()), &seen);
    seen.wait_for(account.confirmed.iter().copied()).await;
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.depth + stats.in_flight_count == 0).await;
    let arrived = account.unknown.iter().filter(|number| seen.contains(**number)).count();
    println!(
        "confirmed {}, unknown {} of which {arrived} arrived, duplicates {}",
        account.confirmed.len(),
        account.unknown.len(),
        seen.duplicates()
    );
    assert_eq!(seen.distinct(), account.confirmed.len() + arrived);
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_publish_without_nsqd_ends_at_its_deadline_and_a_later_one_succeeds() {
    let mut nsqd = Nsqd::start().await;
    let producer = producer().nsqd(nsqd.tcp_address()).publish_timeout(Duration::from_millis(500)).build().unwrap();
    producer.publish(TOPIC, "1").await.unwrap();
    nsqd.stop().await;
    // The first may still find the connection that is about to end.
    let error = loop {
        let error = within("a publish", producer.publish(TOPIC, "2")).await.unwrap_err();
        if !matches!(error, Error::Lost { .. }) {
            break error;
        }
    };
    assert!(matches!(&error, Error::NoConnections { last: Some(_), .. }), "{error}");
    assert!(error.is_timeout() && error.is_retryable() && !error.outcome_unknown());
    nsqd.start_again().await;
    gnsq_testkit::eventually(support::DEADLINE, "a publish that succeeds", async || {
        producer.publish(TOPIC, "3").await.ok()
    })
    .await;
    producer.close().await;
}

#[tokio::test]
async fn publishes_end_at_their_deadline_while_the_network_is_cut_off_and_go_on_afterwards() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let producer = producer().nsqd(proxy.address()).publish_timeout(Duration::from_secs(2)).build().unwrap();
    producer.publish(TOPIC, "0").await.unwrap();
    proxy.stall();
    let mut publishes = JoinSet::new();
    for number in 1..=100 {
        let producer = producer.clone();
        publishes.spawn(async move { producer.publish(TOPIC, number.to_string()).await });
    }
    while let Some(outcome) = within("a publish", publishes.join_next()).await {
        let error = outcome.unwrap().unwrap_err();
        assert!(error.is_timeout() && error.outcome_unknown(), "{error}");
    }
    assert_eq!(producer.outstanding(), 0);
    proxy.resume();
    within("a publish", producer.publish(TOPIC, "101")).await.unwrap();
    // The stall lost nothing: what was given up arrived nevertheless.
    assert_eq!(nsqd.topic_stats(TOPIC).await.unwrap().message_count, 102);
    producer.close().await;
}

#[tokio::test]
async fn a_silent_nsqd_is_left_and_its_publishes_are_unknown() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let config = gnsq::ConnectionConfig::new().heartbeat_interval(Duration::from_secs(1));
    let producer = producer().nsqd(proxy.address()).connection(config).build().unwrap();
    producer.publish(TOPIC, "0").await.unwrap();
    proxy.stall();
    let error = within("a publish", producer.publish(TOPIC, "1")).await.unwrap_err();
    assert!(matches!(&error, Error::Lost { sent: true, .. }), "{error}");
    assert!(error.outcome_unknown());
    assert_eq!(producer.connections(), 0);
    proxy.pass();
    within("a publish", producer.publish(TOPIC, "2")).await.unwrap();
    producer.close().await;
}

#[tokio::test]
async fn what_was_not_answered_is_published_again_if_the_user_chose_so() {
    let first = Nsqd::start().await;
    let second = Nsqd::start().await;
    let proxy = Proxy::to(first.tcp_address()).await;
    let config = gnsq::ConnectionConfig::new().heartbeat_interval(Duration::from_secs(1));
    let producer = producer()
        .nsqd(proxy.address())
        .nsqd(second.tcp_address())
        .routing(gnsq::Routing::FirstHealthy)
        .retry_unknown(true)
        .connection(config)
        .build()
        .unwrap();
    gnsq_testkit::eventually(support::DEADLINE, "two connections", async || {
        (producer.connections() == 2).then_some(())
    })
    .await;
    proxy.stall();
    within("a publish", producer.publish(TOPIC, "1")).await.unwrap();
    assert_eq!(second.topic_stats(TOPIC).await.unwrap().message_count, 1);
    producer.close().await;
}

#[tokio::test]
async fn what_may_have_been_published_stays_unknown_when_later_attempts_surely_fail() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let config = gnsq::ConnectionConfig::new().heartbeat_interval(Duration::from_secs(1));
    let producer = producer()
        .nsqd(proxy.address())
        .retry_unknown(true)
        .publish_timeout(Duration::from_secs(4))
        .connection(config)
        .build()
        .unwrap();
    producer.ready().await.unwrap();
    // The answer is lost, and nobody can be reached afterwards.
    proxy.downstream().stall();
    proxy.refuse();
    let error = within("a publish", producer.publish(TOPIC, "1")).await.unwrap_err();
    assert_eq!(nsqd.topic_stats(TOPIC).await.unwrap().message_count, 1);
    assert!(error.outcome_unknown(), "{error}");
    proxy.pass();
    producer.close().await;
}

#[tokio::test]
async fn garbage_from_the_network_ends_in_an_error_and_another_connection() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let producer = producer().nsqd(proxy.address()).build().unwrap();
    producer.ready().await.unwrap();
    // Beyond the answer to IDENTIFY.
    proxy.downstream().corrupt_after(proxy.downstream().bytes());
    let error = within("a publish", producer.publish(TOPIC, "1")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Lost { sent: true, cause, .. } if matches!(**cause, Error::Connection { .. })),
        "{error}"
    );
    proxy.pass();
    within("a publish", producer.publish(TOPIC, "2")).await.unwrap();
    assert!(proxy.accepted_connections() >= 2);
    producer.close().await;
}

#[tokio::test]
async fn connections_cut_at_any_byte_lose_nothing_that_is_confirmed() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let producer = producer()
        .nsqd(proxy.address())
        .max_reconnect_delay(Duration::from_millis(10))
        .publish_timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    let mut publishing = Publishing::start(&producer, 8, 2000);
    // Past IDENTIFY's answer, then in the middle of the answers to publishes.
    proxy.downstream().cut_after(700);
    publishing.wait_for(200).await;
    // In the middle of commands.
    proxy.downstream().pass();
    proxy.upstream().cut_after(1111);
    publishing.wait_for(500).await;
    proxy.pass();
    let account = publishing.finish().await;
    assert!(account.failed.is_empty(), "{:?}", account.failed);
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(nsqd.tcp_address()), &seen);
    seen.wait_for(account.confirmed.iter().copied()).await;
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.depth + stats.in_flight_count == 0).await;
    println!("confirmed {}, unknown {}", account.confirmed.len(), account.unknown.len());
    // What was surely not carried out was sent again, and what may have been was not: no message comes twice.
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_slow_network_only_takes_longer() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    proxy.upstream().delay(Duration::from_millis(30));
    proxy.downstream().delay(Duration::from_millis(30));
    proxy.upstream().throttle(200_000);
    proxy.downstream().throttle(200_000);
    let producer = producer().nsqd(proxy.address()).build().unwrap();
    let publishing = Publishing::start(&producer, 100, 1000);
    let account = publishing.finish().await;
    assert_eq!(account.confirmed.len(), 1000);
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(proxy.address()), &seen);
    seen.wait_for(0..1000).await;
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_publish_through_a_narrow_gate() {
    let nsqds = [Nsqd::start().await, Nsqd::start().await];
    let addresses = nsqds.each_ref().map(Nsqd::tcp_address);
    let producer = producer().nsqds(addresses).max_outstanding(10).build().unwrap();
    let account = Publishing::start(&producer, 1000, 20_000).finish().await;
    assert_eq!(account.confirmed.len(), 20_000);
    assert_eq!(producer.outstanding(), 0);
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqds(addresses).max_in_flight(500), &seen);
    seen.wait_for(0..20_000).await;
    assert_eq!(seen.duplicates(), 0);
    consuming.shutdown().await;
    producer.close().await;
}

#[tokio::test]
async fn a_message_larger_than_the_byte_budget_goes_out_alone() {
    let nsqd = Nsqd::start().await;
    let producer = producer().nsqd(nsqd.tcp_address()).max_outstanding_bytes(100).build().unwrap();
    let mut publishes = JoinSet::new();
    for size in [1, 50, 99, 100, 101, 1000, 100_000] {
        let producer = producer.clone();
        publishes.spawn(async move { producer.publish(TOPIC, vec![b'x'; size]).await });
    }
    while let Some(outcome) = within("a publish", publishes.join_next()).await {
        outcome.unwrap().unwrap();
    }
    fill(nsqd.tcp_address(), 0..10).await;
    assert_eq!(nsqd.topic_stats(TOPIC).await.unwrap().message_count, 17);
    producer.close().await;
}

#[tokio::test]
async fn a_message_that_only_nsqd_finds_too_large_fails_alone() {
    let real = Nsqd::builder().arg("--max-msg-size=100").start().await;
    too_large_fails_alone(real.tcp_address()).await;
    // Nothing of what was refused together was stored then, so nothing comes twice.
    assert_eq!(real.topic_stats(TOPIC).await.unwrap().message_count, 147);

    let mut options = gnsq_server::NsqdOptions::default();
    options.max_msg_size = 100;
    let embedded = gnsq_server::Nsqd::builder().options(options).start().await.unwrap();
    too_large_fails_alone(embedded.tcp_address().parse().unwrap()).await;
    assert_eq!(embedded.stats().topic(TOPIC).unwrap().message_count, 147);
}

async fn too_large_fails_alone(nsqd: std::net::SocketAddr) {
    let producer = producer().nsqd(nsqd).max_reconnect_delay(Duration::from_millis(10)).build().unwrap();
    producer.ready().await.unwrap();
    let body = |number: u64| if number % 50 == 7 { "x".repeat(101) } else { number.to_string() };
    let publishes = (0..150).map(|number| producer.publish(TOPIC, body(number)));
    let outcomes = within("the publishes", futures_util::future::join_all(publishes)).await;
    for (number, outcome) in (0..).zip(outcomes) {
        match outcome {
            Ok(()) => assert_ne!(number % 50, 7),
            Err(error) => {
                assert_eq!(number % 50, 7, "{number}: {error}");
                let refused =
                    matches!(&error, Error::Refused { source, .. } if *source.code() == gnsq::ErrorCode::BadMessage);
                assert!(refused && !error.outcome_unknown(), "{error}");
            }
        }
    }
    assert!(producer.stats().batches > 0);
    producer.close().await;
}

#[tokio::test]
async fn messages_that_together_are_too_much_for_nsqd_are_published_one_by_one() {
    let nsqd = Nsqd::builder().arg("--max-body-size=1000").start().await;
    let producer = producer().nsqd(nsqd.tcp_address()).build().unwrap();
    producer.ready().await.unwrap();
    let publishes = (0..100).map(|_| producer.publish(TOPIC, "x".repeat(100)));
    let outcomes = within("the publishes", futures_util::future::join_all(publishes)).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(nsqd.topic_stats(TOPIC).await.unwrap().message_count, 100);
    producer.close().await;
}

#[tokio::test]
async fn publishes_go_elsewhere_while_an_nsqd_stands_still_and_come_back_afterwards() {
    let nsqds = [Nsqd::start().await, Nsqd::start().await];
    let addresses = nsqds.each_ref().map(Nsqd::tcp_address);
    let producer = producer().nsqds(addresses).stall_timeout(Duration::from_millis(300)).build().unwrap();
    gnsq_testkit::eventually(support::DEADLINE, "two connections", async || {
        (producer.connections() == 2).then_some(())
    })
    .await;
    nsqds[0].pause();
    // One of the two meets the nsqd that stands still, and waits for it.
    let mut waiting = JoinSet::new();
    for number in 0..2 {
        let producer = producer.clone();
        waiting.spawn(async move { producer.publish(TOPIC, number.to_string()).await });
    }
    within("the other", waiting.join_next()).await.unwrap().unwrap().unwrap();
    gnsq_testkit::eventually(support::DEADLINE, "the stall", async || {
        producer.stats().nsqds.iter().any(|nsqd| nsqd.stalled).then_some(())
    })
    .await;
    for number in 2..100 {
        within("a publish", producer.publish(TOPIC, number.to_string())).await.unwrap();
    }
    assert!(waiting.try_join_next().is_none());
    nsqds[0].resume();
    within("the first", waiting.join_next()).await.unwrap().unwrap().unwrap();
    assert_eq!(nsqds[0].topic_stats(TOPIC).await.unwrap().message_count, 1);
    for number in 100..102 {
        within("a publish", producer.publish(TOPIC, number.to_string())).await.unwrap();
    }
    assert_eq!(nsqds[0].topic_stats(TOPIC).await.unwrap().message_count, 2);
    producer.close().await;
}

#[tokio::test]
async fn an_embedded_nsqd_takes_what_a_task_publishes_in_its_order() {
    let nsqd = gnsq_server::Nsqd::start().await.unwrap();
    let address: std::net::SocketAddr = nsqd.tcp_address().parse().unwrap();
    let producer = producer().nsqd(address).build().unwrap();
    // Begun in this order by one task, of which many are under way at a time.
    let publishes = (0..2000).map(|number: u64| producer.publish(TOPIC, number.to_string()));
    let outcomes = within("the publishes", futures_util::future::join_all(publishes)).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let stats = producer.stats();
    assert!(stats.batches > 0 && stats.published == 2000, "{stats:?}");
    producer.close().await;

    // One at a time, so that nothing overtakes on the way back.
    let mut consumer = consumer().nsqd(address).max_in_flight(1).build().unwrap();
    for number in 0..2000 {
        let message = within("a message", consumer.recv()).await.unwrap();
        assert_eq!(support::number(&message), number);
        message.finish().unwrap();
    }
    within("the shutdown", consumer.handle().shutdown()).await;
}
