//! The HTTP client with which an nsqd asks its neighbours.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use thiserror::Error;

/// Why there is no client.
#[derive(Debug, Error)]
#[error("can't set up an HTTP client: {0}")]
pub(crate) struct ClientError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// A client that goes nowhere by a proxy: auth servers and nsqlookupds are neighbours.
///
/// `https`: whether it will ever be needed. Whom the system trusts is trusted then.
pub(crate) fn client(connect_timeout: Duration, timeout: Duration, https: bool) -> Result<Client, ClientError> {
    let builder = Client::builder().connect_timeout(connect_timeout).timeout(timeout).no_proxy();
    // Whatever else in the program has turned on, reqwest has to be told how to speak TLS, or it panics.
    let tls = tls(https).map_err(|error| ClientError(error.into()))?;
    builder.tls_backend_preconfigured(tls).build().map_err(|error| ClientError(error.into()))
}

fn tls(https: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    // Reading the system's certificates takes milliseconds.
    let builder =
        if https { builder.with_platform_verifier()? } else { builder.with_root_certificates(RootCertStore::empty()) };
    Ok(builder.with_no_client_auth())
}
