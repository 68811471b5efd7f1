//! Whom the client trusts, and what it shows of itself.

use std::time::Duration;

use bytes::Bytes;
use gnsq::{ConnectionConfig, ConnectionError, Error, ErrorCode, Producer, TlsConfig, TlsVersion};

use super::certificates::{Authority, Identity};
use super::common::{event, within};
use super::server::{Kind, Nsqd, with_both};
use super::{LOCALHOST, cause, connect, identify, last_failure, round_trip, trusting};

with_both! {
    all_that_is_sent_and_received_is_encrypted,
    a_large_body_goes_through_in_both_directions,
    a_certificate_that_signed_itself_is_its_own_authority,
    who_is_signed_by_nobody_that_is_trusted_is_refused,
    a_certificate_for_another_name_is_refused_unless_that_one_is_meant,
    a_certificate_whose_time_is_over_is_refused,
    a_certificate_whose_time_has_not_come_is_refused,
    whoever_wants_no_proof_gets_none,
    an_nsqd_that_wants_a_certificate_gets_one,
    an_nsqd_that_verifies_certificates_takes_those_of_its_authority,
    an_nsqd_without_tls_is_not_spoken_to_in_clear_text,
    an_nsqd_that_requires_tls_tells_those_who_come_without,
}

fn with(tls: TlsConfig) -> ConnectionConfig {
    ConnectionConfig::new().tls(tls)
}

/// The TLS error that keeps such a client out, as text.
async fn refusal(nsqd: &Nsqd, tls: TlsConfig) -> String {
    let error = cause(identify(nsqd, with(tls)).await.unwrap_err());
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(!error.is_retryable());
    error.to_string()
}

async fn all_that_is_sent_and_received_is_encrypted(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.server(LOCALHOST)).start().await;
    let bodies: Vec<_> = (0..200).map(|number| Bytes::from(format!("message {number}"))).collect();
    let by_file = TlsConfig::new().ca_certificate_file(authority.certificate_path());
    for tls in [trusting(&authority), by_file.min_version(TlsVersion::Tls13)] {
        let client = round_trip(&nsqd, &with(tls), &bodies).await;
        assert_eq!((&client["tls"], &client["tls_version"]), (&true.into(), &"TLS1.3".into()), "{client}");
    }
}

async fn a_large_body_goes_through_in_both_directions(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.server(LOCALHOST)).start().await;
    let bodies: Vec<_> = (0..20).map(|number| Bytes::from(vec![number; 1024 * 1024])).collect();
    round_trip(&nsqd, &with(trusting(&authority)), &bodies).await;
}

async fn a_certificate_that_signed_itself_is_its_own_authority(kind: Kind) {
    let itself = Identity::self_signed(LOCALHOST);
    let nsqd = kind.tls_nsqd(&itself).start().await;
    let trusting_it = || TlsConfig::new().ca_certificate_file(itself.certificate_path());
    assert!(identify(&nsqd, with(trusting_it())).await.unwrap().tls_v1);
    // Of that name only.
    let text = refusal(&nsqd, trusting_it().server_name("elsewhere.example")).await;
    assert!(text.contains("server_name"), "{text}");
    let another = Identity::self_signed(LOCALHOST);
    let text = refusal(&nsqd, TlsConfig::new().ca_certificate_pem(another.certificate.as_str())).await;
    assert!(text.contains("ca_certificate_file"), "{text}");
}

async fn who_is_signed_by_nobody_that_is_trusted_is_refused(kind: Kind) {
    let nsqd = kind.tls_nsqd(&Authority::new().server(LOCALHOST)).start().await;
    for tls in [trusting(&Authority::new()), TlsConfig::new()] {
        let text = refusal(&nsqd, tls.clone()).await;
        assert!(text.contains("UnknownIssuer") && text.contains("ca_certificate_file"), "{text}");
        let last = last_failure(&nsqd, with(tls)).await;
        assert!(matches!(last, Error::Tls { .. }), "{last:?}");
    }
    assert!(nsqd.topic("t").await.is_null(), "nothing was published");
}

