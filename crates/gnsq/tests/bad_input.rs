//! What can't be right is refused before a byte of it is sent, and harms nobody else.

mod common;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use common::{assert_nobody_came, client_with, expect_nothing_sent, identified, producer, publishing, within};
use gnsq::{
    Address, ConnectionConfig, Consumer, ConsumerBuilder, Dialer, Error, Io, LimitError, NsqdTcpClient, Producer,
    ProducerBuilder, WhenDisconnected,
};
use gnsq_testkit::{DEADLINE, Nsqd, ScriptedPeer, eventually, identify_reply};

const BAD_NAMES: [&str; 9] =
    ["", " ", "a b", "t\n", "\u{e9}", "a/b", "#ephemeral", "a#ephemeral#ephemeral", SIXTY_FIVE];
const SIXTY_FIVE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const TOO_LONG: Duration = Duration::from_secs(24 * 60 * 60 + 1);
const NANO: Duration = Duration::from_nanos(1);

#[tokio::test]
async fn a_bad_publish_is_refused_unsent_and_harms_no_other() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).connection(small_limits()).build().unwrap();
    let mut connection = identified(&peer).await;
    let good = publishing(&producer, "good");
    assert_eq!(connection.expect_publish("t").await, b"good");

    for name in BAD_NAMES {
        for outcome in [
            within(producer.publish(name, "body")).await,
            within(producer.publish(name.to_owned(), "body")).await,
            within(producer.publish_deferred(name, "body", Duration::ZERO)).await,
            within(producer.multipublish(name, ["body"])).await,
        ] {
            assert!(matches!(outcome, Err(Error::Name(_))), "{name:?}: {outcome:?}");
        }
    }
    for (outcome, expected) in [
        (within(producer.publish("t", "")).await, LimitError::EmptyMessage),
        (within(producer.publish("t", "12345678901")).await, TOO_LARGE),
        (within(producer.publish_deferred("t", "", Duration::ZERO)).await, LimitError::EmptyMessage),
        (within(producer.publish_deferred("t", "12345678901", Duration::ZERO)).await, TOO_LARGE),
        (within(producer.publish_deferred("t", "x", DELAY + NANO)).await, DELAY_TOO_LONG),
        (within(producer.multipublish::<_, Bytes>("t", [])).await, LimitError::NoMessages),
        (within(producer.multipublish("t", ["x", ""])).await, LimitError::EmptyMessage),
        (within(producer.multipublish("t", ["x", "12345678901"])).await, TOO_LARGE),
        (within(producer.multipublish("t", ["1234567890", "1234567890"])).await, BODY_TOO_LARGE),
    ] {
        assert_limit(outcome, expected);
    }
    assert_eq!(producer.outstanding(), 1);
    expect_nothing_sent(&mut connection).await;

    connection.send_response("OK").await;
    within(good).await.unwrap().unwrap();
    // What is just within the limits goes.
    let (outcome, ()) = tokio::join!(within(producer.multipublish("t", ["1234567890", "123456"])), async {
        connection.expect_command("MPUB t").await;
        assert_eq!(connection.expect_body().await.len(), 28);
        connection.send_response("OK").await;
    });
    outcome.unwrap();
    let (outcome, ()) = tokio::join!(within(producer.publish_deferred("t", "1234567890", DELAY)), async {
        connection.expect_command("DPUB t 60000").await;
        assert_eq!(connection.expect_body().await.len(), 10);
        connection.send_response("OK").await;
    });
    outcome.unwrap();
}

