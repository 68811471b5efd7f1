//! AUTH, with an auth server behind nsqd.

use gnsq::{AuthEvent, ConnectionConfig, Consumer, Error, ErrorCode, NsqdTcpClient, Producer};
use gnsq_testkit::Proxy;
use serde_json::json;

use super::auth_server::AuthServer;
use super::certificates::Authority;
use super::common::{event, within};
use super::compression::bodies;
use super::server::{Kind, with_both};
use super::{LOCALHOST, connect, identify, last_failure, round_trip, trusting};

with_both! {
    who_has_the_secret_publishes_and_consumes,
    all_of_it_at_once,
    under_tls_the_auth_server_learns_the_certificates_name,
    a_signal_tells_who_the_client_is_known_as,
    a_low_level_client_may_give_the_secret_itself,
    without_the_right_secret_nothing_is_published_and_the_reason_is_told,
    what_is_not_granted_is_refused_to_a_producer,
    what_is_not_granted_is_refused_to_a_consumer_until_it_is,
    an_nsqd_that_asks_for_no_secret_is_used_without,
}

pub(crate) fn secret() -> ConnectionConfig {
    ConnectionConfig::new().auth_secret("hunter2")
}

#[track_caller]
pub(crate) fn refused(error: &Error) -> &ErrorCode {
    match error {
        Error::Refused { source, .. } => source.code(),
        other => panic!("expected a refusal, not: {other}"),
    }
}

async fn who_has_the_secret_publishes_and_consumes(kind: Kind) {
    let server = AuthServer::granting_t().await;
    let nsqd = kind.nsqd().auth(&server).start().await;
    let client = round_trip(&nsqd, &secret(), &["one".into(), "two".into()]).await;
    assert_eq!((&client["authed"], &client["auth_identity"]), (&true.into(), &"billing".into()), "{client}");
    for query in server.asked() {
        assert_eq!(sorted(&query), "common_name=&remote_ip=127.0.0.1&secret=hunter2&tls=false");
    }
}

/// AUTH behind TLS, with certificates on both sides, and a compression.
async fn all_of_it_at_once(kind: Kind) {
    let (authority, auth) = (Authority::new(), AuthServer::granting_t().await);
    let identity = authority.server(LOCALHOST);
    let nsqd = kind.tls_nsqd(&identity).client_certificate_of(&authority).auth(&auth).start().await;
    let client = authority.client("billing.example");
    let tls =
        trusting(&authority).client_certificate_pem(client.certificate.as_str()).client_key_pem(client.key.as_str());
    for (config, compression) in [(secret().snappy(true), "snappy"), (secret().deflate(3), "deflate")] {
        let client = round_trip(&nsqd, &config.tls(tls.clone()), &bodies()).await;
        for yes in ["tls", "authed", compression] {
            assert_eq!(client[yes], true, "{yes} in {client}");
        }
        assert_eq!((&client["tls_version"], &client["auth_identity"]), (&"TLS1.3".into(), &"billing".into()));
    }
    assert!(!auth.asked().is_empty());
}

async fn under_tls_the_auth_server_learns_the_certificates_name(kind: Kind) {
    let (server, authority) = (AuthServer::granting_t().await, Authority::new());
    let identity = authority.server(LOCALHOST);
    let nsqd = kind.tls_nsqd(&identity).any_client_certificate().auth(&server).start().await;
    let client = authority.client("billing.example");
    let tls =
        trusting(&authority).client_certificate_file(client.certificate_path()).client_key_file(client.key_path());
    round_trip(&nsqd, &secret().tls(tls).snappy(true), &["one".into()]).await;
    for query in server.asked() {
        assert_eq!(sorted(&query), "common_name=billing.example&remote_ip=127.0.0.1&secret=hunter2&tls=true");
    }
}

async fn a_signal_tells_who_the_client_is_known_as(kind: Kind) {
    let server = AuthServer::granting_t().await;
    let nsqd = kind.nsqd().auth(&server).start().await;
    // Nothing arrives before somebody listens.
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    proxy.stall();
    let consumer = Consumer::builder("t", "c").nsqd(proxy.address()).auth_secret("hunter2").build().unwrap();
    let producer = Producer::builder().nsqd(proxy.address()).auth_secret("hunter2").build().unwrap();
    let mut consumers = consumer.handle().signals().on_auth.subscribe(1);
    let mut producers = producer.signals().on_auth.subscribe(1);
    proxy.resume();
    for AuthEvent { nsqd, response, .. } in [event(&mut consumers).await, event(&mut producers).await] {
        assert_eq!(nsqd, proxy.address().into());
        assert_eq!((response.identity.as_str(), response.permission_count), ("billing", 1));
        assert_eq!(response.identity_url, "http://who.example");
    }
    within(consumer.handle().shutdown()).await;
    within(producer.close()).await;
}

