//! How the server's identity is checked, and the client's shown.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

use super::HttpError;
use super::address::BaseUrl;

/// What the user said about certificates, not yet read.
#[derive(Default)]
pub(super) struct TlsOptions {
    ca_certificates: Option<Vec<u8>>,
    client_certificate: Option<(Vec<u8>, Vec<u8>)>,
    accept_invalid: bool,
}

impl TlsOptions {
    pub(super) fn add_ca_certificates(&mut self, pem: &[u8]) {
        let all = self.ca_certificates.get_or_insert_default();
        all.extend_from_slice(pem);
        all.push(b'\n');
    }

    pub(super) fn set_client_certificate(&mut self, chain: &[u8], key: &[u8]) {
        self.client_certificate = Some((chain.to_vec(), key.to_vec()));
    }

    pub(super) fn accept_invalid_certificates(&mut self, accept: bool) {
        self.accept_invalid = accept;
    }

    pub(super) fn client_config(&self, base: &BaseUrl) -> Result<ClientConfig, HttpError> {
        let setup = |error: rustls::Error| HttpError::Setup { url: base.as_str().to_owned(), source: Box::new(error) };
        // A provider that the program has chosen for the whole process (for FIPS, say) has precedence; setting one
        // is not a library's business.
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(setup)?;
        let builder = if self.accept_invalid {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else if let Some(pem) = &self.ca_certificates {
            builder.with_root_certificates(root_store(pem)?)
        } else if base.is_https() {
            builder.with_platform_verifier().map_err(setup)?
        } else {
            // Reading the system's certificates takes milliseconds, and `http` has no use for them.
            builder.with_root_certificates(RootCertStore::empty())
        };
        let mut config = match &self.client_certificate {
            Some((chain, key)) => {
                let chain = certificates("client_certificate_pem", chain)?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|_| invalid("client_certificate_pem", "it has no private key"))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| invalid("client_certificate_pem", &error.to_string()))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Whether the server tells that it does not take the client's certificate, or that there is none.
///
/// In TLS 1.3 the client learns this only after it has sent its request, which the server then has not read.
pub(super) fn is_refusal_of_client(error: &rustls::Error) -> bool {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked, CertificateUnknown,
        UnknownCA, UnsupportedCertificate,
    };
    matches!(
        error,
        rustls::Error::AlertReceived(
            AccessDenied
                | BadCertificate
                | CertificateExpired
                | CertificateRequired
                | CertificateRevoked
                | CertificateUnknown
                | UnknownCA
                | UnsupportedCertificate
        )
    )
}

fn root_store(pem: &[u8]) -> Result<RootCertStore, HttpError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca_certificate_pem", pem)? {
        roots.add(certificate).map_err(|error| invalid("ca_certificate_pem", &error.to_string()))?;
    }
    Ok(roots)
}

fn certificates(option: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| invalid(option, &error.to_string()))?;
    if certificates.is_empty() {
        return Err(invalid(option, "it has no certificate in PEM format"));
    }
    Ok(certificates)
}

fn invalid(option: &'static str, reason: &str) -> HttpError {
    HttpError::InvalidOption { option, reason: reason.to_owned() }
}

/// Takes any certificate, of which the server must still have the key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use crate::http::{HttpError, NsqdHttpClient};

    #[test]
    fn https_is_set_up_from_the_systems_certificates() {
        assert_eq!(NsqdHttpClient::new("https://nsqd.internal").unwrap().address(), "https://nsqd.internal/");
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for pem in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = NsqdHttpClient::builder("https://host").ca_certificate_pem(pem).build().unwrap_err();
            assert!(matches!(error, HttpError::InvalidOption { option: "ca_certificate_pem", .. }), "{error}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_is_not_shown() {
        let builder = NsqdHttpClient::builder("https://host").client_certificate_pem("", "secret");
        assert!(!format!("{builder:?}").contains("secret"));
        let error = builder.build().unwrap_err();
        assert!(matches!(error, HttpError::InvalidOption { option: "client_certificate_pem", .. }));
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
