//! How long messages are under way, from the moment they are sent until a handler has them.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use gnsq::{Consumer, Message};
use hdrhistogram::Histogram;
use tokio::runtime::Runtime;

use crate::growth::until;
use crate::options::{CHANNEL, Options};
use crate::pace::TIME;
use crate::usage::{Clock, machine_time};

/// Prints a line when it is ready, then consumes until a line on stdin says how many messages were sent and those have
/// come.
pub(crate) fn latency(options: &Options) {
    let runtime = Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let [topic] = &options.names()[..] else { return };
        let builder = Consumer::builder(topic.as_str(), CHANNEL)
            .nsqds(options.nsqd.iter().copied())
            .max_in_flight(options.max_in_flight)
            .low_latency(options.low_latency);
        let consumer = builder.build().expect("the options are right");
        let handle = consumer.handle().clone();
        // In microseconds, up to a minute, to three digits.
        let latencies = Histogram::<u64>::new_with_max(60_000_000, 3).expect("such a histogram is possible");
        let latencies = Arc::new(Mutex::new(latencies));
        let seen = latencies.clone();
        let running = tokio::spawn(consumer.run(move |message: Message| {
            let sent = message.body().first_chunk::<TIME>().map_or(0, |time| u64::from_ne_bytes(*time));
            let took = machine_time().saturating_sub(sent) / 1000;
            seen.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(took);
            std::future::ready(Ok::<_, io::Error>(()))
        }));
        let connections = options.nsqd.len();
        until(|| {
            let connections = handle.connections().len() == connections;
            connections && handle.connections().iter().all(|connection| connection.ready > 0)
        })
        .await;
        println!("ready");
        io::stdout().flush().expect("stdout is there");
        let clock = Clock::start();
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map(|_| line)
        });
        let line = line.await.expect("it reads").expect("stdin is there");
        let sent: u64 = line.trim().parse().expect("the line is a number");
        let count = || latencies.lock().unwrap_or_else(PoisonError::into_inner).len();
        until(|| count() >= sent).await;
        let used = clock.stop();
        handle.shutdown().await;
        running.await.expect("the handlers end");
        let latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |quantile: f64| latencies.value_at_quantile(quantile);
        println!(
            r#"{{"received": {}, {used}, "latencies_us": {{"p50": {}, "p99": {}, "p99.9": {}, "max": {}}}}}"#,
            latencies.len(),
            at(0.5),
            at(0.99),
            at(0.999),
            latencies.max(),
        );
    });
}
