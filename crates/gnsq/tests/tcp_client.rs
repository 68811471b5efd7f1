//! The low-level client against the real nsqd.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod support;

use std::time::Duration;

use futures_util::StreamExt;
use gnsq::{ConnectionConfig, Error, ErrorCode, Io, NsqdTcpClient};
use gnsq_testkit::Nsqd;
use support::{CHANNEL, TOPIC, fill, number, within};

async fn subscribed(nsqd: &Nsqd, config: ConnectionConfig) -> NsqdTcpClient {
    let client = NsqdTcpClient::connect_with(nsqd.tcp_address(), config, &Io::Current).await.unwrap();
    client.identify().await.unwrap();
    client.subscribe(TOPIC, CHANNEL).await.unwrap();
    client
}

#[tokio::test]
async fn every_command_has_its_effect() {
    let nsqd = Nsqd::start().await;
    let client = subscribed(&nsqd, ConnectionConfig::new().msg_timeout(Duration::from_secs(50))).await;
    client.publish(TOPIC, "1").await.unwrap();
    client.multipublish(TOPIC, ["2", "3"]).await.unwrap();
    client.publish_deferred(TOPIC, "4", Duration::from_millis(1)).await.unwrap();
    client.nop().unwrap();
    client.ready(1).unwrap();

    let first = within("a message", client.recv()).await.unwrap();
    assert_eq!((number(&first), first.attempts(), first.nsqd()), (1, 1, client.address()));
    assert_eq!(client.in_flight(), 1);
    let deadline = first.deadline();
    first.touch().unwrap();
    assert!(first.deadline() > deadline);
    first.requeue(Duration::ZERO).unwrap();
    client.ready(10).unwrap();
    let mut attempts = [0; 5];
    for _ in 0..4 {
        let message = within("a message", client.recv()).await.unwrap();
        attempts[usize::try_from(number(&message)).unwrap()] = message.attempts();
        message.finish().unwrap();
    }
    assert_eq!(attempts, [0, 2, 1, 1, 1]);
    assert!(client.last_message().is_some());

    client.start_close().await.unwrap();
    assert!(matches!(client.start_close().await, Err(Error::State(_))));
    within("the close", client.close()).await;
    assert!(!client.is_connected());
    assert!(matches!(client.closed().await, Error::Closed));
    assert!(client.recv().await.is_none());
    assert!(client.publish(TOPIC, "5").await.is_err());
    let stats = nsqd.channel_stats(TOPIC, CHANNEL).await.unwrap();
    assert_eq!((stats.depth, stats.in_flight_count, stats.deferred_count, stats.client_count), (0, 0, 0, 0));
    assert_eq!((stats.message_count, stats.requeue_count), (4, 1));
}

#[tokio::test]
async fn close_gives_back_what_nobody_took() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..1000).await;
    for _ in 0..10 {
        let client = subscribed(&nsqd, ConnectionConfig::new()).await;
        client.ready(100).unwrap();
        nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 100).await;
        let taken = within("a message", client.recv()).await.unwrap();
        within("the close", client.close()).await;
        // What is in hand can't be answered any more.
        assert!(taken.finish().is_err());
        let stats = nsqd.channel_stats(TOPIC, CHANNEL).await.unwrap();
        assert_eq!((stats.depth, stats.in_flight_count, stats.client_count), (1000, 0, 0));
    }
}

#[tokio::test]
async fn a_dropped_client_gives_back_what_nobody_took() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..1000).await;
    let client = subscribed(&nsqd, ConnectionConfig::new()).await;
    client.ready(100).unwrap();
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.in_flight_count == 100).await;
    drop(client);
    let stats = nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.client_count == 0).await;
    assert_eq!((stats.depth, stats.in_flight_count), (1000, 0));
}