async fn a_certificate_for_another_name_is_refused_unless_that_one_is_meant(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.server("nsqd.example")).start().await;
    let text = refusal(&nsqd, trusting(&authority)).await;
    assert!(text.contains("nsqd.example") && text.contains("server_name"), "{text}");
    let named = trusting(&authority).server_name("nsqd.example");
    assert!(identify(&nsqd, with(named)).await.unwrap().tls_v1);
}

async fn a_certificate_whose_time_is_over_is_refused(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.expired_server(LOCALHOST)).start().await;
    let text = refusal(&nsqd, trusting(&authority)).await;
    assert!(text.contains("expired") && text.contains("renewed"), "{text}");
}

async fn a_certificate_whose_time_has_not_come_is_refused(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.future_server(LOCALHOST)).start().await;
    let text = refusal(&nsqd, trusting(&authority)).await;
    assert!(text.contains("not valid yet") && text.contains("clocks"), "{text}");
}

async fn whoever_wants_no_proof_gets_none(kind: Kind) {
    let anyone = || TlsConfig::new().danger_accept_invalid_certs(true);
    let expired = Authority::new().expired_server("elsewhere.example");
    let nsqd = kind.tls_nsqd(&expired).start().await;
    assert!(identify(&nsqd, with(anyone())).await.unwrap().tls_v1);
    // X.509 v1, signed with SHA-1, expired in 2002.
    let old = Identity::new(
        include_str!("../../../gnsq-server/tests/certs/old.pem").to_owned(),
        include_str!("../../../gnsq-server/tests/certs/old.key").to_owned(),
    );
    let nsqd = kind.tls_nsqd(&old).start().await;
    assert!(identify(&nsqd, with(anyone())).await.unwrap().tls_v1);
}

async fn an_nsqd_that_wants_a_certificate_gets_one(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.server(LOCALHOST)).any_client_certificate().start().await;
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

async fn an_nsqd_that_verifies_certificates_takes_those_of_its_authority(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.server(LOCALHOST)).client_certificate_of(&authority).start().await;
    let showing = |client: &Identity| {
        let tls = trusting(&authority).client_certificate_pem(client.certificate.as_str());
        tls.client_key_pem(client.key.as_str())
    };
    assert!(identify(&nsqd, with(showing(&authority.client("billing")))).await.unwrap().tls_v1);
    let text = refusal(&nsqd, showing(&Authority::new().client("stranger"))).await;
    assert!(text.contains("doesn't take this client's certificate"), "{text}");
    let text = refusal(&nsqd, trusting(&authority)).await;
    assert!(text.contains("wants a certificate of this client"), "{text}");
}

async fn an_nsqd_without_tls_is_not_spoken_to_in_clear_text(kind: Kind) {
    let nsqd = kind.nsqd().start().await;
    let error = cause(identify(&nsqd, with(TlsConfig::new())).await.unwrap_err());
    assert!(
        matches!(error, Error::Connection { source: ConnectionError::Declined("tls_v1"), .. }) && !error.is_retryable(),
        "{error:?}"
    );
    last_failure(&nsqd, with(TlsConfig::new())).await;
    assert!(nsqd.topic("t").await.is_null(), "nothing was published");
}

async fn an_nsqd_that_requires_tls_tells_those_who_come_without(kind: Kind) {
    let nsqd = kind.tls_nsqd(&Authority::new().server(LOCALHOST)).start().await;
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
    let identity = authority.server("nsqd.example");
    let nsqd = gnsq_testkit::Nsqd::builder()
        .arg(format!("--tls-cert={}", identity.certificate_path().display()))
        .arg(format!("--tls-key={}", identity.key_path().display()))
        .unix_socket()
        .start()
        .await;
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
    let Nsqd::Real(mut nsqd) = Kind::Real.tls_nsqd(&server).start().await else { unreachable!("it was asked for") };
    let builder = Producer::builder().nsqd(nsqd.tcp_address()).tls(trusting(&authority));
    let producer = builder.max_reconnect_delay(Duration::from_millis(50)).build().unwrap();
    within(producer.publish("t", "one")).await.unwrap();
    let mut closed = producer.signals().on_close.subscribe(10);
    within(nsqd.restart()).await;
    event(&mut closed).await;
    within(producer.publish("t", "two")).await.unwrap();
    within(producer.close()).await;
}
