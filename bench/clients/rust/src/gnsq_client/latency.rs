//! How long messages are under way, from the moment `pace` sends them until a handler has them.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use gnsq::Message;
use hdrhistogram::Histogram;

use super::{Threads, until};
use crate::clock::Clock;
use crate::options::Options;
use crate::stamp::age;

/// Prints a line when it is ready, then consumes until a line on stdin says how many messages were sent and those have
/// come.
pub(super) async fn run(options: &Options, threads: Threads) {
    let consumer = super::consumer(options, threads).build().expect("the options are right");
    let handle = consumer.handle().clone();
    // In microseconds, up to a minute, to three digits.
    let latencies = Histogram::<u64>::new_with_max(60_000_000, 3).expect("such a histogram is possible");
    let latencies = Arc::new(Mutex::new(latencies));
    let seen = latencies.clone();
    let running = tokio::spawn(consumer.run(move |message: Message| {
        let took = u64::try_from(age(message.body()).as_micros()).unwrap_or(u64::MAX);
        seen.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(took);
        std::future::ready(Ok::<_, io::Error>(()))
    }));
    let connections = options.addresses.len();
    until(|| {
        let connections = handle.connections().len() == connections;
        connections && handle.connections().iter().all(|connection| connection.ready > 0)
    })
    .await;
    println!("ready");
    io::stdout().flush().expect("stdout is there");
    let clock = Clock::started();
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = line.await.expect("it reads").expect("stdin is there");
    let sent: u64 = line.trim().parse().expect("the line is a number");
    let count = || latencies.lock().unwrap_or_else(PoisonError::into_inner).len();
    until(|| count() >= sent).await;
    clock.stop();
    handle.shutdown().await;
    running.await.expect("the handlers end");
    let latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
    let at = |quantile: f64| latencies.value_at_quantile(quantile);
    clock.report_more(&format!(
        r#""received": {}, "percentiles_us": {{"p50": {}, "p99": {}, "p99.9": {}, "max": {}}}"#,
        latencies.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        latencies.max(),
    ));
}
