//! The options of TLS.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;

use super::setup::{Fault, PROTOCOL_VERSIONS, Trust, client_config};
use crate::error::{Error, Result};

/// How a connection to an nsqd is encrypted, and who must be at its other end.
///
/// By default the server's certificate must be valid for the host in nsqd's address, and lead to an authority that the
/// system trusts.
///
/// ```
/// use gnsq::{ConnectionConfig, TlsConfig};
///
/// let tls = TlsConfig::new()
///     .ca_certificate_file("/etc/nsq/ca.pem")
///     .client_certificate_file("/etc/nsq/client.pem")
///     .client_key_file("/etc/nsq/client.key");
/// let config = ConnectionConfig::new().tls(tls);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it does nothing until given to a connection's options"]
pub struct TlsConfig {
    trusted: Vec<Pem>,
    certificate: Option<Pem>,
    key: Option<Pem>,
    server_name: Option<String>,
    min_version: TlsVersion,
    accept_invalid: bool,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsConfig {
    /// The defaults, each named at its method.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities in this PEM file instead of those that the system trusts. Several add up. A certificate
    /// that signed itself is its own authority.
    pub fn ca_certificate_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.trusted.push(Pem::file("tls.ca_certificate_file", path));
        self
    }

    /// As [`ca_certificate_file`](Self::ca_certificate_file), with what the file would have.
    pub fn ca_certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.trusted.push(Pem::text("tls.ca_certificate_pem", pem));
        self
    }

    /// Shows the certificate in this PEM file (with those between it and its authority behind it) to an nsqd that asks for
    /// one, as with `--tls-client-auth-policy`. Its key is looked for in the same file unless it is given. Default: none.
    pub fn client_certificate_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificate = Some(Pem::file("tls.client_certificate_file", path));
        self
    }

    /// As [`client_certificate_file`](Self::client_certificate_file), with what the file would have.
    pub fn client_certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificate = Some(Pem::text("tls.client_certificate_pem", pem));
        self
    }

    /// The PEM file with the private key of the client's certificate. It must not be encrypted.
    pub fn client_key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key = Some(Pem::file("tls.client_key_file", path));
        self
    }

    /// As [`client_key_file`](Self::client_key_file), with what the file would have. It is shown nowhere.
    pub fn client_key_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.key = Some(Pem::text("tls.client_key_pem", pem));
        self
    }

    /// The name or IP address that the server's certificate must be valid for. Default: the host in nsqd's address, which
    /// of a discovered nsqd is its `--broadcast-address`. An nsqd at a unix socket has none: give it here.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The oldest version that is spoken. Default: 1.2, the oldest there is here.
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Takes any certificate for the server's, so that anybody on the way can read and change everything, and learns the
    /// secret of AUTH. Only for trying things out; the log warns of it. Default: false.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.accept_invalid = accept;
        self
    }

    /// Reads the files.
    pub(crate) fn prepare(&self) -> Result<Prepared> {
        let server_name = match &self.server_name {
            Some(name) => match ServerName::try_from(name.clone()) {
                Ok(name) => Some(name),
                Err(_) => {
                    return Err(refuse("tls.server_name", format!("{name:?} is neither a name nor an IP address")));
                }
            },
            None => None,
        };
        let mut trusted = Vec::new();
        for pem in &self.trusted {
            trusted.extend_from_slice(&pem.read()?);
            trusted.push(b'\n');
        }
        let trust = match self.trusted.first() {
            _ if self.accept_invalid => Trust::Anyone,
            Some(_) => Trust::These(&trusted),
            None => Trust::System,
        };
        let client = match (&self.certificate, &self.key) {
            (Some(certificate), key) => Some((certificate.read()?, key.as_ref().unwrap_or(certificate).read()?)),
            (None, None) => None,
            (None, Some(key)) => {
                return Err(refuse(key.option, "a key is of no use without the client's certificate".to_owned()));
            }
        };
        let client = client.as_ref().map(|(certificate, key)| (&certificate[..], &key[..]));
        let versions = match self.min_version {
            TlsVersion::Tls12 => PROTOCOL_VERSIONS,
            TlsVersion::Tls13 => &[&TLS13],
        };
        let config = client_config(trust, client, versions).map_err(|fault| {
            let option = |pem: Option<&Pem>| pem.map_or("tls", |pem| pem.option);
            match fault {
                Fault::Trusted(reason) => refuse(option(self.trusted.first()), reason),
                Fault::Certificate(reason) => refuse(option(self.certificate.as_ref()), reason),
                Fault::Key(reason) => refuse(option(self.key.as_ref().or(self.certificate.as_ref())), reason),
                Fault::System(error) => refuse(
                    "tls",
                    format!("the system's certificates can't be used: {error}; name others (ca_certificate_file)"),
                ),
            }
        })?;
        if self.accept_invalid {
            tracing::warn!(
                "TLS takes any certificate for the server's (danger_accept_invalid_certs): \
                 anybody on the way can read and change everything"
            );
        }
        Ok(Prepared { config: Arc::new(config), server_name })
    }
}

