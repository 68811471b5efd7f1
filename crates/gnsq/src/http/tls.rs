//! How the server's identity is checked, and the client's shown.

use rustls::ClientConfig;

use super::HttpError;
use super::address::BaseUrl;
use crate::tls::{Fault, PROTOCOL_VERSIONS, Trust, client_config};

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
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
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
