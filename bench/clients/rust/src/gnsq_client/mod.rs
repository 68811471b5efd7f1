//! The same work with gnsq.

mod consume;
mod latency;
mod publish;
mod round_trip;

use std::time::{Duration, Instant};

use gnsq::{ConnectionConfig, ConsumerBuilder, Io, TlsConfig};
use tokio::runtime::{Builder, Runtime};

use crate::options::{Options, Work};

/// What the client runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// tokio's multi-threaded runtime, and a consumer's I/O where it is by default.
    Default,
    /// The current thread alone.
    One,
}

pub(crate) fn run(options: &Options, threads: Threads) {
    let runtime = match threads {
        Threads::Default => Builder::new_multi_thread().enable_all().build(),
        Threads::One => Builder::new_current_thread().enable_all().build(),
    };
    let runtime: Runtime = runtime.expect("threads can be started");
    // As a task, which is woken on the thread that has its news: the future of `block_on` has a thread of its own.
    let done = runtime.block_on(runtime.spawn(work(options.clone(), threads)));
    done.expect("it does its work");
}

async fn work(options: Options, threads: Threads) {
    match options.work {
        Work::Publish => publish::each(&options).await,
        Work::Multipublish => publish::many(&options).await,
        Work::Consume => consume::run(&options, threads).await,
        Work::First => consume::first(&options, threads).await,
        Work::Idle => consume::idle(&options, threads).await,
        Work::RoundTrip => round_trip::run(&options, threads).await,
        Work::Latency => latency::run(&options, threads).await,
        Work::Pace => panic!("the socket loop does that"),
    }
}

fn consumer(options: &Options, threads: Threads) -> ConsumerBuilder {
    let topics = options.topics();
    gnsq::Consumer::builder(topics[0].as_str(), crate::CHANNEL)
        .topics(topics[1..].iter().map(String::as_str))
        .nsqds(options.addresses.iter().copied())
        .connection(connection(options))
        .max_in_flight(options.max_in_flight)
        .concurrency(options.handlers)
        .low_latency(options.low_latency)
        .io(match threads {
            Threads::Default => Io::Dedicated,
            Threads::One => Io::Current,
        })
}

fn connection(options: &Options) -> ConnectionConfig {
    let mut config = ConnectionConfig::new().snappy(options.snappy);
    if let Some(level) = options.deflate {
        config = config.deflate(level);
    }
    if let Some(certificate) = &options.tls {
        config = config.tls(TlsConfig::new().ca_certificate_file(certificate));
    }
    config
}

/// Waits until it is so.
async fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not so after {PATIENCE:?}");
        tokio::time::sleep(SOON).await;
    }
}

/// How long connecting and the like may take.
const PATIENCE: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_millis(1);
