//! Reports a handler's failures to Sentry, with what tells where to look: topic, channel, nsqd, message and attempt.
//!
//! `cargo run --example sentry`. It reports to itself and prints what it captured: the nsqd is gnsq's own, in this process, and
//! instead of a network there is `Captured`. A program of yours has its DSN in place of the one here, and one of the `sentry`
//! crate's transports.
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use gnsq::contrib::{ErrorReport, Failure, report_errors};
use gnsq::{Consumer, Message, Producer};
use gnsq_server::Nsqd;
use sentry::protocol::Event;
use sentry::{ClientOptions, Level, Transport};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for event in capture().await? {
        let what = event.exception.iter().find_map(|exception| exception.value.as_deref());
        println!("{:?}: {}", event.level, what.or(event.message.as_deref()).unwrap_or_default());
        for (tag, value) in &event.tags {
            println!("  {tag} = {value}");
        }
    }
    Ok(())
}

/// Has a handler fail twice on one of three orders, which is given up then. Returns what Sentry was told.
async fn capture() -> Result<Vec<Event<'static>>, Box<dyn Error>> {
    let (captured, mut events) = mpsc::unbounded_channel();
    let options = ClientOptions::new().dsn("https://key@sentry.example/1").transport(Arc::new(Captured(captured)));
    let sentry = sentry::init(options);

    let nsqd = Nsqd::start().await?;
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).build()?;
    producer.multipublish("orders", ["one coffee", "two teas", "no beer"]).await?;
    let consumer = Consumer::builder("orders", "kitchen")
        .nsqd(nsqd.tcp_address())
        .max_attempts(2)
        .requeue_delay(Duration::ZERO)
        .max_backoff(Duration::ZERO)
        .build()?;
    report_errors(consumer.handle(), report).forget();
    let handle = consumer.handle().clone();
    let running = tokio::spawn(consumer.run(prepare));

    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(events.recv().await.ok_or("Sentry was told nothing")?);
    }
    handle.shutdown().await;
    running.await?;
    drop(sentry);
    Ok(told)
}

async fn prepare(message: Message) -> Result<(), std::io::Error> {
    if message.body().ends_with(b"beer") {
        return Err(std::io::Error::other("there is no beer"));
    }
    Ok(())
}

/// This is all that a program needs.
fn report(report: &ErrorReport) {
    let message = &report.message;
    sentry::with_scope(
        |scope| {
            scope.set_tag("topic", &message.topic);
            scope.set_tag("channel", &report.channel);
            scope.set_tag("nsqd", &message.nsqd);
            scope.set_tag("message", message.id);
            scope.set_tag("attempts", message.attempts);
        },
        || match &report.failure {
            Failure::Handler(error) => sentry::capture_error(&***error),
            _ => sentry::capture_message("a message is given up", Level::Error),
        },
    );
}

/// Takes the place of the network.
struct Captured(mpsc::UnboundedSender<Event<'static>>);

impl Transport for Captured {
    fn send_envelope(&self, envelope: sentry::Envelope) {
        if let Some(event) = envelope.event() {
            let _ = self.0.send(event.clone());
        }
    }
}

#[cfg(test)]
#[tokio::test]
async fn failures_come_with_where_they_happened() {
    let events = tokio::time::timeout(Duration::from_secs(60), capture()).await.unwrap().unwrap();
    for (number, event) in (1..).zip(&events[..2]) {
        assert_eq!(event.exception[0].value.as_deref(), Some("there is no beer"));
        assert_eq!(event.tags["attempts"], number.to_string());
    }
    assert_eq!(events[2].message.as_deref(), Some("a message is given up"));
    for event in &events {
        assert_eq!((event.tags["topic"].as_str(), event.tags["channel"].as_str()), ("orders", "kitchen"));
        assert!(event.tags.contains_key("nsqd"));
        assert_eq!(event.tags["message"], events[0].tags["message"]);
    }
}
