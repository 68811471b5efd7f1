//! AUTH, with the real nsqd and an auth server.

use gnsq::{ConnectionConfig, Consumer, Error, ErrorCode, NsqdTcpClient, Producer, TlsConfig};
use gnsq_testkit::{Nsqd, NsqdBuilder};
use serde_json::json;

use super::auth_server::AuthServer;
use super::certificates::Authority;
use super::common::{event, within};
use super::{connect, identify, last_failure, round_trip, tls_nsqd};

fn asking(builder: NsqdBuilder, server: &AuthServer) -> NsqdBuilder {
    builder.arg(format!("--auth-http-address={}", server.address))
}

fn secret() -> ConnectionConfig {
    ConnectionConfig::new().auth_secret("hunter2")
}

/// Everything with the topic `t`, and the channel `c`.
async fn granting() -> AuthServer {
    AuthServer::granting(json!([{"topic": "^t$", "channels": ["^c?$"], "permissions": ["publish", "subscribe"]}])).await
}

fn refused(error: &Error) -> &ErrorCode {
    match error {
        Error::Refused { source, .. } => source.code(),
        other => panic!("expected a refusal, not: {other}"),
    }
}

#[tokio::test]
async fn who_has_the_secret_publishes_and_consumes() {
    let server = granting().await;
    let nsqd = asking(Nsqd::builder(), &server).start().await;
    let client = round_trip(&nsqd, &secret(), &["one".into(), "two".into()]).await;
    assert_eq!((&client["authed"], &client["auth_identity"]), (&true.into(), &"billing".into()), "{client}");
    for query in server.asked() {
        assert_eq!(query, "common_name=&remote_ip=127.0.0.1&secret=hunter2&tls=false");
    }
}

#[tokio::test]
async fn under_tls_the_auth_server_learns_the_certificates_name() {
    let (server, authority) = (granting().await, Authority::new());
    let identity = authority.server("127.0.0.1");
    let builder = tls_nsqd(&identity).arg("--tls-client-auth-policy=require");
    let nsqd = asking(builder, &server).start().await;
    let client = authority.client("billing.example");
    let tls = TlsConfig::new()
        .ca_certificate_pem(authority.certificate.as_str())
        .client_certificate_file(client.certificate_path())
        .client_key_file(client.key_path());
    round_trip(&nsqd, &secret().tls(tls).snappy(true), &["one".into()]).await;
    for query in server.asked() {
        assert_eq!(query, "common_name=billing.example&remote_ip=127.0.0.1&secret=hunter2&tls=true");
    }
}

#[tokio::test]
async fn a_signal_tells_who_the_client_is_known_as() {
    let server = granting().await;
    let nsqd = asking(Nsqd::builder(), &server).start().await;
    // It doesn't answer before somebody listens.
    nsqd.pause();
    let consumer = Consumer::builder("t", "c").nsqd(nsqd.tcp_address()).auth_secret("hunter2").build().unwrap();
    let mut events = consumer.handle().signals().on_auth.subscribe(1);
    nsqd.resume();
    let event = event(&mut events).await;
    assert_eq!(event.nsqd, nsqd.tcp_address().into());
    assert_eq!((event.response.identity.as_str(), event.response.permission_count), ("billing", 1));
    assert_eq!(event.response.identity_url, "http://who.example");
    within(consumer.handle().shutdown()).await;
}

#[tokio::test]
async fn a_low_level_client_may_give_the_secret_itself() {
    let server = granting().await;
    let nsqd = asking(Nsqd::builder(), &server).start().await;
    let client = within(NsqdTcpClient::connect(nsqd.tcp_address())).await.unwrap();
    assert!(within(client.identify()).await.unwrap().auth_required);
    assert_eq!(within(client.auth("hunter2")).await.unwrap().identity, "billing");
    within(client.publish("t", "one")).await.unwrap();
    let error = within(client.publish("secrets", "two")).await.unwrap_err();
    assert_eq!(*refused(&error), ErrorCode::Unauthorized);
}

#[tokio::test]
async fn without_the_right_secret_nothing_is_published_and_the_reason_is_told() {
    let server = AuthServer::refusing().await;
    let nsqd = asking(Nsqd::builder(), &server).start().await;
    let last = last_failure(&nsqd, secret()).await;
    assert_eq!(*refused(&last), ErrorCode::AuthFailed);
    assert!(!format!("{last} {last:?}").contains("hunter2"));
    let last = last_failure(&nsqd, ConnectionConfig::new()).await;
    assert!(matches!(last, Error::AuthRequired { .. }), "{last:?}");

    let nsqd = asking(Nsqd::builder(), &AuthServer::granting(json!([])).await).start().await;
    assert_eq!(*refused(&last_failure(&nsqd, secret()).await), ErrorCode::Unauthorized);
    assert!(nsqd.topic_stats("t").await.is_none());
}

#[tokio::test]
async fn what_is_not_granted_is_refused_to_a_producer() {
    let server = granting().await;
    let nsqd = asking(Nsqd::builder(), &server).start().await;
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).auth_secret("hunter2").build().unwrap();
    within(producer.publish("t", "one")).await.unwrap();
    let error = within(producer.publish("secrets", "two")).await.unwrap_err();
    assert_eq!(*refused(&error), ErrorCode::Unauthorized);
    within(producer.close()).await;
}

#[tokio::test]
async fn an_nsqd_that_asks_for_no_secret_is_used_without() {
    let nsqd = Nsqd::start().await;
    round_trip(&nsqd, &secret(), &["one".into()]).await;
    let error = identify(&nsqd, secret().always_auth(true)).await.unwrap_err();
    assert_eq!(*refused(&error), ErrorCode::AuthDisabled);
    let client = connect(nsqd.tcp_address(), secret()).await;
    assert!(!within(client.identify()).await.unwrap().auth_required);
}
