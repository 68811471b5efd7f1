//! Publishes and consumes for a while, and shows what Prometheus would scrape.
//!
//! `cargo run --example prometheus --features metrics`. The nsqd is gnsq's own, in this process: there is nothing to
//! install. A program of yours would serve the text over HTTP, at `/metrics`.
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::time::Duration;

use gnsq::{Consumer, Message, Producer};
use gnsq_server::Nsqd;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Before the clients are built, which ask the recorder for their counters. Without buckets a histogram is shown as
    // quantiles.
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &[0.0001, 0.001, 0.01, 0.1, 1.0, 10.0])?
        .install_recorder()?;

    let nsqd = Nsqd::start().await?;
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).build()?;
    let consumer =
        Consumer::builder("orders", "kitchen").nsqd(nsqd.tcp_address()).max_backoff(Duration::ZERO).build()?;
    let handle = consumer.handle().clone();
    let working = tokio::spawn(consumer.run(|message: Message| async move {
        // One in ten fails at first.
        let fails = message.attempts() == 1 && message.body().ends_with(b"0");
        if fails { message.requeue(Duration::ZERO) } else { Ok(()) }
    }));
    for number in 1..=100 {
        producer.publish("orders", format!("order {number}")).await?;
    }
    while handle.stats().finished < 100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    println!("{}", prometheus.render());
    handle.shutdown().await;
    working.await?;
    producer.close().await;
    Ok(())
}