async fn a_low_level_client_may_give_the_secret_itself(kind: Kind) {
    let server = AuthServer::granting_t().await;
    let nsqd = kind.nsqd().auth(&server).start().await;
    let client = within(NsqdTcpClient::connect(nsqd.tcp_address())).await.unwrap();
    assert!(within(client.identify()).await.unwrap().auth_required);
    assert_eq!(within(client.auth("hunter2")).await.unwrap().identity, "billing");
    within(client.publish("t", "one")).await.unwrap();
    let error = within(client.publish("secrets", "two")).await.unwrap_err();
    assert_eq!(*refused(&error), ErrorCode::Unauthorized);
}

async fn without_the_right_secret_nothing_is_published_and_the_reason_is_told(kind: Kind) {
    let server = AuthServer::refusing().await;
    let nsqd = kind.nsqd().auth(&server).start().await;
    let last = last_failure(&nsqd, secret()).await;
    assert_eq!(*refused(&last), ErrorCode::AuthFailed);
    assert!(!format!("{last} {last:?}").contains("hunter2"));
    let last = last_failure(&nsqd, ConnectionConfig::new()).await;
    assert!(matches!(last, Error::AuthRequired { .. }), "{last:?}");

    let nsqd = kind.nsqd().auth(&AuthServer::granting(json!([])).await).start().await;
    assert_eq!(*refused(&last_failure(&nsqd, secret()).await), ErrorCode::Unauthorized);
    assert!(nsqd.topic("t").await.is_null());
}

async fn what_is_not_granted_is_refused_to_a_producer(kind: Kind) {
    let server = AuthServer::granting_t().await;
    let nsqd = kind.nsqd().auth(&server).start().await;
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).auth_secret("hunter2").build().unwrap();
    within(producer.publish("t", "one")).await.unwrap();
    let error = within(producer.publish("secrets", "two")).await.unwrap_err();
    assert_eq!(*refused(&error), ErrorCode::Unauthorized);
    within(producer.publish("t", "three")).await.unwrap();
    within(producer.close()).await;
}

async fn what_is_not_granted_is_refused_to_a_consumer_until_it_is(kind: Kind) {
    let server = AuthServer::granting(json!([{"topic": "^t$", "channels": [".*"], "permissions": ["publish"]}])).await;
    let nsqd = kind.nsqd().auth(&server).start().await;
    let producer = Producer::builder().nsqd(nsqd.tcp_address()).auth_secret("hunter2").build().unwrap();
    within(producer.publish("t", "one")).await.unwrap();
    let builder = Consumer::builder("t", "c").nsqd(nsqd.tcp_address()).auth_secret("hunter2");
    let mut consumer = builder.max_reconnect_delay(super::SOON).build().unwrap();
    let mut errors = consumer.handle().signals().on_error.subscribe(10);
    assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::Unauthorized);
    server.grant(3600, &super::auth_server::everything_with_t());
    let message = within(consumer.recv()).await.unwrap();
    assert_eq!(message.body(), "one");
    message.finish().unwrap();
    within(consumer.handle().shutdown()).await;
    within(producer.close()).await;
}

async fn an_nsqd_that_asks_for_no_secret_is_used_without(kind: Kind) {
    let nsqd = kind.nsqd().start().await;
    round_trip(&nsqd, &secret(), &["one".into()]).await;
    let error = identify(&nsqd, secret().always_auth(true)).await.unwrap_err();
    assert_eq!(*refused(&error), ErrorCode::AuthDisabled);
    let client = connect(nsqd.tcp_address(), secret()).await;
    assert!(!within(client.identify()).await.unwrap().auth_required);
}

/// The parameters of a query in their order by name.
fn sorted(query: &str) -> String {
    let mut parameters: Vec<_> = query.split('&').collect();
    parameters.sort_unstable();
    parameters.join("&")
}
