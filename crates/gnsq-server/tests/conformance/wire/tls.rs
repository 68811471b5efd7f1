//! TLS, without caring whose certificate the server shows.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Socket;
use crate::certificates::Certificate;

/// How a client goes through the handshake.
#[derive(Clone, Copy)]
pub(crate) struct TlsClient<'a> {
    /// The only version it speaks.
    pub(crate) version: &'static SupportedProtocolVersion,
    /// What it shows if it is asked.
    pub(crate) certificate: Option<&'a Certificate>,
}

impl TlsClient<'_> {
    /// Shows nothing.
    pub(crate) const ANONYMOUS: Self = Self { version: &rustls::version::TLS13, certificate: None };

    pub(crate) async fn handshake(self, socket: Box<dyn Socket>) -> std::io::Result<Box<dyn Socket>> {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(self.config())).connect(name, socket).await?;
        Ok(Box::new(stream))
    }

    /// A connection to a port that speaks TLS from the start.
    pub(crate) async fn connect(self, address: SocketAddr) -> std::io::Result<Box<dyn Socket>> {
        self.handshake(Box::new(TcpStream::connect(address).await?)).await
    }

    fn config(self) -> ClientConfig {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[self.version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
        match self.certificate {
            Some(Certificate { chain, key, .. }) => {
                let key = PrivateKeyDer::try_from(key.clone()).unwrap();
                config.with_client_auth_cert(vec![CertificateDer::from(chain.clone())], key).unwrap()
            }
            None => config.with_no_client_auth(),
        }
    }
}

/// Takes any certificate, of which the server has the key.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
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
