//! What clients meet, with all kinds of certificates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme, SupportedProtocolVersion};
use tokio_rustls::TlsConnector;

use super::*;

// X.509 v1, signed with SHA-1, expired in 2002, as `openssl ca -selfsign` makes one without extensions.
const OLD: &[u8] = include_bytes!("../../tests/certs/old.pem");
const OLD_KEY: &[u8] = include_bytes!("../../tests/certs/old.key");
const OLD_KEY_PKCS8: &[u8] = include_bytes!("../../tests/certs/old.pkcs8.key");
// As `openssl req -x509` makes one; its key as `openssl ecparam` writes it, with the curve before it.
const EC: &[u8] = include_bytes!("../../tests/certs/ec.pem");
const EC_KEY: &[u8] = include_bytes!("../../tests/certs/ec.key");

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn options(certificate: &[u8], key: &[u8]) -> TlsOptions {
    TlsOptions {
        certificate: PemSource::Text(certificate.to_vec()),
        key: PemSource::Text(key.to_vec()),
        root_ca: None,
        client_auth: ClientAuth::None,
        required: TlsRequired::No,
        min_version: TlsVersion::Tls12,
    }
}

/// What the server makes of a client that trusts everyone and shows `certificate`.
async fn handshake(
    options: &TlsOptions,
    version: &'static SupportedProtocolVersion,
    certificate: Option<CertifiedKey>,
) -> Result<ProtocolVersion, std::io::Error> {
    let asked = Arc::new(AtomicBool::new(false));
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustsEveryone))
        .with_client_cert_resolver(Arc::new(Shows { certificate: certificate.map(Arc::new), asked: asked.clone() }));
    let (here, there) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from("nsqd").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let (server, client) = tokio::join!(acceptor(options).unwrap().accept(there), connector.connect(name, here));
    assert_eq!(asked.load(Ordering::Relaxed), options.client_auth != ClientAuth::None, "asked for a certificate");
    let server = server?;
    let connection = server.get_ref().1;
    assert_eq!(connection.alpn_protocol(), None);
    client.map(|_| connection.protocol_version().unwrap())
}

fn pair(certificate: &[u8], key: &[u8]) -> CertifiedKey {
    CertifiedKey::new(vec![CertificateDer::from_pem_slice(certificate).unwrap()], signing_key(key))
}

fn signing_key(pem: &[u8]) -> Arc<dyn SigningKey> {
    ring::sign::any_supported_type(&PrivateKeyDer::from_pem_slice(pem).unwrap()).unwrap()
}

#[tokio::test]
async fn old_certificates_and_all_forms_of_keys_are_served() {
    for (certificate, key) in [(OLD, OLD_KEY), (OLD, OLD_KEY_PKCS8), (EC, EC_KEY)] {
        for version in VERSIONS {
            assert_eq!(handshake(&options(certificate, key), version, None).await.unwrap(), version.version);
        }
    }
}

#[tokio::test]
async fn an_older_version_than_the_least_is_refused() {
    let options = TlsOptions { min_version: TlsVersion::Tls13, ..options(EC, EC_KEY) };
    handshake(&options, &TLS13, None).await.unwrap();
    let config = acceptor(&options).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustsEveryone))
        .with_no_client_auth();
    let (here, there) = tokio::io::duplex(64 * 1024);
    let connector = TlsConnector::from(Arc::new(client));
    let (server, client) =
        tokio::join!(config.accept(there), connector.connect(ServerName::try_from("nsqd").unwrap(), here));
    assert!(server.is_err() && client.is_err());
}

#[tokio::test]
async fn a_root_ca_without_a_policy_asks_clients_for_nothing() {
    let options = TlsOptions { root_ca: Some(PemSource::Text(EC.to_vec())), ..options(EC, EC_KEY) };
    for version in VERSIONS {
        handshake(&options, version, None).await.unwrap();
    }
}

#[tokio::test]
async fn any_certificate_will_do_if_its_key_is_there() {
    let options = TlsOptions { client_auth: ClientAuth::Require, ..options(EC, EC_KEY) };
    assert_eq!(options.effective_required(), TlsRequired::All);
    for version in VERSIONS {
        handshake(&options, version, Some(pair(OLD, OLD_KEY))).await.unwrap();
        handshake(&options, version, Some(pair(EC, EC_KEY))).await.unwrap();
        handshake(&options, version, None).await.unwrap_err();
        // Someone else's certificate.
        let stranger = KeyPair::generate().unwrap().serialize_pem();
        handshake(&options, version, Some(pair(EC, stranger.as_bytes()))).await.unwrap_err();
        handshake(&options, version, Some(pair(OLD, EC_KEY))).await.unwrap_err();
    }
}

