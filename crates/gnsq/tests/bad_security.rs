//! Certificates, keys, compressions and secrets that can't work are refused before anything is connected to.

#![cfg(all(feature = "tls", feature = "snappy", feature = "deflate"))]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod common;

use std::path::{Path, PathBuf};

use common::{assert_nobody_came, producer, within};
use gnsq::{ConnectionConfig, Consumer, Error, Io, NsqdTcpClient, TlsConfig};
use gnsq_testkit::ScriptedPeer;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

/// A certificate that signed itself, and its key.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// Says that it holds what it doesn't.
fn damaged(pem: &str) -> String {
    let half = pem.len() / 2;
    format!("{}!{}", &pem[..half], &pem[half + 1..])
}

struct Files(TempDir);

impl Files {
    fn with(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = Path::join(self.0.path(), name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

/// The error names the option, and nobody is connected to.
async fn assert_refused(wrong: ConnectionConfig, option: &str) {
    let peer = ScriptedPeer::bind().await;
    let outcomes = [
        within(NsqdTcpClient::connect_with(peer.address(), wrong.clone(), &Io::Current)).await.map(drop),
        producer(&[&peer]).connection(wrong.clone()).build().map(drop),
        Consumer::builder("t", "c").nsqd(peer.address()).connection(wrong).build().map(drop),
    ];
    for outcome in outcomes {
        let Err(error @ Error::Option { .. }) = outcome else { panic!("{option}: {outcome:?}") };
        assert!(error.to_string().starts_with(&format!("option {option}: ")), "{option} expected: {error}");
    }
    assert_nobody_came(&peer).await;
}

#[tokio::test]
async fn certificates_and_keys_that_cannot_work_are_refused() {
    let files = Files(tempfile::tempdir().unwrap());
    let (certificate, key) = pair();
    let (_, other_key) = pair();
    let certificate_file = files.with("certificate.pem", &certificate);
    let missing = files.0.path().join("missing.pem");
    let directory = files.0.path();
    let tls = TlsConfig::new;
    for (wrong, option) in [
        // Wrong paths.
        (tls().ca_certificate_file(&missing), "tls.ca_certificate_file"),
        (tls().ca_certificate_file(directory), "tls.ca_certificate_file"),
        (tls().client_certificate_file(&missing).client_key_pem(key.as_str()), "tls.client_certificate_file"),
        (tls().client_certificate_file(&certificate_file).client_key_file(&missing), "tls.client_key_file"),
        (tls().client_certificate_file(&certificate_file).client_key_file(directory), "tls.client_key_file"),
        // Nothing, something else, and what is damaged.
        (tls().ca_certificate_file(files.with("empty.pem", "")), "tls.ca_certificate_file"),
        (tls().ca_certificate_file(files.with("key.pem", &key)), "tls.ca_certificate_file"),
        (tls().ca_certificate_pem("no certificate"), "tls.ca_certificate_pem"),
        (tls().ca_certificate_pem(damaged(&certificate)), "tls.ca_certificate_pem"),
        (tls().ca_certificate_pem(vec![0xff; 100]), "tls.ca_certificate_pem"),
        (
            tls().client_certificate_pem(damaged(&certificate)).client_key_pem(key.as_str()),
            "tls.client_certificate_pem",
        ),
        (tls().client_certificate_pem(key.as_str()).client_key_pem(key.as_str()), "tls.client_certificate_pem"),
        (tls().client_certificate_pem(certificate.as_str()).client_key_pem(damaged(&key)), "tls.client_key_pem"),
        (tls().client_certificate_pem(certificate.as_str()).client_key_pem(""), "tls.client_key_pem"),
        // What doesn't belong together, or lacks its other half.
        (tls().client_certificate_pem(certificate.as_str()).client_key_pem(other_key), "tls.client_key_pem"),
        (tls().client_certificate_file(&certificate_file), "tls.client_certificate_file"),
        (tls().client_certificate_pem(certificate.as_str()), "tls.client_certificate_pem"),
        (tls().client_key_pem(key.as_str()), "tls.client_key_pem"),
        (tls().server_name(""), "tls.server_name"),
        (tls().server_name("a b"), "tls.server_name"),
    ] {
        assert_refused(ConnectionConfig::new().tls(wrong), option).await;
    }
}

#[tokio::test]
async fn compressions_and_secrets_that_cannot_work_are_refused() {
    let config = ConnectionConfig::new;
    for (wrong, option) in [
        (config().deflate(0), "deflate"),
        (config().deflate(10), "deflate"),
        (config().deflate(255), "deflate"),
        (config().snappy(true).deflate(6), "deflate"),
        (config().auth_secret(""), "auth_secret"),
        (config().always_auth(true), "always_auth"),
    ] {
        assert_refused(wrong, option).await;
    }
}
