//! Whom the HTTP clients trust, and what they show of themselves.

use std::net::SocketAddr;
use std::time::Duration;

use gnsq::http::{HttpClientBuilder, HttpError, LookupdClient, NsqdHttpClient};
use gnsq::{Consumer, Producer, TlsVersion, TopicName};
use rustls::version::{TLS12, TLS13};

use super::certificates::{Authority, Identity};
use super::common::within;
use super::server::{Kind, with_both};
use super::tls_peer::{TlsFront, acceptor};
use super::{LOCALHOST, trusting};

with_both! {
    an_nsqd_is_spoken_to_by_https,
    an_nsqd_that_is_not_trusted_is_told_nothing,
    an_nsqd_that_wants_a_certificate_gets_one,
    https_takes_the_options_of_connections,
    an_nsqlookupd_is_spoken_to_by_https,
    an_nsqlookupd_that_is_not_trusted_is_told_nothing,
    nsqds_are_found_by_https,
}

/// An nsqlookupd speaks no TLS itself: something stands before it.
enum Nsqlookupd {
    Real(gnsq_testkit::Nsqlookupd),
    Embedded(gnsq_server::Nsqlookupd),
}

impl Nsqlookupd {
    async fn start(kind: Kind) -> Self {
        match kind {
            Kind::Real => Self::Real(gnsq_testkit::Nsqlookupd::start().await),
            Kind::Embedded => Self::Embedded(gnsq_server::Nsqlookupd::start().await.unwrap()),
        }
    }

    fn tcp_address(&self) -> String {
        match self {
            Self::Real(lookupd) => lookupd.tcp_address().to_string(),
            Self::Embedded(lookupd) => lookupd.tcp_address(),
        }
    }

    async fn behind(&self, identity: &Identity, clients: Option<&Authority>) -> TlsFront {
        let address = match self {
            Self::Real(lookupd) => lookupd.http_address(),
            Self::Embedded(lookupd) => lookupd.http_address().parse().unwrap(),
        };
        let clients = clients.map(|authority| authority.certificate.as_str());
        TlsFront::before(address, acceptor(identity, &[&TLS12, &TLS13], clients)).await
    }
}

fn topic() -> TopicName {
    TopicName::new("t").unwrap()
}

fn url(address: SocketAddr) -> String {
    format!("https://{address}")
}

fn nsqd_client(address: impl Into<String>) -> HttpClientBuilder<NsqdHttpClient> {
    NsqdHttpClient::builder(address)
}

fn lookupd_client(address: impl Into<String>) -> HttpClientBuilder<LookupdClient> {
    LookupdClient::builder(address)
}

/// The text of the TLS error that it must be.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, HttpError>) -> String {
    match result {
        Err(error @ HttpError::Tls { .. }) => {
            assert!(error.is_connect() && !error.is_retryable() && !error.outcome_unknown(), "{error:?}");
            error.to_string()
        }
        other => panic!("expected TLS to fail, not {other:?}"),
    }
}

/// Certificates that no client trusts without being told to, and what is said of them.
fn untrusted(authority: &Authority) -> [(Identity, &'static str); 4] {
    [
        (Authority::new().server(LOCALHOST), "UnknownIssuer"),
        (authority.server("elsewhere.example"), "elsewhere.example"),
        (authority.expired_server(LOCALHOST), "expired"),
        (authority.future_server(LOCALHOST), "not valid yet"),
    ]
}

async fn an_nsqd_is_spoken_to_by_https(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.server(LOCALHOST)).start().await;
    let client = nsqd_client(url(nsqd.https_address())).ca_certificate_pem(&authority.certificate).build().unwrap();
    within(client.ping()).await.unwrap();
    within(client.publish(&topic(), "one")).await.unwrap();
    assert_eq!(nsqd.topic("t").await["message_count"], 1);
    // Of the name that is asked for: one that is looked up, too.
    let named = kind.tls_nsqd(&authority.server("nsqd.example")).start().await;
    let address = format!("https://nsqd.example:{}", named.https_address().port());
    let client = nsqd_client(address).resolve(named.https_address().ip()).ca_certificate_pem(&authority.certificate);
    within(client.build().unwrap().ping()).await.unwrap();
}

async fn an_nsqd_that_is_not_trusted_is_told_nothing(kind: Kind) {
    let authority = Authority::new();
    for (identity, reason) in untrusted(&authority) {
        let nsqd = kind.tls_nsqd(&identity).start().await;
        let builder = || nsqd_client(url(nsqd.https_address()));
        let trusting = builder().ca_certificate_pem(&authority.certificate).build().unwrap();
        let text = refusal(within(trusting.publish(&topic(), "one")).await);
        assert!(text.contains(reason), "{text}");
        refusal(within(builder().build().unwrap().publish(&topic(), "one")).await);
        assert!(nsqd.topic("t").await.is_null(), "nothing was published");
        let anyone = builder().danger_accept_invalid_certs(true).build().unwrap();
        within(anyone.publish(&topic(), "one")).await.unwrap();
    }
}