#[tokio::test]
async fn a_bad_command_is_refused_unsent_and_harms_no_other() {
    let (client, mut peer) = client_with(small_limits(), &identify_reply()).await;
    for name in BAD_NAMES {
        assert!(matches!(within(client.publish(name, "body")).await, Err(Error::Name(_))));
        assert!(matches!(within(client.multipublish(name, ["body"])).await, Err(Error::Name(_))));
        assert!(matches!(within(client.publish_deferred(name, "body", NANO)).await, Err(Error::Name(_))));
        assert!(matches!(within(client.subscribe(name, "c")).await, Err(Error::Name(_))));
        assert!(matches!(within(client.subscribe("t", name)).await, Err(Error::Name(_))));
    }
    assert_limit(within(client.publish("t", "")).await, LimitError::EmptyMessage);
    assert_limit(within(client.publish("t", "12345678901")).await, TOO_LARGE);
    assert_limit(within(client.publish_deferred("t", "x", DELAY + NANO)).await, DELAY_TOO_LONG);
    assert_limit(within(client.multipublish::<_, Bytes>("t", [])).await, LimitError::NoMessages);
    assert_limit(within(client.multipublish("t", ["1234567890", "1234567890"])).await, BODY_TOO_LARGE);

    // Commands that have their time.
    let id = gnsq::MessageId(*common::ONE);
    for outcome in [client.ready(1), client.finish(id), client.requeue(id, NANO), client.touch(id)] {
        assert!(matches!(outcome, Err(Error::State(_))), "{outcome:?}");
    }
    assert!(matches!(within(client.start_close()).await, Err(Error::State(_))));
    assert!(matches!(within(client.identify()).await, Err(Error::State(_))));
    expect_nothing_sent(&mut peer).await;

    let (subscribed, ()) = tokio::join!(within(client.subscribe("t", "c")), peer.expect_subscribe("t", "c"));
    subscribed.unwrap();
    assert!(matches!(within(client.subscribe("t", "c")).await, Err(Error::State(_))));
    assert!(matches!(within(client.identify()).await, Err(Error::State(_))));
    assert!(matches!(client.ready(2501), Err(Error::Option { option: "ready", .. })));
    expect_nothing_sent(&mut peer).await;
    client.ready(2500).unwrap();
    peer.expect_command("RDY 2500").await;

    let (closed, ()) = tokio::join!(within(client.start_close()), async {
        peer.expect_command("CLS").await;
        peer.send_response("CLOSE_WAIT").await;
    });
    closed.unwrap();
    assert!(matches!(within(client.start_close()).await, Err(Error::State(_))));
    expect_nothing_sent(&mut peer).await;
    assert!(client.is_connected());
}

#[tokio::test]
async fn nothing_is_sent_behind_identify_before_its_answer() {
    let peer = ScriptedPeer::bind().await;
    let client = within(NsqdTcpClient::connect(peer.address())).await.unwrap();
    let mut connection = peer.accept().await;
    let (identified, ()) = tokio::join!(within(client.identify()), async {
        connection.expect_magic().await;
        connection.expect_identify().await;
        assert!(matches!(within(client.publish("t", "body")).await, Err(Error::State(_))));
        assert!(matches!(within(client.subscribe("t", "c")).await, Err(Error::State(_))));
        connection.send_response(identify_reply().to_string()).await;
        expect_nothing_sent(&mut connection).await;
    });
    identified.unwrap();
}

#[tokio::test]
async fn a_bad_publish_harms_no_other_at_a_real_nsqd() {
    let nsqd = Nsqd::start().await;
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).build().unwrap();
    let mut closes = producer.signals().on_close.subscribe(8);
    let large = Bytes::from(vec![b'x'; 1024 * 1024 + 1]);
    for round in 0..10 {
        let (good, name, empty, too_large, delay, batch) = tokio::join!(
            within(producer.publish("good", format!("message {round}"))),
            within(producer.publish("b a d", "body")),
            within(producer.publish("good", "")),
            within(producer.publish("good", large.clone())),
            within(producer.publish_deferred("good", "body", Duration::from_secs(3601))),
            within(producer.multipublish("good", vec![large.slice(1..); 5])),
        );
        good.unwrap();
        assert!(matches!(name, Err(Error::Name(_))));
        for outcome in [empty, too_large, delay, batch] {
            assert!(matches!(outcome, Err(Error::Limit(_))), "{outcome:?}");
        }
    }
    // The largest that it takes, and the longest delay.
    within(producer.publish("good", large.slice(1..))).await.unwrap();
    within(producer.publish_deferred("good", "body", Duration::from_secs(3600))).await.unwrap();
    eventually(DEADLINE, "all good messages", async || {
        nsqd.topic_stats("good").await.filter(|topic| topic.message_count == 12)
    })
    .await;
    assert!(futures_util::poll!(Box::pin(closes.recv())).is_pending(), "the connection has held");
    producer.close().await;
}

