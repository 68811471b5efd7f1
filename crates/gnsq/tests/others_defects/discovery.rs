//! When nsqlookupd is asked.

use std::time::Duration;

use gnsq_testkit::{Cluster, DEADLINE, eventually};

use super::support::{Consuming, Seen, consumer, fill};

// Seen in other clients: jitter for the first poll only, or an option for it that nobody reads.
#[tokio::test]
async fn every_poll_of_nsqlookupd_has_a_jitter_of_its_own() {
    let cluster = Cluster::start(1, 1).await;
    fill(cluster.nsqds[0].tcp_address(), 0..1).await;
    let seen = Seen::new();
    let builder = consumer().lookupds(cluster.lookupd_urls()).lookupd_poll_interval(Duration::from_millis(100));
    let consuming = Consuming::into(builder.lookupd_poll_jitter(0.9), &seen);
    seen.wait_for(0..1).await;
    let before = cluster.lookupds[0].log().matches(POLL).count();
    eventually(DEADLINE, "a dozen polls", async || {
        (cluster.lookupds[0].log().matches(POLL).count() >= before + 13).then_some(())
    })
    .await;
    let log = cluster.lookupds[0].log();
    let times: Vec<_> = log.lines().filter(|line| line.contains(POLL)).map(seconds).collect();
    let times = &times[before..];
    let pauses: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).rem_euclid(60.0)).collect();
    let (shortest, longest) =
        pauses.iter().fold((f64::MAX, 0.0_f64), |(low, high), pause| (low.min(*pause), high.max(*pause)));
    // From 10 to 190 ms: a dozen that lie in a fourth of that have not been drawn.
    assert!(longest - shortest > 0.045, "{pauses:?}");
    consuming.shutdown().await;
}

/// The seconds of the minute at which nsqlookupd wrote this line.
fn seconds(line: &str) -> f64 {
    let time = line.split_whitespace().find(|word| word.matches(':').count() == 2 && word.contains('.')).unwrap();
    time.rsplit(':').next().unwrap().parse().unwrap()
}

const POLL: &str = "/lookup?topic=";
