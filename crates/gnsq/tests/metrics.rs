//! What a recorder of metrics is told of known work.
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod common;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::{
    ONE, THREE, TWO, id, identified, plain_consumer, publishing, reply_with, subscribed_with, text, until_command,
    within,
};
use gnsq::contrib::{BatchHandler, BatchOutcome};
use gnsq::{Error, HandlerError, Message, Producer, Requeue};
use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The recorder, of which a process has one.
fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
}

/// The figure with this name and these labels.
fn figure(name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let rendered = recorder().render();
    let line = rendered.lines().find(|line| {
        let labelled = line.split_once(' ').map_or(*line, |(labelled, _)| labelled);
        labelled.split('{').next() == Some(name)
            && labels.iter().all(|(label, value)| labelled.contains(&format!("{label}=\"{value}\"")))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[track_caller]
fn assert_figure(name: &str, labels: &[(&str, &str)], expected: f64) {
    let is = figure(name, labels);
    let same = is.is_some_and(|is| (is - expected).abs() < 1e-9);
    assert!(same, "{name} is {is:?}, not {expected}:\n{}", recorder().render());
}

async fn wait_for(name: &str, labels: &[(&str, &str)], expected: f64) {
    let what = format!("{name} to be {expected}");
    eventually(DEADLINE, &what, async || figure(name, labels).filter(|is| (is - expected).abs() < 1e-9).map(drop))
        .await;
}

#[tokio::test]
async fn a_consumers_figures_are_those_of_its_work() {
    recorder();
    let peer = ScriptedPeer::bind().await;
    let nsqd = peer.address().to_string();
    let topic = [("topic", "t"), ("channel", "c")];
    let nsqd = [("topic", "t"), ("channel", "c"), ("nsqd", &nsqd)];
    // What comes late holds one handler up, the other goes on.
    let consumer = plain_consumer(&[&peer]).max_in_flight(5).max_attempts(5).concurrency(2).build().unwrap();
    let handle = consumer.handle().clone();
    let late = Arc::new(Semaphore::new(0));
    let held = late.clone();
    let run = tokio::spawn(consumer.run(move |message: Message| {
        let held = held.clone();
        async move {
            match &message.body()[..] {
                b"fails" => Err::<(), HandlerError>("broken".into()),
                b"panics" => panic!("worse"),
                b"asks" => Err(Requeue::new().into()),
                b"late" => held.acquire().await.map(SemaphorePermit::forget).map_err(Into::into),
                _ => Ok(()),
            }
        }
    }));
    let mut connection = subscribed_with(&peer, &reply_with([])).await;
    until_command(&mut connection, "RDY 5").await;
    wait_for("gnsq_consumer_ready", &nsqd, 5.0).await;
    assert_figure("gnsq_consumer_connections", &nsqd, 1.0);
    assert_figure("gnsq_consumer_connects_total", &nsqd, 1.0);

    connection.send_message(ONE, 1, 1, b"fine").await;
    until_command(&mut connection, &format!("FIN {}", text(ONE))).await;
    for (number, body) in [(11, "fails"), (12, "panics"), (13, "asks")] {
        let id = id(number);
        connection.send_message(&id, 1, 1, body.as_bytes()).await;
        until_command(&mut connection, &format!("REQ {} 90000", text(&id))).await;
    }
    connection.send_message(TWO, 1, 6, b"hopeless").await;
    until_command(&mut connection, &format!("FIN {}", text(TWO))).await;
    connection.send_error(&format!("E_FIN_FAILED FIN {} failed ID not in flight", text(TWO))).await;
    // Nothing on the wire tells that it has come.
    wait_for("gnsq_consumer_messages_too_late_total", &topic, 1.0).await;
    for (name, expected) in [
        ("gnsq_consumer_messages_received_total", 5.0),
        ("gnsq_consumer_messages_finished_total", 2.0),
        ("gnsq_consumer_messages_requeued_total", 3.0),
        ("gnsq_consumer_messages_too_late_total", 1.0),
        ("gnsq_consumer_messages_given_up_total", 1.0),
        ("gnsq_consumer_handler_failures_total", 2.0),
        ("gnsq_consumer_backing_off", 0.0),
    ] {
        assert_figure(name, &topic, expected);
    }

    connection.reset();
    let mut again = subscribed_with(&peer, &reply_with([("msg_timeout", json!(100))])).await;
    wait_for("gnsq_consumer_connects_total", &nsqd, 2.0).await;
    again.send_message(THREE, 1, 1, b"late").await;
    wait_for("gnsq_consumer_messages_expired_total", &topic, 1.0).await;
    wait_for("gnsq_consumer_in_flight", &nsqd, 0.0).await;
    late.add_permits(1);
    wait_for("gnsq_consumer_handler_seconds_count", &topic, 5.0).await;
    assert_figure("gnsq_consumer_messages_received_total", &topic, 6.0);

    // What is in hand shows.
    drop(again);
    let mut again = subscribed_with(&peer, &reply_with([])).await;
    again.send_message(&id(14), 1, 1, b"late").await;
    wait_for("gnsq_consumer_in_flight", &nsqd, 1.0).await;
    late.add_permits(1);
    until_command(&mut again, &format!("FIN {}", text(&id(14)))).await;

    let (_, ()) = tokio::join!(within(handle.shutdown()), common::serve_shutdown(again));
    within(run).await.unwrap();
    for name in ["gnsq_consumer_connections", "gnsq_consumer_ready", "gnsq_consumer_in_flight"] {
        wait_for(name, &nsqd, 0.0).await;
    }
}

#[tokio::test]
async fn backoff_shows_while_it_lasts() {
    recorder();
    let peer = ScriptedPeer::bind().await;
    let labels = [("topic", "t"), ("channel", "backing_off")];
    let consumer = gnsq::Consumer::builder("t", "backing_off")
        .nsqd(peer.address())
        .low_latency(false)
        .max_in_flight(5)
        .max_backoff(DEADLINE)
        .build()
        .unwrap();
    let run = tokio::spawn(consumer.run(|_: Message| async { Err::<(), HandlerError>("broken".into()) }));
    let mut connection = peer.accept().await;
    connection.handshake().await;
    connection.expect_subscribe("t", "backing_off").await;
    connection.expect_command("RDY 5").await;
    assert_figure("gnsq_consumer_backing_off", &labels, 0.0);
    connection.send_message(ONE, 1, 1, b"body").await;
    until_command(&mut connection, "RDY 0").await;
    wait_for("gnsq_consumer_backing_off", &labels, 1.0).await;
    // A consumer that is gone holds nothing back.
    run.abort();
    drop(connection);
    wait_for("gnsq_consumer_backing_off", &labels, 0.0).await;
}

#[tokio::test]
async fn a_producers_figures_are_those_of_its_work() {
    recorder();
    let peer = ScriptedPeer::bind().await;
    let nsqd = peer.address().to_string();
    let nsqd = [("nsqd", &*nsqd)];
    let producer = common::producer(&[&peer]).build().unwrap();
    let mut connection = identified(&peer).await;
    for body in ["one", "two"] {
        let publish = publishing(&producer, body);
        assert_eq!(connection.expect_publish("t").await, body.as_bytes());
        connection.send_response("OK").await;
        within(publish).await.unwrap().unwrap();
    }
    assert_figure("gnsq_producer_connections", &nsqd, 1.0);
    let publish = publishing(&producer, "refused");
    connection.expect_publish("t").await;
    connection.send_error("E_BAD_MESSAGE PUB invalid message body size").await;
    assert!(matches!(within(publish).await.unwrap(), Err(Error::Refused { .. })));
    drop(connection);

    let mut connection = identified(&peer).await;
    let publish = publishing(&producer, "unknown");
    connection.expect_publish("t").await;
    connection.reset();
    assert!(within(publish).await.unwrap().unwrap_err().outcome_unknown());
    // A refused argument is no publish.
    assert!(matches!(producer.publish("t", "").await, Err(Error::Limit(_))));

    let nowhere = [("nsqd", "127.0.0.1:1")];
    let short = Duration::from_millis(50);
    let alone = Producer::builder().nsqd("127.0.0.1:1").publish_timeout(short).build().unwrap();
    assert!(matches!(alone.publish("t", "body").await, Err(Error::NoConnections { .. })));
    assert!(figure("gnsq_producer_connect_failures_total", &nowhere).is_some_and(|failures| failures >= 1.0));

    for (outcome, count) in [("ok", 2.0), ("refused", 1.0), ("unknown", 1.0), ("not_sent", 1.0)] {
        assert_figure("gnsq_producer_publishes_total", &[("outcome", outcome)], count);
    }
    assert_figure("gnsq_producer_publish_seconds_count", &[], 5.0);
    assert_figure("gnsq_producer_batch_messages_count", &[], 4.0);
    assert_figure("gnsq_producer_batch_messages_sum", &[], 4.0);
    assert!(recorder().render().contains("# HELP gnsq_producer_publishes_total Publishes, by how they ended"));
    drop(peer);
    within(producer.close()).await;
    wait_for("gnsq_producer_connections", &nsqd, 0.0).await;
    assert_figure("gnsq_producer_connects_total", &nsqd, 2.0);
}

#[cfg(feature = "http")]
#[tokio::test]
async fn an_nsqlookupd_without_an_answer_counts() {
    recorder();
    let lookupd = "http://127.0.0.1:1";
    let consumer = gnsq::Consumer::builder("t", "nowhere").lookupd(lookupd).build().unwrap();
    eventually(DEADLINE, "a failed question", async || {
        figure("gnsq_lookupd_failures_total", &[("lookupd", "http://127.0.0.1:1/")]).filter(|failures| *failures >= 1.0)
    })
    .await;
    drop(consumer);
}

#[tokio::test]
async fn a_batch_counts_its_function_once_and_each_failure() {
    recorder();
    let peer = ScriptedPeer::bind().await;
    let labels = [("topic", "t"), ("channel", "batches")];
    let consumer = gnsq::Consumer::builder("t", "batches").nsqd(peer.address()).low_latency(false).build().unwrap();
    let handler = BatchHandler::new(2).max_wait(DEADLINE);
    let run =
        tokio::spawn(handler.run(consumer, |_| async {
            Ok::<_, HandlerError>(BatchOutcome::Each(vec![Ok(()), Err("broken".into())]))
        }));
    let mut connection = peer.accept().await;
    connection.handshake().await;
    connection.expect_subscribe("t", "batches").await;
    connection.expect_line().await;
    connection.send_message(ONE, 1, 1, b"body").await;
    connection.send_message(TWO, 1, 1, b"body").await;
    until_command(&mut connection, &format!("REQ {} 90000", text(TWO))).await;
    for (name, expected) in [
        ("gnsq_consumer_messages_received_total", 2.0),
        ("gnsq_consumer_messages_finished_total", 1.0),
        ("gnsq_consumer_messages_requeued_total", 1.0),
        ("gnsq_consumer_handler_failures_total", 1.0),
        ("gnsq_consumer_handler_seconds_count", 1.0),
    ] {
        wait_for(name, &labels, expected).await;
    }
    run.abort();
}
