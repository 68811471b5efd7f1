//! From the options to what makes a TLS stream of a client's connection.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use super::certificate::subject_public_key_info;
use super::client_auth::{AnyClient, TrustedClient};
use super::{ClientAuth, PemSource, TlsOptions, TlsVersion};

/// Why TLS can't be offered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read.
    #[error("can't read {path}, the {what}: {source}")]
    Read {
        /// What it is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file or a text is not what it should be.
    #[error("can't use {place}, the {what}: {reason}")]
    Invalid {
        /// What it is for.
        what: &'static str,
        /// The file, or that it was given as text.
        place: String,
        /// Why.
        reason: String,
    },
    /// Clients' certificates can't be verified.
    #[error(
        "clients' certificates are to be verified (require-verify), but there is no root CA to verify them against"
    )]
    NoRootCa,
    /// The options don't go together.
    #[error("TLS can't be set up: {0}")]
    Setup(rustls::Error),
}

pub(crate) fn acceptor(options: &TlsOptions) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let certificate = own_certificate(options, &provider)?;
    let versions: &[_] = match options.min_version {
        TlsVersion::Tls12 => &[&TLS12, &TLS13],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(TlsError::Setup)?
        .with_client_cert_verifier(client_verifier(options, &provider)?)
        // `with_single_cert` would refuse a certificate that is old in its form.
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
    Ok(Arc::new(config).into())
}

fn own_certificate(options: &TlsOptions, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = certificates("certificate", &options.certificate)?;
    let what = "key";
    let pem = options.key.read(what)?;
    let invalid = |reason: String| options.key.invalid(what, reason);
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        pem::Error::NoItemsFound if pem.windows(ENCRYPTED.len()).any(|text| text == ENCRYPTED) => {
            invalid("it is encrypted, and nobody is there to ask for its passphrase".to_owned())
        }
        pem::Error::NoItemsFound => invalid("it has no private key in PEM format".to_owned()),
        // Other errors may quote the file.
        _ => invalid("it is no PEM".to_owned()),
    })?;
    let key = provider.key_provider.load_private_key(key).map_err(|_| {
        invalid("it is no RSA key from 2048 bits, ECDSA key of P-256 or P-384, or Ed25519 key".to_owned())
    })?;
    if let (Some(own), Some(certified)) = (key.public_key(), subject_public_key_info(&chain[0]))
        && *own != *certified
    {
        return Err(invalid("it is not the key of the certificate".to_owned()));
    }
    Ok(CertifiedKey::new(chain, key))
}

fn client_verifier(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let what = "root CA";
    // One that can't be used is a mistake, also where nobody asks for it.
    let trusted = options.root_ca.as_ref().map(|source| certificates(what, source)).transpose()?;
    match options.client_auth {
        ClientAuth::None => Ok(Arc::new(NoClientAuth)),
        ClientAuth::Require => Ok(Arc::new(AnyClient::new(provider))),
        ClientAuth::RequireVerify => {
            let (Some(trusted), Some(source)) = (trusted, &options.root_ca) else { return Err(TlsError::NoRootCa) };
            let invalid = |reason: String| source.invalid(what, reason);
            let mut roots = RootCertStore::empty();
            for certificate in &trusted {
                roots.add(certificate.clone()).map_err(|error| invalid(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| invalid(error.to_string()))?;
            Ok(Arc::new(TrustedClient::new(verifier, trusted)))
        }
    }
}

fn certificates(what: &'static str, source: &PemSource) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = source.read(what)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        // What is wrong may quote the file, which may be the key's by mistake.
        .map_err(|_| source.invalid(what, "it is no PEM".to_owned()))?;
    if certificates.is_empty() {
        return Err(source.invalid(what, "it has no certificate in PEM format".to_owned()));
    }
    Ok(certificates)
}

impl PemSource {
    fn read(&self, what: &'static str) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::File(path) => fs::read(path).map_err(|source| TlsError::Read { what, path: path.clone(), source }),
            Self::Text(text) => Ok(text.clone()),
        }
    }

    fn invalid(&self, what: &'static str, reason: String) -> TlsError {
        let place = match self {
            Self::File(path) => path.display().to_string(),
            Self::Text(_) => "what was given as text".to_owned(),
        };
        TlsError::Invalid { what, place, reason }
    }
}

const ENCRYPTED: &[u8] = b"ENCRYPTED";