#[tokio::test]
async fn only_those_that_lead_to_the_root_are_verified() {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, &ca_key);
    let options = TlsOptions {
        client_auth: ClientAuth::RequireVerify,
        root_ca: Some(PemSource::Text(ca.pem().into_bytes())),
        required: TlsRequired::TcpHttps,
        ..options(EC, EC_KEY)
    };
    assert_eq!(options.effective_required(), TlsRequired::TcpHttps);

    let signed = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    let mut expired = signed.clone();
    expired.not_after = date_time_ymd(2020, 1, 1);
    let by_ca = |params: &CertificateParams| params.signed_by(&key, &issuer).unwrap().pem();
    let key_pem = key.serialize_pem();
    let shown = |certificate: &str| Some(pair(certificate.as_bytes(), key_pem.as_bytes()));
    for version in VERSIONS {
        handshake(&options, version, shown(&by_ca(&signed))).await.unwrap();
        // One self-signed certificate for everything: as root it is a CA, and still shown as a client's.
        let itself = pair(ca.pem().as_bytes(), ca_key.serialize_pem().as_bytes());
        handshake(&options, version, Some(itself)).await.unwrap();
        handshake(&options, version, None).await.unwrap_err();
        handshake(&options, version, shown(&by_ca(&expired))).await.unwrap_err();
        handshake(&options, version, shown(&signed.self_signed(&key).unwrap().pem())).await.unwrap_err();
        handshake(&options, version, Some(pair(OLD, OLD_KEY))).await.unwrap_err();
        // The root's certificate is known to all, its key isn't.
        handshake(&options, version, shown(&ca.pem())).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_root_that_has_expired_is_no_client() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = date_time_ymd(2020, 1, 1);
    let ca = params.self_signed(&key).unwrap();
    let options = TlsOptions {
        client_auth: ClientAuth::RequireVerify,
        root_ca: Some(PemSource::Text(ca.pem().into_bytes())),
        ..options(EC, EC_KEY)
    };
    let shown = pair(ca.pem().as_bytes(), key.serialize_pem().as_bytes());
    handshake(&options, &TLS13, Some(shown)).await.unwrap_err();
}

#[test]
fn an_error_names_the_file_and_what_is_wrong_but_not_what_is_in_it() {
    let certs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certs/");
    let file = |name: &str| PemSource::File(format!("{certs}{name}").into());
    let good = TlsOptions { certificate: file("old.pem"), key: file("old.key"), ..options(OLD, OLD_KEY) };
    acceptor(&good).unwrap();
    let secret = String::from_utf8(EC_KEY.to_vec()).unwrap().replace("-----END EC PRIVATE KEY-----", "");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let text = |text: &str| PemSource::Text(text.as_bytes().to_vec());
    for (options, expected) in [
        (TlsOptions { key: file("none"), ..good.clone() }, "/none, the key: "),
        (TlsOptions { certificate: file("none"), ..good.clone() }, "/none, the certificate: "),
        (TlsOptions { key: file("ec.key"), ..good.clone() }, "/ec.key, the key: it is not the key of the certificate"),
        (TlsOptions { key: file("ec.pem"), ..good.clone() }, "/ec.pem, the key: it has no private key in PEM format"),
        (TlsOptions { certificate: file("ec.key"), ..good.clone() }, "the certificate: it has no certificate in PEM"),
        (TlsOptions { key: text(&secret), ..good.clone() }, "given as text, the key: it is no PEM"),
        (TlsOptions { certificate: text(&secret), ..good.clone() }, "given as text, the certificate: it is no PEM"),
        (TlsOptions { key: text(encrypted), ..good.clone() }, "the key: it is encrypted"),
        (TlsOptions { root_ca: Some(file("ec.key")), ..good.clone() }, "/ec.key, the root CA: it has no certificate"),
        (TlsOptions { client_auth: ClientAuth::RequireVerify, ..good.clone() }, "no root CA"),
    ] {
        let error = acceptor(&options).err().unwrap();
        let shown = format!("{error} {error:?} {options:?}");
        assert!(shown.contains(expected), "{expected:?} is not in {error}");
        assert!(!shown.contains("MHcCAQEE"), "{shown}");
    }
}

#[derive(Debug)]
struct TrustsEveryone;

impl ServerCertVerifier for TrustsEveryone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A client's certificate, of whatever kind, and whether the server has asked for one.
#[derive(Debug)]
struct Shows {
    certificate: Option<Arc<CertifiedKey>>,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certificate.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}
