//! Whom the client trusts, and what it shows of itself to the real nsqd.

use bytes::Bytes;
use gnsq::{ConnectionConfig, ConnectionError, Error, ErrorCode, TlsConfig, TlsVersion};
use gnsq_testkit::Nsqd;

use super::certificates::{Authority, Identity};
use super::common::within;
use super::{cause, connect, identify, last_failure, round_trip, tls_nsqd};

const LOCALHOST: &str = "127.0.0.1";

fn with(tls: TlsConfig) -> ConnectionConfig {
    ConnectionConfig::new().tls(tls)
}

fn trusting(authority: &Authority) -> TlsConfig {
    TlsConfig::new().ca_certificate_pem(authority.certificate.as_str())
}

/// The TLS error that keeps such a client out, as text.
async fn refusal(nsqd: &Nsqd, tls: TlsConfig) -> String {
    let error = cause(identify(nsqd, with(tls)).await.unwrap_err());
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(!error.is_retryable());
    error.to_string()
}

#[tokio::test]
async fn all_that_is_sent_and_received_is_encrypted() {
    let authority = Authority::new();
    let nsqd = tls_nsqd(&authority.server(LOCALHOST)).start().await;
    let file = authority.as_files();
    let bodies: Vec<_> = (0..200).map(|number| Bytes::from(format!("message {number}"))).collect();
    for (tls, version) in [
        (trusting(&authority), "TLS1.3"),
        (TlsConfig::new().ca_certificate_file(file.certificate_path()).min_version(TlsVersion::Tls13), "TLS1.3"),
    ] {
        let client = round_trip(&nsqd, &with(tls), &bodies).await;
        assert_eq!((&client["tls"], &client["tls_version"]), (&true.into(), &version.into()), "{client}");
    }
}