#[tokio::test]
async fn every_connection_option_out_of_range_is_refused_by_every_client() {
    let peer = ScriptedPeer::bind().await;
    let config = ConnectionConfig::new;
    for (wrong, option) in [
        (config().heartbeat_interval(Duration::from_nanos(999_999_999)), "heartbeat_interval"),
        (config().heartbeat_interval(Duration::ZERO), "heartbeat_interval"),
        (config().heartbeat_interval(TOO_LONG), "heartbeat_interval"),
        (config().output_buffer_size(1), "output_buffer_size"),
        (config().output_buffer_size(63), "output_buffer_size"),
        (config().output_buffer_timeout(NANO), "output_buffer_timeout"),
        (config().output_buffer_timeout(Duration::MAX), "output_buffer_timeout"),
        (config().msg_timeout(Duration::from_millis(999)), "msg_timeout"),
        (config().msg_timeout(Duration::MAX), "msg_timeout"),
        (config().sample_rate(0), "sample_rate"),
        (config().sample_rate(100), "sample_rate"),
        (config().sample_rate(255), "sample_rate"),
        (config().connect_timeout(Duration::ZERO), "connect_timeout"),
        (config().connect_timeout(TOO_LONG), "connect_timeout"),
        (config().answer_timeout(Duration::ZERO), "answer_timeout"),
        (config().answer_timeout(Duration::MAX), "answer_timeout"),
        (config().write_timeout(NANO), "write_timeout"),
        (config().write_timeout(TOO_LONG), "write_timeout"),
        (config().max_frame_size(63), "max_frame_size"),
        (config().max_frame_size(usize::MAX), "max_frame_size"),
        (config().max_unsent_bytes(0), "max_unsent_bytes"),
        (config().max_unsent_bytes(1 << 31), "max_unsent_bytes"),
        (config().max_msg_size(0), "max_msg_size"),
        (config().max_msg_size(1 << 31), "max_msg_size"),
        (config().max_body_size(8), "max_body_size"),
        (config().max_body_size(usize::MAX), "max_body_size"),
        (config().local_address(IpAddr::from([224, 0, 0, 1])), "local_address"),
        (config().local_address(IpAddr::from([127, 0, 0, 1])).dialer(NoDialer), "local_address"),
    ] {
        let tried = within(NsqdTcpClient::connect_with(peer.address(), wrong.clone(), &Io::Current)).await;
        assert_option(tried.map(drop), option);
        assert_option(producer(&[&peer]).connection(wrong.clone()).build().map(drop), option);
        assert_option(consumer(&peer).connection(wrong).build().map(drop), option);
    }
    assert_nobody_came(&peer).await;
    for right in [
        config().heartbeat_interval(DAY).output_buffer_size(0).output_buffer_timeout(Duration::ZERO),
        config().output_buffer_size(64).msg_timeout(Duration::from_secs(1)).sample_rate(1).max_body_size(9),
        config().sample_rate(99).max_msg_size(1).max_frame_size(64).max_unsent_bytes((1 << 31) - 1),
    ] {
        within(NsqdTcpClient::connect_with(peer.address(), right, &Io::Current)).await.unwrap();
    }
}

/// It is never asked.
struct NoDialer;

impl Dialer for NoDialer {
    type Stream = tokio::io::DuplexStream;

    async fn dial(&self, _: &Address) -> std::io::Result<Self::Stream> {
        unreachable!("what can't be right is refused before")
    }
}

/// How large a value may be, only nsqd knows.
#[tokio::test]
async fn what_nsqd_does_not_take_is_told_with_its_reason() {
    let nsqd = Nsqd::start().await;
    let config = ConnectionConfig::new;
    for (wrong, reason) in [
        (config().heartbeat_interval(Duration::from_secs(61)), "heartbeat interval (61000) is invalid"),
        (config().output_buffer_size(65537), "output buffer size (65537) is invalid"),
        (config().output_buffer_timeout(Duration::from_secs(31)), "output buffer timeout (31000) is invalid"),
        (config().msg_timeout(Duration::from_secs(901)), "msg timeout (901000) is invalid"),
    ] {
        let client = within(NsqdTcpClient::connect_with(nsqd.tcp_address(), wrong, &Io::Current)).await.unwrap();
        let error = within(client.identify()).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!error.is_retryable(), "{error}");
    }
}

