//! Messages that are due later than nsqd can defer them.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use gnsq::envelope::{Envelope, EnvelopeError};
use gnsq::{ConnectionConfig, Consumer, ConsumerBuilder, ConsumerHandle, Error, Io, Message, Producer};
use gnsq_server::Clock;
use gnsq_testkit::{PeerConnection, ScriptedPeer};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::common::{
    ONE, TWO, event, expect_nothing_sent, identified, plain_consumer, ready, serve_shutdown, text, within,
};
use super::log;

const MAX_DEFER: Duration = Duration::from_secs(2);

fn config() -> ConnectionConfig {
    ConnectionConfig::new().max_defer(MAX_DEFER)
}

/// A consumer that finishes what it is given, and what it was given, when.
fn consume(builder: ConsumerBuilder) -> (Consuming, mpsc::UnboundedReceiver<(Message, SystemTime)>) {
    let (given, messages) = mpsc::unbounded_channel();
    let consumer = builder.connection(config()).deliver_at(true).max_attempts(1).build().unwrap();
    let handle = consumer.handle().clone();
    let run = tokio::spawn(consumer.run(move |message: Message| {
        let _ = given.send((message, SystemTime::now()));
        std::future::ready(Ok::<_, Infallible>(()))
    }));
    (Consuming { handle, run }, messages)
}

struct Consuming {
    handle: ConsumerHandle,
    run: JoinHandle<gnsq::ShutdownReport>,
}

/// As [`consume`], from a scripted peer.
async fn scripted() -> (PeerConnection, Consuming, mpsc::UnboundedReceiver<(Message, SystemTime)>) {
    let peer = ScriptedPeer::bind().await;
    let (consuming, messages) = consume(plain_consumer(&[&peer]).max_in_flight(5));
    (ready(&peer, 5).await, consuming, messages)
}

async fn end(peer: PeerConnection, consuming: Consuming) {
    let (_, ()) = tokio::join!(within(consuming.handle.shutdown()), serve_shutdown(peer));
    within(consuming.run).await.unwrap();
}

#[tokio::test]
async fn what_is_not_due_is_deferred_again_and_no_failure() {
    let (mut peer, consuming, mut messages) = scripted().await;
    let mut requeues = consuming.handle.signals().on_requeue.subscribe(2);
    let due = SystemTime::now() + Duration::from_secs(3600);
    let body = Envelope::new("later").deliver_at(due).encode().unwrap();
    // Also beyond all attempts.
    for attempts in [1, 100] {
        peer.send_message(ONE, 1, attempts, &body).await;
        peer.expect_command(&format!("REQ {} 2000", text(ONE))).await;
        let requeue = event(&mut requeues).await;
        assert_eq!((requeue.delay, requeue.backoff), (MAX_DEFER, false));
    }
    peer.send_message(TWO, 1, 1, b"plain").await;
    peer.expect_command(&format!("FIN {}", text(TWO))).await;
    assert_eq!(within(messages.recv()).await.unwrap().0.body(), "plain");
    assert_eq!(consuming.handle.stats().given_up, 0);
    end(peer, consuming).await;
}

#[tokio::test]
async fn the_last_deferral_ends_when_the_message_is_due() {
    let (mut peer, consuming, _messages) = scripted().await;
    let due = SystemTime::now() + Duration::from_millis(1500);
    let body = Envelope::new("soon").deliver_at(due).encode().unwrap();
    peer.send_message(ONE, 1, 1, &body).await;
    let line = peer.expect_line().await;
    if line != format!("FIN {}", text(ONE)) {
        let delay: u64 = line.strip_prefix(&format!("REQ {} ", text(ONE))).unwrap().parse().unwrap();
        // Both the time and the delay are rounded up to milliseconds.
        assert!((1..=1501).contains(&delay), "{line}");
    }
    end(peer, consuming).await;
}

#[tokio::test]
async fn deferrals_count_against_no_attempt() {
    let (mut peer, consuming, mut messages) = scripted().await;
    // Published at 1 s, due at 10 s: five deferrals of at most 2 s.
    let published = 1_000_000_000;
    let body = Envelope::new("due").deliver_at(SystemTime::UNIX_EPOCH + Duration::from_secs(10)).encode().unwrap();
    for attempts in [1, 5, 6] {
        peer.send_message(ONE, published, attempts, &body).await;
        peer.expect_command(&format!("FIN {}", text(ONE))).await;
        let (message, _) = within(messages.recv()).await.unwrap();
        assert_eq!((message.attempts(), message.envelope().unwrap().body.as_ref()), (attempts, &b"due"[..]));
    }
    assert_eq!(consuming.handle.stats().given_up, 0);
    peer.send_message(ONE, published, 7, &body).await;
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    expect_nothing_sent(&mut peer).await;
    assert_eq!(consuming.handle.stats().given_up, 1);
    assert!(messages.try_recv().is_err());
    end(peer, consuming).await;
}

