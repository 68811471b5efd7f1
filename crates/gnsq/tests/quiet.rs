//! What a consumer without messages costs, in time and in noise.

#![cfg(all(feature = "http", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gnsq_testkit::{Cluster, Nsqd, eventually};
use support::{CHANNEL, Consuming, DEADLINE, Seen, TOPIC, consumer, fill};
use tokio::sync::Mutex;
use tracing::span;

/// The I/O thread and the log are the process's: one test at a time.
static ONE: Mutex<()> = Mutex::const_new(());

/// How often the thread of the clients' I/O has waited for something.
fn waits() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let status = tasks
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default())
        .find(|status| status.starts_with("Name:\tgnsq-io"))
        .unwrap();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    count.trim().parse().unwrap()
}

#[tokio::test]
async fn an_idle_consumer_sleeps() {
    let _one = ONE.lock().await;
    let nsqds = [Nsqd::start().await, Nsqd::start().await, Nsqd::start().await];
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqds(nsqds.each_ref().map(Nsqd::tcp_address)), &seen);
    // Also after it was busy.
    for nsqd in &nsqds {
        fill(nsqd.tcp_address(), 0..3000).await;
        nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.depth + stats.in_flight_count == 0).await;
    }
    // The last timers of a busy time run out; then a second passes in which next to nothing happens.
    eventually(DEADLINE, "a quiet second", async || {
        let before = waits();
        tokio::time::sleep(Duration::from_secs(1)).await;
        (waits() - before <= 5).then_some(())
    })
    .await;
    consuming.shutdown().await;
}

/// Counts events of level WARN and ERROR.
struct Alarms(Arc<AtomicUsize>);

impl tracing::Subscriber for Alarms {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, _event: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

#[tokio::test]
async fn a_topic_that_nsqlookupd_does_not_know_yet_alarms_nobody() {
    let _one = ONE.lock().await;
    let alarms = Arc::new(AtomicUsize::new(0));
    tracing::subscriber::set_global_default(Alarms(alarms.clone())).unwrap();
    let mut cluster = Cluster::start(1, 1).await;
    let builder = consumer().lookupds(cluster.lookupd_urls()).lookupd_poll_interval(Duration::from_millis(20));
    let seen = Seen::new();
    let consuming = Consuming::into(builder, &seen);
    eventually(DEADLINE, "some polls", async || {
        (cluster.lookupds[0].log().matches("/lookup?topic=").count() > 5).then_some(())
    })
    .await;
    fill(cluster.nsqds[0].tcp_address(), 0..10).await;
    seen.wait_for(0..10).await;
    assert_eq!(alarms.load(Ordering::Relaxed), 0);
    // One that gives no answer is another matter.
    cluster.lookupds[0].stop().await;
    eventually(DEADLINE, "an alarm", async || (alarms.load(Ordering::Relaxed) > 0).then_some(())).await;
    consuming.shutdown().await;
}
