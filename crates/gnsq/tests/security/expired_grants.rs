//! What was granted, and is no longer when it is looked at again.

use std::time::Duration;

use gnsq::{Consumer, Error, ErrorCode, Producer};
use serde_json::json;

use super::auth::{refused, secret};
use super::auth_server::{AuthServer, everything_with_t};
use super::common::{event, within};
use super::connect;
use super::server::{Kind, with_both};

with_both! {
    a_grant_that_ended_is_told_to_who_publishes_and_holds_again_when_it_is_renewed,
    a_grant_that_ended_is_told_to_who_subscribes,
    an_auth_server_that_fails_when_it_is_asked_again_stops_nobody_for_good,
    a_consumer_that_lost_its_grant_comes_back_with_it,
}

/// nsqd keeps a grant for whole seconds.
const TTL: u32 = 1;

/// Longer than a grant is kept.
async fn until_asked_again() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

fn producer(nsqd: &super::Nsqd) -> Producer {
    let builder = Producer::builder().nsqd(nsqd.address()).auth_secret("hunter2");
    builder.max_reconnect_delay(super::SOON).build().unwrap()
}

async fn a_grant_that_ended_is_told_to_who_publishes_and_holds_again_when_it_is_renewed(kind: Kind) {
    let server = AuthServer::refusing().await;
    server.grant(TTL, &everything_with_t());
    let nsqd = kind.nsqd().auth(&server).start().await;
    let producer = producer(&nsqd);
    within(producer.publish("t", "one")).await.unwrap();
    server.grant(TTL, &json!([]));
    until_asked_again().await;
    let error = within(producer.publish("t", "two")).await.unwrap_err();
    assert_eq!(*refused(&error), ErrorCode::Unauthorized);
    assert!(!error.is_retryable() && !error.outcome_unknown() && !format!("{error} {error:?}").contains("hunter2"));
    // nsqd has closed the connection, and takes no other before the grant is there again.
    server.grant(3600, &everything_with_t());
    within(producer.publish("t", "three")).await.unwrap();
    assert_eq!(nsqd.topic("t").await["message_count"], 2);
    within(producer.close()).await;
}

async fn a_grant_that_ended_is_told_to_who_subscribes(kind: Kind) {
    let server = AuthServer::refusing().await;
    server.grant(TTL, &everything_with_t());
    let nsqd = kind.nsqd().auth(&server).start().await;
    let client = connect(nsqd.tcp_address(), secret()).await;
    within(client.identify()).await.unwrap();
    server.grant(TTL, &json!([]));
    until_asked_again().await;
    let error = within(client.subscribe("t", "c")).await.unwrap_err();
    assert_eq!(*refused(&error), ErrorCode::Unauthorized);
    assert!(matches!(within(client.closed()).await, Error::Connection { .. }));
}

async fn an_auth_server_that_fails_when_it_is_asked_again_stops_nobody_for_good(kind: Kind) {
    let server = AuthServer::refusing().await;
    server.grant(TTL, &everything_with_t());
    let nsqd = kind.nsqd().auth(&server).start().await;
    let producer = producer(&nsqd);
    within(producer.publish("t", "one")).await.unwrap();
    let mut errors = producer.signals().on_error.subscribe(100);
    server.refuse();
    until_asked_again().await;
    let publishing = tokio::spawn({
        let producer = producer.clone();
        async move { producer.publish("t", "two").await }
    });
    // What failed may go well later: the publish waits for that.
    assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::AuthFailed);
    server.grant(3600, &everything_with_t());
    within(publishing).await.unwrap().unwrap();
    assert_eq!(nsqd.topic("t").await["message_count"], 2);
    within(producer.close()).await;
}

async fn a_consumer_that_lost_its_grant_comes_back_with_it(kind: Kind) {
    let server = AuthServer::granting_t().await;
    let nsqd = kind.nsqd().auth(&server).start().await;
    let producer = producer(&nsqd);
    let proxy = gnsq_testkit::Proxy::to(nsqd.tcp_address()).await;
    let builder = Consumer::builder("t", "c").nsqd(proxy.address()).auth_secret("hunter2");
    let mut consumer = builder.max_reconnect_delay(super::SOON).build().unwrap();
    within(producer.publish("t", "one")).await.unwrap();
    within(consumer.recv()).await.unwrap().finish().unwrap();
    let mut errors = consumer.handle().signals().on_error.subscribe(100);
    server.grant(3600, &json!([]));
    proxy.cut().await;
    assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::Unauthorized);
    server.grant(3600, &everything_with_t());
    within(producer.publish("t", "two")).await.unwrap();
    loop {
        // The first one's FIN may have been lost with its connection.
        let message = within(consumer.recv()).await.unwrap();
        let last = message.body() == "two";
        message.finish().unwrap();
        if last {
            break;
        }
    }
    within(consumer.handle().shutdown()).await;
    within(producer.close()).await;
}
