//! From certificates and keys in PEM format to what rustls takes.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore, SupportedProtocolVersion};
use rustls_platform_verifier::BuilderVerifierExt;

use super::verifier::{Anyone, OwnRoots};

/// Whose certificates are taken.
#[derive(Clone, Copy)]
pub(crate) enum Trust<'a> {
    /// Those that the system trusts.
    System,
    /// Those that lead to these, in PEM format, or are one of these.
    These(&'a [u8]),
    /// Everyone's.
    Anyone,
    /// Nobody's: TLS won't be spoken, and to read the system's certificates takes milliseconds.
    #[cfg(feature = "http")]
    Nobody,
}

/// What can't be used, and why.
pub(crate) enum Fault {
    /// The certificates to trust.
    Trusted(String),
    /// The client's certificate.
    Certificate(String),
    /// The client's key.
    Key(String),
    /// What the system has.
    System(rustls::Error),
}

/// `client`: its certificate, with those between it and its authority, and its private key, in PEM format.
pub(crate) fn client_config(
    trust: Trust<'_>,
    client: Option<(&[u8], &[u8])>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, Fault> {
    // A provider that the program has chosen for the whole process (for FIPS, say) has precedence; setting one
    // is not a library's business.
    let provider =
        CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(Fault::System)?;
    let builder = match trust {
        Trust::System => builder.with_platform_verifier().map_err(Fault::System)?,
        Trust::These(pem) => builder.dangerous().with_custom_certificate_verifier(Arc::new(own_roots(pem, &provider)?)),
        Trust::Anyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider.clone()))),
        #[cfg(feature = "http")]
        Trust::Nobody => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(match client {
        Some((chain, key)) => {
            let shown = client_certificate(chain, key, &provider)?;
            // `with_client_auth_cert` would refuse a certificate that is old in its form, which the server may take.
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
        }
        None => builder.with_no_client_auth(),
    })
}

fn own_roots(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<OwnRoots, Fault> {
    let trusted = certificates(pem).map_err(Fault::Trusted)?;
    let mut roots = RootCertStore::empty();
    for certificate in &trusted {
        roots.add(certificate.clone()).map_err(|error| Fault::Trusted(error.to_string()))?;
    }
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| Fault::Trusted(error.to_string()))?;
    Ok(OwnRoots::new(chains, trusted))
}

fn client_certificate(chain: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<CertifiedKey, Fault> {
    let chain = certificates(chain).map_err(Fault::Certificate)?;
    // What is wrong isn't told in rustls's words: they may quote the key.
    let no_key = |_| Fault::Key("it has no private key in PEM format, or an encrypted one".to_owned());
    let key = PrivateKeyDer::from_pem_slice(key).map_err(no_key)?;
    let key = provider.key_provider.load_private_key(key).map_err(|error| Fault::Key(error.to_string()))?;
    let shown = CertifiedKey::new(chain, key);
    if shown.keys_match() == Err(InconsistentKeys::KeyMismatch.into()) {
        return Err(Fault::Key("it is not the key of the client's certificate".to_owned()));
    }
    Ok(shown)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| "it is no PEM".to_owned())?;
    if certificates.is_empty() {
        return Err("it has no certificate in PEM format".to_owned());
    }
    Ok(certificates)
}

/// Those that rustls speaks.
pub(crate) const PROTOCOL_VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
