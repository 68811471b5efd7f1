//! How the server's identity is checked, and the client's shown.

#[cfg(feature = "tls")]
use std::sync::Arc;

use rustls::ClientConfig;
#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;

use super::HttpError;
use super::address::BaseUrl;
#[cfg(feature = "tls")]
use crate::error::Error;
#[cfg(feature = "tls")]
use crate::tls::TlsConfig;
use crate::tls::{Fault, PROTOCOL_VERSIONS, Trust, client_config};

/// What the user said about certificates, not yet read.
#[derive(Default)]
pub(super) struct TlsOptions {
    ca_certificates: Option<Vec<u8>>,
    client_certificate: Option<(Vec<u8>, Vec<u8>)>,
    accept_invalid: bool,
    /// All of it in the words of connections to nsqd.
    #[cfg(feature = "tls")]
    whole: Option<TlsConfig>,
}

/// Options that were found usable.
pub(super) struct Prepared {
    pub(super) config: ClientConfig,
    pub(super) server_name: Option<String>,
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

    #[cfg(feature = "tls")]
    pub(super) fn set_whole(&mut self, tls: TlsConfig) {
        self.whole = Some(tls);
    }

    pub(super) fn prepare(&self, base: &BaseUrl) -> Result<Prepared, HttpError> {
        #[cfg(feature = "tls")]
        let whole = self.whole.as_ref().filter(|_| base.is_https());
        #[cfg(feature = "tls")]
        if let Some(tls) = whole {
            return prepare_whole(tls);
        }
        Ok(Prepared { config: self.client_config(base)?, server_name: None })
    }

    fn client_config(&self, base: &BaseUrl) -> Result<ClientConfig, HttpError> {
        let trust = match &self.ca_certificates {
            _ if self.accept_invalid => Trust::Anyone,
            Some(pem) => Trust::These(pem),
            None if base.is_https() => Trust::System,
            None => Trust::Nobody,
        };
        let client = self.client_certificate.as_ref().map(|(chain, key)| (&chain[..], &key[..]));
        let invalid = |option, reason| HttpError::InvalidOption { option, reason };
        let mut config = client_config(trust, client, PROTOCOL_VERSIONS).map_err(|fault| match fault {
            Fault::Trusted(reason) => invalid("ca_certificate_pem", reason),
            Fault::Certificate(reason) | Fault::Key(reason) => invalid("client_certificate_pem", reason),
            Fault::System(error) => HttpError::Setup { url: base.as_str().to_owned(), source: Box::new(error) },
        })?;
        if self.accept_invalid && base.is_https() {
            tracing::warn!(
                address = base.as_str(),
                "https takes any certificate for the server's (danger_accept_invalid_certs): \
                 anybody on the way can read and change everything"
            );
        }
        config.alpn_protocols = ALPN_PROTOCOLS.map(Vec::from).to_vec();
        Ok(config)
    }
}

#[cfg(feature = "tls")]
fn prepare_whole(tls: &TlsConfig) -> Result<Prepared, HttpError> {
    let invalid = |option, reason| HttpError::InvalidOption { option, reason };
    let prepared = tls.prepare().map_err(|error| match error {
        Error::Option { option, reason } => invalid(option, reason),
        other => invalid("tls", other.to_string()),
    })?;
    let server_name = match prepared.server_name {
        None => None,
        Some(ServerName::DnsName(name)) => Some(name.as_ref().to_owned()),
        Some(_) => {
            let reason = "over https the server is asked for by it: it has to be a name, not an IP address";
            return Err(invalid("tls.server_name", reason.to_owned()));
        }
    };
    let mut config = Arc::unwrap_or_clone(prepared.config);
    config.alpn_protocols = ALPN_PROTOCOLS.map(Vec::from).to_vec();
    Ok(Prepared { config, server_name })
}

const ALPN_PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];

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
