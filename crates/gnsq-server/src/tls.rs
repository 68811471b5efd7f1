//! TLS as a server offers it.

mod acceptor;
mod certificate;
mod client_auth;
mod names;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use self::acceptor::TlsError;
pub(crate) use self::{
    acceptor::acceptor,
    certificate::common_name,
    names::{cipher_suite_name, version_name},
};

/// How an nsqd offers TLS.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    /// The server's certificate chain: PEM. It is not judged: whoever runs the server vouches for it.
    pub certificate: PemSource,
    /// Its key: PEM, as PKCS#1, PKCS#8 or SEC1.
    pub key: PemSource,
    /// Who signs clients' certificates, for [`ClientAuth::RequireVerify`]. Without a policy clients are asked for nothing.
    pub root_ca: Option<PemSource>,
    /// Which certificate a client must show. Default: none.
    pub client_auth: ClientAuth,
    /// Who may go without TLS. Default: everyone.
    pub required: TlsRequired,
    /// The oldest version that is spoken. Default: 1.2, the oldest there is here.
    pub min_version: TlsVersion,
}

impl TlsOptions {
    /// Who has to use TLS: everyone, also of HTTP, where clients must show a certificate and nothing else is said.
    pub(crate) fn effective_required(&self) -> TlsRequired {
        match (self.required, self.client_auth) {
            (TlsRequired::No, ClientAuth::Require | ClientAuth::RequireVerify) => TlsRequired::All,
            (required, _) => required,
        }
    }
}

/// PEM text, or the file that has it.
#[derive(Clone)]
pub enum PemSource {
    /// A file, read at the start.
    File(PathBuf),
    /// The text itself.
    Text(Vec<u8>),
}

/// nsqd's `--tls-client-auth-policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// None.
    #[default]
    None,
    /// Any certificate, of which the client has the key: `require`.
    Require,
    /// One that leads to [`TlsOptions::root_ca`]: `require-verify`.
    RequireVerify,
}

/// nsqd's `--tls-required`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsRequired {
    /// Nobody has to use TLS: `false`.
    #[default]
    No,
    /// Clients of the TCP protocol have to: `tcp-https`.
    TcpHttps,
    /// Those of HTTP too: `true`.
    All,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl std::fmt::Debug for PemSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Text(_) => f.write_str("PEM"),
        }
    }
}