#[tokio::test]
async fn an_nsqd_that_defers_for_less_than_it_is_asked_is_told_of_once() {
    // The test's thread does the I/O too.
    log::keep();
    let peer = ScriptedPeer::bind().await;
    let (consuming, _messages) = consume(plain_consumer(&[&peer]).max_in_flight(5).io(Io::Current));
    let mut peer = ready(&peer, 5).await;
    let now = SystemTime::now();
    let body = Envelope::new("later").deliver_at(now + Duration::from_secs(3600)).encode().unwrap();
    let published = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap();
    // A restart or two make no noise yet.
    for (attempts, warnings) in [(3, 0), (100, 1), (101, 1)] {
        peer.send_message(ONE, published, attempts, &body).await;
        peer.expect_command(&format!("REQ {} 2000", text(ONE))).await;
        assert_eq!(log::text().matches("--max-req-timeout").count(), warnings, "{}", log::text());
    }
    end(peer, consuming).await;
}

#[tokio::test]
async fn an_envelope_that_is_broken_is_the_handlers_to_judge() {
    let (mut peer, consuming, mut messages) = scripted().await;
    peer.send_message(ONE, 1, 1, b"\xC1NSQ\x01").await;
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    let (message, _) = within(messages.recv()).await.unwrap();
    assert_eq!(message.envelope().unwrap_err(), EnvelopeError::Truncated);
    end(peer, consuming).await;
}

#[tokio::test]
async fn a_consumer_that_was_not_told_takes_them_as_they_come() {
    let peer = ScriptedPeer::bind().await;
    let mut consumer = plain_consumer(&[&peer]).max_in_flight(1).build().unwrap();
    let mut connection = ready(&peer, 1).await;
    let due = SystemTime::now() + Duration::from_secs(3600);
    connection.send_message(ONE, 1, 1, &Envelope::new("later").deliver_at(due).encode().unwrap()).await;
    let message = within(consumer.recv()).await.unwrap();
    assert_eq!(message.envelope().unwrap().body, "later");
    message.finish().unwrap();
    connection.expect_command(&format!("FIN {}", text(ONE))).await;
}