async fn an_nsqd_that_wants_a_certificate_gets_one(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.server(LOCALHOST)).client_certificate_of(&authority).start().await;
    let builder = || nsqd_client(url(nsqd.https_address())).ca_certificate_pem(&authority.certificate);
    let showing = |client: Identity| builder().client_certificate_pem(client.certificate, client.key).build().unwrap();
    within(showing(authority.client("billing")).ping()).await.unwrap();
    refusal(within(builder().build().unwrap().ping()).await);
    refusal(within(showing(Authority::new().client("stranger")).ping()).await);
}

async fn https_takes_the_options_of_connections(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.server("nsqd.example")).client_certificate_of(&authority).start().await;
    let client = authority.client("billing");
    let tls = trusting(&authority).client_certificate_pem(client.certificate).client_key_pem(client.key);
    let named = tls.clone().server_name("nsqd.example").min_version(TlsVersion::Tls13);
    for host in [LOCALHOST, "localhost"] {
        let address = format!("https://{host}:{}", nsqd.https_address().port());
        within(nsqd_client(&address).tls(named.clone()).build().unwrap().ping()).await.unwrap();
        let text = refusal(within(nsqd_client(&address).tls(tls.clone()).build().unwrap().ping()).await);
        assert!(text.contains(host), "{text}");
    }
    let error = nsqd_client("https://host").tls(tls.clone().server_name(LOCALHOST)).build().unwrap_err();
    assert!(matches!(error, HttpError::InvalidOption { option: "tls.server_name", .. }), "{error}");
    let error = nsqd_client("https://host").tls(tls.ca_certificate_file("/no/ca.pem")).build().unwrap_err();
    assert!(error.to_string().contains("/no/ca.pem"), "{error}");
}

async fn an_nsqlookupd_is_spoken_to_by_https(kind: Kind) {
    let (authority, lookupd) = (Authority::new(), Nsqlookupd::start(kind).await);
    let front = lookupd.behind(&authority.server(LOCALHOST), Some(&authority)).await;
    let builder = || lookupd_client(url(front.address)).ca_certificate_pem(&authority.certificate);
    let showing = |client: Identity| builder().client_certificate_pem(client.certificate, client.key).build().unwrap();
    let client = showing(authority.client("billing"));
    within(client.create_topic(&topic())).await.unwrap();
    assert_eq!(within(client.topics()).await.unwrap(), [topic()]);
    refusal(within(builder().build().unwrap().ping()).await);
    refusal(within(showing(Authority::new().client("stranger")).ping()).await);
}

async fn an_nsqlookupd_that_is_not_trusted_is_told_nothing(kind: Kind) {
    let (authority, lookupd) = (Authority::new(), Nsqlookupd::start(kind).await);
    for (identity, reason) in untrusted(&authority) {
        let front = lookupd.behind(&identity, None).await;
        let builder = || lookupd_client(url(front.address));
        let trusting = builder().ca_certificate_pem(&authority.certificate).build().unwrap();
        let text = refusal(within(trusting.create_topic(&topic())).await);
        assert!(text.contains(reason), "{text}");
        refusal(within(builder().build().unwrap().create_topic(&topic())).await);
        let anyone = builder().danger_accept_invalid_certs(true).build().unwrap();
        assert!(within(anyone.topics()).await.unwrap().is_empty(), "nothing was created");
    }
}

async fn nsqds_are_found_by_https(kind: Kind) {
    let (authority, lookupd) = (Authority::new(), Nsqlookupd::start(kind).await);
    let front = lookupd.behind(&authority.server(LOCALHOST), None).await;
    let nsqd = kind.tls_nsqd(&authority.server(LOCALHOST)).lookupd(&lookupd.tcp_address()).start().await;
    let producer = Producer::builder().nsqd(nsqd.address()).tls(trusting(&authority)).build().unwrap();
    within(producer.publish("t", "one")).await.unwrap();
    let client = lookupd_client(url(front.address)).ca_certificate_pem(&authority.certificate).build().unwrap();
    let mut consumer = Consumer::builder("t", "c")
        .lookupd_client(client)
        .lookupd_poll_interval(Duration::from_millis(50))
        .tls(trusting(&authority))
        .build()
        .unwrap();
    let message = within(consumer.recv()).await.unwrap();
    assert_eq!(message.body(), "one");
    message.finish().unwrap();
    within(consumer.handle().shutdown()).await;
}
