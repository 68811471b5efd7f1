//! A peer whose TLS is as a test wants it.

use std::net::SocketAddr;
use std::sync::Arc;

use gnsq_testkit::identify_reply;
use rustls::ServerConfig;
use rustls::SupportedProtocolVersion;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::Identity;
use super::common::within;

/// Speaks NSQ up to TLS, then TLS of some versions.
pub(crate) struct TlsPeer {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

/// What stands before an HTTP server that speaks no TLS.
pub(crate) struct TlsFront {
    pub(crate) address: SocketAddr,
    task: AbortHandle,
}

/// Whom the server takes: everyone, or who shows a certificate of this authority.
pub(crate) fn acceptor(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&str>,
) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    Arc::new(builder.with_single_cert(chain, key).unwrap()).into()
}

impl TlsPeer {
    pub(crate) async fn bind(identity: &Identity, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: acceptor(identity, versions, None) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Accepts a connection and answers IDENTIFY: what comes next is TLS.
    pub(crate) async fn accept(&self) -> TcpStream {
        let (mut socket, _) = within(self.listener.accept()).await.unwrap();
        let mut hello = [0; 4 + 9];
        within(socket.read_exact(&mut hello)).await.unwrap();
        assert_eq!(&hello, b"  V2IDENTIFY\n");
        let length = within(socket.read_u32()).await.unwrap();
        within(socket.read_exact(&mut vec![0; length as usize])).await.unwrap();
        let mut reply = identify_reply();
        reply["tls_v1"] = true.into();
        socket.write_all(&response(&reply.to_string())).await.unwrap();
        socket
    }

    /// Goes through the handshake, and confirms it.
    pub(crate) async fn upgrade(&self, socket: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let mut stream = within(self.acceptor.accept(socket)).await?;
        stream.write_all(&response("OK")).await?;
        stream.flush().await?;
        Ok(stream)
    }
}

impl TlsFront {
    pub(crate) async fn before(server: SocketAddr, acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that is refused, or refuses, has nothing to be told.
                    if let (Ok(mut client), Ok(mut server)) =
                        (acceptor.accept(socket).await, TcpStream::connect(server).await)
                    {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { address, task: task.abort_handle() }
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The frame of a response.
pub(crate) fn response(data: &str) -> Vec<u8> {
    let size = u32::try_from(data.len() + 4).unwrap();
    [&size.to_be_bytes()[..], &[0; 4], data.as_bytes()].concat()
}