#[tokio::test]
async fn publishing_defers_for_as_long_as_nsqd_can() {
    let peer = ScriptedPeer::bind().await;
    let producer = Producer::builder().nsqd(peer.address()).connection(config()).build().unwrap();
    let mut connection = identified(&peer).await;
    let publish = |time| {
        let producer = producer.clone();
        tokio::spawn(async move { producer.publish_at("t", Envelope::new("body").header("a", "1"), time).await })
    };
    let far = SystemTime::now() + Duration::from_secs(3600);
    let publishing = publish(far);
    connection.expect_command("DPUB t 2000").await;
    let decoded = Envelope::decode(&connection.expect_body().await.into()).unwrap();
    let shift = decoded.headers.deliver_at().unwrap().duration_since(far).unwrap();
    assert!(shift < Duration::from_millis(1));
    assert_eq!((decoded.headers.get("a"), decoded.body.as_ref()), (Some("1"), &b"body"[..]));
    connection.send_response("OK").await;
    within(publishing).await.unwrap().unwrap();

    let publishing = publish(SystemTime::now() - Duration::from_secs(1));
    connection.expect_command("PUB t").await;
    connection.expect_body().await;
    connection.send_response("OK").await;
    within(publishing).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_can_be_no_envelope_is_not_published() {
    let peer = ScriptedPeer::bind().await;
    let producer = Producer::builder().nsqd(peer.address()).build().unwrap();
    let envelope = Envelope::new("body").header("UPPER", "1");
    let error = producer.publish_at("t", envelope, SystemTime::now()).await.unwrap_err();
    assert!(matches!(&error, Error::Envelope(EnvelopeError::Key(_))) && !error.is_retryable(), "{error}");
}

#[test]
fn an_impossible_max_defer_is_refused() {
    let builder = Consumer::builder("t", "c").nsqd("127.0.0.1:4150").deliver_at(true);
    let error = builder.connection(ConnectionConfig::new().max_defer(Duration::ZERO)).build().unwrap_err();
    assert!(matches!(error, Error::Option { option: "max_defer", .. }), "{error}");
}

#[tokio::test]
async fn a_chain_of_deferrals_ends_in_one_delivery_by_the_embedded_nsqd() {
    let clock = Clock::manual();
    let nsqd = gnsq_server::Nsqd::builder().clock(clock.clone()).max_req_timeout(MAX_DEFER).start().await.unwrap();
    let (consuming, mut messages) = consume(Consumer::builder("t", "c").nsqd(nsqd.tcp_address()));
    let mut requeues = consuming.handle.signals().on_requeue.subscribe(1000);
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).connection(config()).build().unwrap();
    let due = SystemTime::now() + Duration::from_secs(3);
    within(producer.publish_at("t", "body", due)).await.unwrap();

    // As if nsqd forgot its delays all the time: each is over as soon as it has begun.
    let deferred = || nsqd.stats().topic("t").and_then(|topic| Some(topic.channel("c")?.deferred_count > 0));
    let mut deferrals = 0;
    let (message, delivered) = within(async {
        loop {
            if deferred() == Some(true) {
                clock.advance(MAX_DEFER);
            }
            tokio::select! {
                message = messages.recv() => break message.unwrap(),
                Some(_) = requeues.recv() => deferrals += 1,
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
    })
    .await;
    while let Some(Some(_)) = requeues.recv().now_or_never() {
        deferrals += 1;
    }
    assert!(delivered >= due, "{:?} too early", due.duration_since(delivered));
    assert!(deferrals > 3, "{deferrals} were to be more than what is reckoned");
    assert_eq!(u64::from(message.attempts()), deferrals + 1);
    assert_eq!(message.envelope().unwrap().body, "body");
    within(consuming.handle.shutdown()).await;
    assert!(messages.try_recv().is_err());
    assert_eq!(consuming.handle.stats().finished, 1);
}

#[tokio::test]
async fn a_chain_of_deferrals_ends_in_one_delivery_by_the_real_nsqd() {
    let nsqd = gnsq_testkit::Nsqd::builder().arg("--max-req-timeout=2s").start().await;
    let (consuming, mut messages) = consume(Consumer::builder("t", "c").nsqd(nsqd.tcp_address()));
    let mut requeues = consuming.handle.signals().on_requeue.subscribe(1000);
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).connection(config()).build().unwrap();
    nsqd.create_channel("t", "c").await;
    // nsqd may not look at the new channel for 5 s.
    let due = SystemTime::now() + Duration::from_secs(9);
    within(producer.publish_at("t", "body", due)).await.unwrap();
    let (message, delivered) = within(messages.recv()).await.unwrap();
    assert!(delivered >= due, "{:?} too early", due.duration_since(delivered));
    assert_eq!(message.envelope().unwrap().body, "body");
    let attempts = message.attempts();
    within(consuming.handle.shutdown()).await;
    for _ in 1..attempts {
        assert!(!event(&mut requeues).await.backoff);
    }
    assert!(messages.try_recv().is_err());
    let stats = consuming.handle.stats();
    let early = u64::from(attempts) - 1;
    assert_eq!((stats.finished, stats.given_up, stats.requeued, stats.deferred), (1, 0, early, early));
    nsqd.wait_for_channel("t", "c", |channel| channel.deferred_count == 0 && channel.depth == 0).await;
}

#[tokio::test]
async fn a_delay_that_the_real_nsqd_forgot_is_made_up_for() {
    let mut nsqd = gnsq_testkit::Nsqd::start().await;
    nsqd.create_channel("t", "c").await;
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).build().unwrap();
    let due = SystemTime::now() + Duration::from_secs(8);
    within(producer.publish_at("t", "body", due)).await.unwrap();
    nsqd.wait_for_channel("t", "c", |channel| channel.deferred_count == 1).await;
    nsqd.restart().await;
    // Now nsqd takes it for due.
    nsqd.wait_for_channel("t", "c", |channel| channel.depth == 1).await;
    let builder = Consumer::builder("t", "c").nsqd(nsqd.tcp_address());
    let (consuming, mut messages) = consume(builder);
    let (message, delivered) = within(messages.recv()).await.unwrap();
    assert!(delivered >= due, "{:?} too early", due.duration_since(delivered));
    assert_eq!(message.envelope().unwrap().body, "body");
    within(consuming.handle.shutdown()).await;
    assert!(messages.try_recv().is_err());
}