#[tokio::test]
async fn every_producer_option_out_of_range_is_refused() {
    type Change = fn(ProducerBuilder) -> ProducerBuilder;
    let peer = ScriptedPeer::bind().await;
    let cases: [(Change, &str); 16] = [
        (|builder| builder.publish_timeout(Duration::ZERO), "publish_timeout"),
        (|builder| builder.publish_timeout(TOO_LONG), "publish_timeout"),
        (|builder| builder.publish_timeout(Duration::MAX), "publish_timeout"),
        (|builder| builder.max_outstanding(0), "max_outstanding"),
        (|builder| builder.max_outstanding(u32::MAX), "max_outstanding"),
        (|builder| builder.max_outstanding_bytes(0), "max_outstanding_bytes"),
        (|builder| builder.max_outstanding_bytes(u32::MAX), "max_outstanding_bytes"),
        (|builder| builder.batch_messages(0), "batch_messages"),
        (|builder| builder.batch_messages(1), "batch_messages"),
        (|builder| builder.batch_bytes(0), "batch_bytes"),
        (|builder| builder.stall_timeout(Duration::ZERO), "stall_timeout"),
        (|builder| builder.stall_timeout(TOO_LONG), "stall_timeout"),
        (|builder| builder.when_disconnected(buffer(0, 1)), "when_disconnected"),
        (|builder| builder.max_outstanding(9).when_disconnected(buffer(10, 1)), "when_disconnected"),
        (|builder| builder.max_outstanding_bytes(9).when_disconnected(buffer(1, 10)), "when_disconnected"),
        (|_| Producer::builder(), "nsqd"),
    ];
    for (change, option) in cases {
        assert_option(change(producer(&[&peer])).build().map(drop), option);
    }
    assert_nobody_came(&peer).await;
}

#[tokio::test]
async fn every_consumer_option_out_of_range_is_refused() {
    type Change = fn(ConsumerBuilder) -> ConsumerBuilder;
    let peer = ScriptedPeer::bind().await;
    let cases: [(Change, &str); 14] = [
        (|builder| builder.concurrency(0), "concurrency"),
        (|builder| builder.concurrency(100_001), "concurrency"),
        (|builder| builder.concurrency(usize::MAX), "concurrency"),
        (|builder| builder.low_ready_idle_timeout(Duration::ZERO), "low_ready_idle_timeout"),
        (|builder| builder.low_ready_idle_timeout(Duration::MAX), "low_ready_idle_timeout"),
        (|builder| builder.turns(Duration::ZERO, DAY), "turns"),
        (|builder| builder.turns(DAY, TOO_LONG), "turns"),
        (|builder| builder.max_in_flight_bytes(0), "max_in_flight_bytes"),
        (|builder| builder.max_waiting_per_key(0), "max_waiting_per_key"),
        (|builder| builder.max_keyed_retry_delay(TOO_LONG), "max_keyed_retry_delay"),
        (|builder| builder.shutdown_timeout(TOO_LONG), "shutdown_timeout"),
        (|builder| builder.shutdown_timeout(Duration::MAX), "shutdown_timeout"),
        (|builder| builder.connection(ConnectionConfig::new().heartbeat_interval(None)), "heartbeat_interval"),
        (|_| Consumer::builder("t", "c"), "nsqd"),
    ];
    for (change, option) in cases {
        assert_option(change(consumer(&peer)).build().map(drop), option);
    }
    for name in BAD_NAMES {
        assert!(matches!(Consumer::builder(name, "c").nsqd(peer.address()).build(), Err(Error::Name(_))), "{name:?}");
        assert!(matches!(Consumer::builder("t", name).nsqd(peer.address()).build(), Err(Error::Name(_))), "{name:?}");
        assert!(matches!(consumer(&peer).topics(["u", name]).build(), Err(Error::Name(_))), "{name:?}");
    }
    assert_nobody_came(&peer).await;
}

