//! The options of TLS, put together.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::ConnectionArgs;
use crate::exit::Failure;

/// The oldest version of TLS to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum TlsMinVersion {
    #[default]
    Tls12,
    Tls13,
}

/// How to check a server's identity and show one's own. The files are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    pub(crate) ca: Option<Vec<u8>>,
    pub(crate) identity: Option<Identity>,
    pub(crate) server_name: Option<String>,
    pub(crate) min_version: TlsMinVersion,
    pub(crate) skip_verify: bool,
}

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl Tls {
    /// Reads the files that the options name.
    pub(super) fn read(args: &ConnectionArgs) -> Result<Self, Failure> {
        let identity = match (&args.tls_cert, &args.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Identity { certificate: read("--tls-cert", certificate)?, key: read("--tls-key", key)? })
            }
            (None, None) => None,
            (Some(_), None) => return Err(Failure::usage("--tls-cert needs --tls-key, its private key")),
            (None, Some(_)) => return Err(Failure::usage("--tls-key needs --tls-cert, its certificate")),
        };
        Ok(Self {
            ca: args.tls_ca_file.as_deref().map(|path| read("--tls-ca-file", path)).transpose()?,
            identity,
            server_name: args.tls_server_name.clone(),
            min_version: args.tls_min_version.unwrap_or_default(),
            skip_verify: args.tls_insecure_skip_verify.unwrap_or(false),
        })
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

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl FromStr for TlsMinVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tls1.2" | "1.2" => Ok(Self::Tls12),
            "tls1.3" | "1.3" => Ok(Self::Tls13),
            _ => Err("give tls1.2 or tls1.3; older versions are not safe".to_owned()),
        }
    }
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::usage(format!("{option}: can't read {}: {error}", path.display())))
}
