//! The same with the embedded nsqd.

use gnsq::{Address, ConnectionConfig, Error, ErrorCode, TlsConfig};
use gnsq_server::{ClientAuth, Nsqd, PemSource, TlsOptions, TlsRequired, TlsVersion};
use serde_json::json;

use super::auth_server::AuthServer;
use super::certificates::Authority;
use super::common::within;
use super::compression::bodies;
use super::{cause, close, connect, exchange};

fn address(nsqd: &Nsqd) -> Address {
    nsqd.tcp_address().parse().unwrap()
}

/// Everyone has to show a certificate of the authority.
fn options(authority: &Authority, name: &str) -> TlsOptions {
    let server = authority.server(name);
    let text = |pem: &str| PemSource::Text(pem.as_bytes().to_vec());
    TlsOptions {
        certificate: text(&server.certificate),
        key: text(&server.key),
        root_ca: Some(text(&authority.certificate)),
        client_auth: ClientAuth::RequireVerify,
        required: TlsRequired::No,
        min_version: TlsVersion::Tls12,
    }
}

#[tokio::test]
async fn bodies_of_all_sizes_go_through_compressed() {
    let nsqd = Nsqd::start().await.unwrap();
    let config = ConnectionConfig::new;
    for config in [config(), config().snappy(true), config().deflate(1), config().deflate(6)] {
        close(exchange(&address(&nsqd), &config, &bodies()).await).await;
    }
}

#[tokio::test]
async fn all_of_it_at_once() {
    let authority = Authority::new();
    let grant = json!([{"topic": "^t$", "channels": [".*"], "permissions": ["publish", "subscribe"]}]);
    let auth = AuthServer::granting(grant).await;
    let nsqd = Nsqd::builder()
        .tls(options(&authority, "127.0.0.1"))
        .auth_http_addresses([auth.address.to_string()])
        .start()
        .await
        .unwrap();
    let client = authority.client("billing");
    let tls = TlsConfig::new()
        .ca_certificate_pem(authority.certificate.as_str())
        .client_certificate_pem(client.certificate.as_str())
        .client_key_pem(client.key.as_str());
    for config in [ConnectionConfig::new().snappy(true), ConnectionConfig::new().deflate(3)] {
        let config = config.tls(tls.clone()).auth_secret("hunter2");
        let clients = exchange(&address(&nsqd), &config, &bodies()).await;
        let stats = nsqd.stats();
        let client = &stats.topics[0].channels[0].clients.as_ref().unwrap()[0];
        assert!(client.tls && client.authed && (client.snappy || client.deflate), "{client:?}");
        assert_eq!((client.tls_version.as_str(), client.auth_identity.as_str()), ("TLS1.3", "billing"));
        close(clients).await;
    }
    for query in auth.asked() {
        assert_eq!(query, "common_name=billing&remote_ip=127.0.0.1&secret=hunter2&tls=true");
    }
}

#[tokio::test]
async fn who_is_not_trusted_is_told_so_on_both_sides() {
    let authority = Authority::new();
    let nsqd = Nsqd::builder().tls(options(&authority, "127.0.0.1")).start().await.unwrap();
    let trusting = TlsConfig::new().ca_certificate_pem(authority.certificate.as_str());
    let stranger = Authority::new().client("stranger");
    let showing =
        trusting.clone().client_certificate_pem(stranger.certificate.as_str()).client_key_pem(stranger.key.as_str());
    for (tls, text) in [
        (TlsConfig::new(), "give its authority"),
        (trusting.clone(), "wants a certificate of this client"),
        (showing, "doesn't take this client's certificate"),
        (trusting.server_name("elsewhere"), "another name"),
    ] {
        let client = connect(address(&nsqd), ConnectionConfig::new().tls(tls)).await;
        let error = cause(within(client.identify()).await.unwrap_err());
        assert!(matches!(error, Error::Tls { .. }) && error.to_string().contains(text), "{error}");
    }
    let client = connect(address(&nsqd), ConnectionConfig::new()).await;
    within(client.identify()).await.unwrap();
    let error = within(client.publish("t", "one")).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { source, .. } if *source.code() == ErrorCode::Invalid), "{error}");
}