#[cfg(feature = "http")]
#[tokio::test]
async fn every_option_of_discovery_out_of_range_is_refused() {
    type Change = fn(ConsumerBuilder) -> ConsumerBuilder;
    let cases: [(Change, &str); 12] = [
        (|_| Consumer::matching("orders(", "c").lookupd("host"), "matching"),
        (|_| Consumer::matching("orders", "c"), "lookupd"),
        (|_| Consumer::matching("orders", "c").lookupd("host").nsqd("host"), "nsqd"),
        (|_| Consumer::matching("orders", "c").lookupd("host").topics(["bills"]), "topics"),
        (|builder| builder.lookupd("not an address"), "lookupd"),
        (|builder| builder.lookupd(""), "lookupd"),
        (|builder| builder.lookupd_poll_interval(Duration::ZERO), "lookupd_poll_interval"),
        (|builder| builder.lookupd_poll_interval(TOO_LONG), "lookupd_poll_interval"),
        (|builder| builder.lookupd_poll_jitter(-0.1), "lookupd_poll_jitter"),
        (|builder| builder.lookupd_poll_jitter(1.1), "lookupd_poll_jitter"),
        (|builder| builder.lookupd_poll_jitter(f64::NAN), "lookupd_poll_jitter"),
        (|builder| builder.lookupd_poll_jitter(f64::INFINITY), "lookupd_poll_jitter"),
    ];
    for (change, option) in cases {
        let builder = Consumer::builder("t", "c").nsqd("127.0.0.1:1");
        assert_option(change(builder).build().map(drop), option);
    }
    let builder = || Producer::builder().nsqd("127.0.0.1:1");
    assert_option(builder().lookupd("not an address").build().map(drop), "lookupd");
    assert_option(builder().lookupd_poll_interval(Duration::ZERO).build().map(drop), "lookupd_poll_interval");
    assert_option(builder().lookupd_poll_jitter(1.1).build().map(drop), "lookupd_poll_jitter");
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    for text in ["", ":4150", "host:0", "host:65536", "host:-1", "host:1:2", "[::1", "a b", "http://host:4150", "t\n"] {
        assert!(matches!(text.parse::<Address>().map_err(Error::from), Err(Error::Address(_))), "{text:?}");
        assert!(matches!(within(NsqdTcpClient::connect(text)).await, Err(Error::Address(_))), "{text:?}");
        assert!(matches!(Producer::builder().nsqd(text).build(), Err(Error::Address(_))), "{text:?}");
        assert!(matches!(Producer::builder().nsqds(["good", text]).build(), Err(Error::Address(_))), "{text:?}");
        assert!(matches!(Consumer::builder("t", "c").nsqd(text).build(), Err(Error::Address(_))), "{text:?}");
    }
    assert!(matches!(Address::tcp("host", 0).map_err(Error::from), Err(Error::Address(_))));
    assert!(matches!(Address::tcp("", 4150).map_err(Error::from), Err(Error::Address(_))));
}

#[test]
fn without_a_runtime_there_is_no_current_one() {
    assert_option(Producer::builder().nsqd("127.0.0.1:1").build().map(drop), "io");
    assert_option(Consumer::builder("t", "c").nsqd("127.0.0.1:1").io(Io::Current).build().map(drop), "io");
}

fn buffer(messages: usize, bytes: usize) -> WhenDisconnected {
    WhenDisconnected::Buffer { messages, bytes }
}

fn small_limits() -> ConnectionConfig {
    ConnectionConfig::new().max_msg_size(10).max_body_size(28).max_defer(DELAY)
}

const DELAY: Duration = Duration::from_secs(60);
const TOO_LARGE: LimitError = LimitError::MessageTooLarge { size: 11, limit: 10 };
const BODY_TOO_LARGE: LimitError = LimitError::BodyTooLarge { size: 32, limit: 28 };
const DELAY_TOO_LONG: LimitError =
    LimitError::DelayTooLong { delay: Duration::from_nanos(60_000_000_001), limit: DELAY };

fn consumer(peer: &ScriptedPeer) -> ConsumerBuilder {
    Consumer::builder("t", "c").nsqd(peer.address())
}

#[track_caller]
fn assert_limit(outcome: gnsq::Result<()>, expected: LimitError) {
    match outcome {
        Err(Error::Limit(error)) => assert_eq!(error, expected),
        other => panic!("{expected} expected, not {other:?}"),
    }
}

#[track_caller]
fn assert_option(outcome: gnsq::Result<()>, expected: &str) {
    match outcome {
        Err(error @ Error::Option { option, .. }) if option == expected => {
            assert!(error.to_string().starts_with(&format!("option {option}: ")), "{error}");
            assert!(!error.is_retryable() && !error.is_timeout() && !error.outcome_unknown());
        }
        other => panic!("{expected} is to be refused, not {other:?}"),
    }
}
