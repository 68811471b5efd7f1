//! What the log tells, and what it doesn't.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use gnsq::{ConnectionConfig, Consumer, Error, Io, Producer, TlsConfig};
use gnsq_testkit::{ScriptedPeer, identify_reply};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::auth::secret;
use super::auth_server::{AuthServer, everything_with_t};
use super::certificates::Authority;
use super::common::{reply_with, within};
use super::server::{Kind, with_both};
use super::{LOCALHOST, connect, identify, last_failure};

with_both! {
    a_secret_is_in_no_log,
}

/// All events of this thread, of every level, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Log {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Fields<'a>(&'a mut String);

        impl Visit for Fields<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                write!(self.0, " {field}={value:?}").unwrap();
            }
        }

        let mut text = self.0.lock().unwrap();
        write!(text, "{}", event.metadata().level()).unwrap();
        event.record(&mut Fields(&mut text));
        text.push('\n');
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

#[tokio::test]
async fn to_trust_everyone_is_warned_of() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let server = Authority::new().server(LOCALHOST);
    let nsqd = Kind::Real.tls_nsqd(&server).start().await;
    let anyone = ConnectionConfig::new().tls(TlsConfig::new().danger_accept_invalid_certs(true));
    identify(&nsqd, anyone).await.unwrap();
    let text = log.text();
    assert!(text.contains("WARN") && text.contains("danger_accept_invalid_certs"), "{text}");
}

#[test]
fn an_http_client_that_trusts_everyone_warns_of_it() {
    let builder = |address| gnsq::NsqdHttpClient::builder(address).danger_accept_invalid_certs(true);
    for (address, warned) in [("https://127.0.0.1:4152", true), ("http://127.0.0.1:4151", false)] {
        let log = Log::default();
        let _guard = tracing::subscriber::set_default(log.clone());
        builder(address).build().unwrap();
        let text = log.text();
        assert_eq!(text.contains("WARN") && text.contains("danger_accept_invalid_certs"), warned, "{address}: {text}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_warned_of_with_what_to_do() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let server = Authority::new().server(LOCALHOST);
    let nsqd = Kind::Real.tls_nsqd(&server).start().await;
    last_failure(&nsqd, ConnectionConfig::new().tls(TlsConfig::new())).await;
    let text = log.text();
    assert!(text.contains("WARN") && text.contains("give its authority (ca_certificate_file)"), "{text}");
}

/// Not even at the finest level, whether it is taken or refused.
async fn a_secret_is_in_no_log(kind: Kind) {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let server = AuthServer::refusing().await;
    let nsqd = kind.nsqd().auth(&server).start().await;
    let mut shown = format!("{:?}", last_failure(&nsqd, secret()).await);
    server.grant(3600, &everything_with_t());
    let producer = Producer::builder().nsqd(nsqd.address()).connection(secret()).io(Io::Current).build().unwrap();
    let builder = Consumer::builder("t", "c").nsqd(nsqd.address()).connection(secret()).io(Io::Current);
    write!(shown, "{producer:?} {builder:?}").unwrap();
    let mut consumer = builder.build().unwrap();
    within(producer.publish("t", "one")).await.unwrap();
    within(consumer.recv()).await.unwrap().finish().unwrap();
    within(consumer.handle().shutdown()).await;
    within(producer.close()).await;
    shown += &log.text();
    assert!(log.text().contains("E_AUTH_FAILED") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_secret_is_told_nobody() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let tls = TlsConfig::new().client_key_pem(key.as_str());
    let mut shown = format!("{:?}", ConnectionConfig::new().auth_secret("hunter2").tls(tls.clone()));
    let builder = Producer::builder().nsqd("127.0.0.1:1").auth_secret("hunter2").tls(tls);
    write!(shown, "{builder:?} {:?}", builder.clone().build().unwrap_err()).unwrap();

    for (reply, answer) in [
        (reply_with([("auth_required", json!(true))]), None),
        (identify_reply(), Some("E_AUTH_DISABLED AUTH disabled")),
    ] {
        let peer = ScriptedPeer::bind().await;
        let config = ConnectionConfig::new().auth_secret("hunter2").always_auth(true);
        let client = connect(peer.address(), config).await;
        let mut connection = peer.accept().await;
        let (identified, ()) = tokio::join!(within(client.identify()), async {
            connection.handshake_with(&reply).await;
            connection.expect_command("AUTH").await;
            assert_eq!(connection.expect_body().await, b"hunter2");
            match answer {
                Some(error) => connection.send_error(error).await,
                None => connection.reset(),
            }
        });
        let error: Error = identified.unwrap_err();
        write!(shown, "{error} {error:?} {client:?}").unwrap();
    }
    shown += &log.text();
    assert!(shown.contains("Secret(..)") && !log.text().is_empty(), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains("PRIVATE KEY"), "{shown}");
}