#[tokio::test]
async fn a_large_body_goes_through_in_both_directions() {
    let authority = Authority::new();
    let nsqd = tls_nsqd(&authority.server(LOCALHOST)).start().await;
    let bodies: Vec<_> = (0..20).map(|number| Bytes::from(vec![number; 1024 * 1024])).collect();
    round_trip(&nsqd, &with(trusting(&authority)), &bodies).await;
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_its_own_authority() {
    let itself = Identity::self_signed(LOCALHOST);
    let nsqd = tls_nsqd(&itself).start().await;
    let trusting_it = || TlsConfig::new().ca_certificate_file(itself.certificate_path());
    assert!(identify(&nsqd, with(trusting_it())).await.unwrap().tls_v1);
    // Of that name only.
    let text = refusal(&nsqd, trusting_it().server_name("elsewhere.example")).await;
    assert!(text.contains("server_name"), "{text}");
    let another = Identity::self_signed(LOCALHOST);
    let text = refusal(&nsqd, TlsConfig::new().ca_certificate_pem(another.certificate.as_str())).await;
    assert!(text.contains("ca_certificate_file"), "{text}");
}

#[tokio::test]
async fn who_is_signed_by_nobody_that_is_trusted_is_refused() {
    let nsqd = tls_nsqd(&Authority::new().server(LOCALHOST)).start().await;
    for tls in [trusting(&Authority::new()), TlsConfig::new()] {
        let text = refusal(&nsqd, tls.clone()).await;
        assert!(text.contains("UnknownIssuer") && text.contains("ca_certificate_file"), "{text}");
        let last = last_failure(&nsqd, with(tls)).await;
        assert!(matches!(last, Error::Tls { .. }), "{last:?}");
    }
    assert!(nsqd.topic_stats("t").await.is_none(), "nothing was published");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_unless_that_one_is_meant() {
    let authority = Authority::new();
    let nsqd = tls_nsqd(&authority.server("nsqd.example")).start().await;
    let text = refusal(&nsqd, trusting(&authority)).await;
    assert!(text.contains("nsqd.example") && text.contains("server_name"), "{text}");
    let named = trusting(&authority).server_name("nsqd.example");
    assert!(identify(&nsqd, with(named)).await.unwrap().tls_v1);
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_is_refused() {
    let authority = Authority::new();
    let nsqd = tls_nsqd(&authority.expired_server(LOCALHOST)).start().await;
    let text = refusal(&nsqd, trusting(&authority)).await;
    assert!(text.contains("expired") && text.contains("renewed"), "{text}");
}

#[tokio::test]
async fn whoever_wants_no_proof_gets_none() {
    let anyone = || TlsConfig::new().danger_accept_invalid_certs(true);
    let expired = Authority::new().expired_server("elsewhere.example");
    let nsqd = tls_nsqd(&expired).start().await;
    assert!(identify(&nsqd, with(anyone())).await.unwrap().tls_v1);
    // X.509 v1, signed with SHA-1, expired in 2002.
    let old = Identity::new(
        include_str!("../../../gnsq-server/tests/certs/old.pem").to_owned(),
        include_str!("../../../gnsq-server/tests/certs/old.key").to_owned(),
    );
    let nsqd = tls_nsqd(&old).start().await;
    assert!(identify(&nsqd, with(anyone())).await.unwrap().tls_v1);
}

#[tokio::test]
async fn an_nsqd_that_wants_a_certificate_gets_one() {
    let authority = Authority::new();
    let nsqd = tls_nsqd(&authority.server(LOCALHOST)).arg("--tls-client-auth-policy=require").start().await;
    let text = refusal(&nsqd, trusting(&authority)).await;
    assert!(text.contains("client_certificate_file"), "{text}");

    let client = authority.client("billing");
    let showing = || trusting(&authority).client_certificate_file(client.certificate_path());
    let config = with(showing().client_key_file(client.key_path()));
    round_trip(&nsqd, &config, &["one".into(), "two".into()]).await;

    let both = client.certificate.clone() + &client.key;
    assert!(identify(&nsqd, with(trusting(&authority).client_certificate_pem(both))).await.unwrap().tls_v1);
    let old = trusting(&authority)
        .client_certificate_pem(*include_bytes!("../../../gnsq-server/tests/certs/old.pem"))
        .client_key_pem(*include_bytes!("../../../gnsq-server/tests/certs/old.pkcs8.key"));
    assert!(identify(&nsqd, with(old)).await.unwrap().tls_v1);
}

#[tokio::test]
async fn an_nsqd_that_verifies_certificates_takes_those_of_its_authority() {
    let authority = Authority::new();
    let files = authority.as_files();
    let nsqd = tls_nsqd(&authority.server(LOCALHOST))
        .arg("--tls-client-auth-policy=require-verify")
        .arg(format!("--tls-root-ca-file={}", files.certificate_path().display()))
        .start()
        .await;
    let showing = |client: &Identity| {
        let tls = trusting(&authority).client_certificate_pem(client.certificate.as_str());
        tls.client_key_pem(client.key.as_str())
    };
    assert!(identify(&nsqd, with(showing(&authority.client("billing")))).await.unwrap().tls_v1);
    let text = refusal(&nsqd, showing(&Authority::new().client("stranger"))).await;
    assert!(text.contains("doesn't take this client's certificate"), "{text}");
}

#[tokio::test]
async fn an_nsqd_without_tls_is_not_spoken_to_in_clear_text() {
    let nsqd = Nsqd::start().await;
    let error = cause(identify(&nsqd, with(TlsConfig::new())).await.unwrap_err());
    assert!(
        matches!(error, Error::Connection { source: ConnectionError::Declined("tls_v1"), .. }) && !error.is_retryable(),
        "{error:?}"
    );
    last_failure(&nsqd, with(TlsConfig::new())).await;
    assert!(nsqd.topic_stats("t").await.is_none(), "nothing was published");
}

#[tokio::test]
async fn an_nsqd_that_requires_tls_tells_those_who_come_without() {
    let nsqd = tls_nsqd(&Authority::new().server(LOCALHOST)).start().await;
    let client = connect(nsqd.tcp_address(), ConnectionConfig::new()).await;
    within(client.identify()).await.unwrap();
    let error = within(client.publish("t", "one")).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { source, .. } if *source.code() == ErrorCode::Invalid), "{error:?}");
    assert!(error.to_string().contains("TLS required"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn at_a_unix_socket_the_server_has_to_be_named() {
    let authority = Authority::new();
    let nsqd = tls_nsqd(&authority.server("nsqd.example")).unix_socket().start().await;
    let address = gnsq::Address::unix(nsqd.unix_path());
    let nameless = connect(address.clone(), with(trusting(&authority))).await;
    let error = cause(within(nameless.identify()).await.unwrap_err()).to_string();
    assert!(error.contains("server_name"), "{error}");
    let client = connect(address, with(trusting(&authority).server_name("nsqd.example"))).await;
    assert!(within(client.identify()).await.unwrap().tls_v1);
    within(client.publish("t", "one")).await.unwrap();
}

#[tokio::test]
async fn a_producer_that_reconnects_speaks_tls_again() {
    let authority = Authority::new();
    let server = authority.server(LOCALHOST);
    let mut nsqd = tls_nsqd(&server).start().await;
    let builder = gnsq::Producer::builder().nsqd(nsqd.tcp_address()).tls(trusting(&authority));
    let producer = builder.max_reconnect_delay(std::time::Duration::from_millis(50)).build().unwrap();
    within(producer.publish("t", "one")).await.unwrap();
    let mut closed = producer.signals().on_close.subscribe(10);
    within(nsqd.restart()).await;
    super::common::event(&mut closed).await;
    within(producer.publish("t", "two")).await.unwrap();
    within(producer.close()).await;
}