/// Options that were found usable.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) server_name: Option<ServerName<'static>>,
}

/// PEM text or where it is, and the option by which it was given.
#[derive(Clone)]
struct Pem {
    option: &'static str,
    source: Source,
}

#[derive(Clone)]
enum Source {
    File(PathBuf),
    Text(Vec<u8>),
}

impl Pem {
    fn file(option: &'static str, path: impl Into<PathBuf>) -> Self {
        Self { option, source: Source::File(path.into()) }
    }

    fn text(option: &'static str, pem: impl Into<Vec<u8>>) -> Self {
        Self { option, source: Source::Text(pem.into()) }
    }

    fn read(&self) -> Result<Vec<u8>> {
        match &self.source {
            Source::File(path) => std::fs::read(path)
                .map_err(|error| refuse(self.option, format!("can't read {}: {error}", path.display()))),
            Source::Text(pem) => Ok(pem.clone()),
        }
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options say it more briefly.
        f.write_str("Prepared")
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File(path) => path.fmt(f),
            // It may be a key.
            Source::Text(_) => f.write_str("PEM"),
        }
    }
}

fn refuse(option: &'static str, reason: String) -> Error {
    Error::Option { option, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GARBAGE: &str = "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n";

    fn pair() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn an_error_names_the_option_and_shows_no_key() {
        let tls = TlsConfig::new;
        let (certificate, key) = pair();
        let (other, _) = pair();
        for (wrong, option, reason) in [
            (tls().ca_certificate_file("/no/ca.pem"), "tls.ca_certificate_file", "can't read /no/ca.pem"),
            (tls().ca_certificate_pem("secret"), "tls.ca_certificate_pem", "no certificate"),
            (tls().ca_certificate_pem(GARBAGE), "tls.ca_certificate_pem", "invalid"),
            (tls().client_certificate_file("/no/c.pem"), "tls.client_certificate_file", "can't read /no/c.pem"),
            (tls().client_certificate_pem("secret").client_key_pem(&*key), "tls.client_certificate_pem", "no certif"),
            (tls().client_certificate_pem(&*certificate), "tls.client_certificate_pem", "no private key"),
            (tls().client_certificate_pem(&*certificate).client_key_pem("secret"), "tls.client_key_pem", "no private"),
            (tls().client_certificate_pem(&*certificate).client_key_file("/no/k"), "tls.client_key_file", "can't read"),
            (tls().client_certificate_pem(&*other).client_key_pem(&*key), "tls.client_key_pem", "is not the key of"),
            (tls().client_key_pem("secret"), "tls.client_key_pem", "without the client's certificate"),
            (tls().server_name("a b"), "tls.server_name", "neither a name"),
        ] {
            let error = wrong.prepare().unwrap_err().to_string();
            assert!(error.starts_with(&format!("option {option}: ")) && error.contains(reason), "{error}");
            let shown = format!("{error} {wrong:?}");
            assert!(!shown.contains("secret") && !shown.contains("c2Vjcm") && !shown.contains("PRIVATE"), "{shown}");
        }
    }

    #[test]
    fn a_key_may_stand_with_its_certificate() {
        let (certificate, key) = pair();
        let tls = TlsConfig::new().ca_certificate_pem(&*certificate).client_certificate_pem(certificate + &key);
        tls.prepare().unwrap();
    }

    #[test]
    fn the_systems_certificates_are_the_default() {
        let prepared = TlsConfig::new().server_name("nsqd.internal").min_version(TlsVersion::Tls13).prepare().unwrap();
        assert_eq!(prepared.server_name, Some(ServerName::try_from("nsqd.internal").unwrap()));
    }
}