#[tokio::test]
async fn a_finish_that_comes_too_late_is_told() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), [1]).await;
    let client = subscribed(&nsqd, ConnectionConfig::new()).await;
    client.ready(1).unwrap();
    let message = within("a message", client.recv()).await.unwrap();
    let mut errors = client.signals().on_error.subscribe(10);
    nsqd.empty_channel(TOPIC, CHANNEL).await;
    let id = message.id();
    message.finish().unwrap();
    let event = within("nsqd's complaint", errors.next()).await.unwrap();
    assert_eq!((event.error.code(), event.error.message_id()), (&ErrorCode::FinFailed, Some(id)));
    // It costs nothing but the message.
    client.publish(TOPIC, "2").await.unwrap();
    let message = within("a message", client.recv()).await.unwrap();
    assert_eq!(number(&message), 2);
    message.finish().unwrap();
    within("the close", client.close()).await;
}

#[tokio::test]
async fn messages_that_time_out_come_again() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), [1]).await;
    let client = subscribed(&nsqd, ConnectionConfig::new().msg_timeout(Duration::from_secs(1))).await;
    client.ready(2).unwrap();
    let first = within("a message", client.recv()).await.unwrap();
    let second = within("the message again", client.recv()).await.unwrap();
    assert_eq!((first.id(), second.attempts()), (second.id(), 2));
    assert!(first.is_expired());
    assert!(matches!(first.finish(), Err(Error::Expired { .. })));
    second.finish().unwrap();
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.finish_count == 1).await;
    assert_eq!(client.in_flight(), 0);
    within("the close", client.close()).await;
}

#[tokio::test]
async fn an_nsqd_that_answers_nothing_is_given_up() {
    let nsqd = Nsqd::start().await;
    let config = || ConnectionConfig::new().answer_timeout(Duration::from_millis(300));
    let client = subscribed(&nsqd, config().write_timeout(Duration::from_millis(300))).await;
    nsqd.pause();
    // A signal takes a moment to stop all of a process.
    let error = loop {
        if let Err(error) = within("the publish", client.publish(TOPIC, "1")).await {
            break error;
        }
    };
    assert!(error.is_timeout() && error.outcome_unknown(), "{error}");

    // The system accepts connections for it.
    let other = NsqdTcpClient::connect_with(nsqd.tcp_address(), config(), &Io::Current).await.unwrap();
    let error = within("identify", other.identify()).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");

    within("the close", client.close()).await;
    nsqd.resume();
}

#[tokio::test]
async fn a_silent_nsqd_ends_the_connection() {
    let nsqd = Nsqd::start().await;
    let client = subscribed(&nsqd, ConnectionConfig::new().heartbeat_interval(Duration::from_secs(1))).await;
    nsqd.pause();
    let error = within("the connection's end", client.closed()).await;
    assert!(error.is_timeout() && error.is_retryable(), "{error}");
    assert!(client.recv().await.is_none());
    nsqd.resume();
}

#[tokio::test]
async fn a_refusal_ends_the_connection_and_is_told() {
    let nsqd = Nsqd::builder().arg("--max-channel-consumers=1").start().await;
    let first = subscribed(&nsqd, ConnectionConfig::new()).await;
    let second = NsqdTcpClient::connect(nsqd.tcp_address()).await.unwrap();
    second.identify().await.unwrap();
    let error = second.subscribe(TOPIC, CHANNEL).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { source, .. } if *source.code() == ErrorCode::SubFailed), "{error}");
    within("the connection's end", second.closed()).await;
    assert!(first.is_connected());
    within("the close", first.close()).await;
}

#[tokio::test]
async fn many_receivers_share_a_client() {
    let nsqd = Nsqd::start().await;
    let client = std::sync::Arc::new(subscribed(&nsqd, ConnectionConfig::new()).await);
    client.ready(50).unwrap();
    let mut receivers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        receivers.spawn(async move {
            let mut count = 0;
            while let Some(message) = client.recv().await {
                message.finish().unwrap();
                count += 1;
            }
            count
        });
    }
    fill(nsqd.tcp_address(), 0..1000).await;
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.finish_count == 1000).await;
    within("the close", client.close()).await;
    let counts = within("the receivers", receivers.join_all()).await;
    assert_eq!(counts.iter().sum::<i32>(), 1000);
}
