//! The options of TLS, put together.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, fs};

use gnsq::{TlsConfig, TlsVersion};

use super::ConnectionArgs;
use crate::exit::Failure;

/// The oldest version of TLS to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TlsMinVersion(TlsVersion);

/// How to check a server's identity and show one's own. The files are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Tls {
    ca: Option<Pem>,
    certificate: Option<Pem>,
    key: Option<Pem>,
    server_name: Option<String>,
    min_version: TlsVersion,
    pub(super) skip_verify: bool,
}

/// A file with certificates or a key.
#[derive(Clone)]
struct Pem {
    path: PathBuf,
    text: Vec<u8>,
}

impl Tls {
    /// Reads the files that the options name.
    pub(super) fn read(args: &ConnectionArgs) -> Result<Self, Failure> {
        if args.tls_key.is_some() && args.tls_cert.is_none() {
            return Err(Failure::usage("--tls-key needs --tls-cert, its certificate"));
        }
        let pem = |option, path: &Option<PathBuf>| path.as_ref().map(|path| Pem::read(option, path)).transpose();
        Ok(Self {
            ca: pem("--tls-ca-file", &args.tls_ca_file)?,
            certificate: pem("--tls-cert", &args.tls_cert)?,
            key: pem("--tls-key", &args.tls_key)?,
            server_name: args.tls_server_name.clone(),
            min_version: args.tls_min_version.map_or_else(TlsVersion::default, |TlsMinVersion(version)| version),
            skip_verify: args.tls_insecure_skip_verify.unwrap_or(false),
        })
    }

    /// For connections to nsqd.
    pub(super) fn config(&self) -> TlsConfig {
        let mut config = TlsConfig::new().min_version(self.min_version).danger_accept_invalid_certs(self.skip_verify);
        if let Some(ca) = &self.ca {
            config = config.ca_certificate_file(&ca.path);
        }
        if let Some(certificate) = &self.certificate {
            config = config.client_certificate_file(&certificate.path);
        }
        if let Some(key) = &self.key {
            config = config.client_key_file(&key.path);
        }
        if let Some(name) = &self.server_name {
            config = config.server_name(name);
        }
        config
    }

    /// The authorities that are trusted instead of the system's, as PEM.
    pub(super) fn ca_pem(&self) -> Option<&[u8]> {
        self.ca.as_ref().map(|ca| &*ca.text)
    }

    /// The certificate to show and its key, as PEM.
    pub(super) fn identity_pem(&self) -> Option<(&[u8], &[u8])> {
        let certificate = self.certificate.as_ref()?;
        Some((&certificate.text, &self.key.as_ref().unwrap_or(certificate).text))
    }

    /// Whether TLS is to be spoken with nsqd: whoever names an authority or a certificate means it.
    pub(super) fn is_wanted(args: &ConnectionArgs) -> bool {
        let named: [&Option<PathBuf>; 3] = [&args.tls_ca_file, &args.tls_cert, &args.tls_key];
        args.tls.unwrap_or_else(|| {
            named.into_iter().any(Option::is_some)
                || args.tls_server_name.is_some()
                || args.tls_min_version.is_some()
                || args.tls_insecure_skip_verify == Some(true)
        })
    }
}

impl Pem {
    fn read(option: &str, path: &Path) -> Result<Self, Failure> {
        let text = fs::read(path);
        let text = text.map_err(|error| Failure::usage(format!("{option}: can't read {}: {error}", path.display())))?;
        Ok(Self { path: path.to_owned(), text })
    }
}

/// What it has may be a key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

impl FromStr for TlsMinVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tls1.2" | "1.2" => Ok(Self(TlsVersion::Tls12)),
            "tls1.3" | "1.3" => Ok(Self(TlsVersion::Tls13)),
            _ => Err("give tls1.2 or tls1.3; older versions are not safe".to_owned()),
        }
    }
}
