//! How a connection's bytes travel.

use std::path::Path;

use gnsq::{ConnectionConfig, TlsConfig};

#[derive(Debug, Clone, Copy)]
pub(super) enum Layer {
    Plain,
    Snappy,
    Deflate1,
    Deflate6,
    Tls,
    TlsSnappy,
    TlsDeflate6,
}

impl Layer {
    pub(super) const ALL: [Self; 7] =
        [Self::Plain, Self::Snappy, Self::Deflate1, Self::Deflate6, Self::Tls, Self::TlsSnappy, Self::TlsDeflate6];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Snappy => "snappy",
            Self::Deflate1 => "deflate-1",
            Self::Deflate6 => "deflate-6",
            Self::Tls => "tls",
            Self::TlsSnappy => "tls+snappy",
            Self::TlsDeflate6 => "tls+deflate-6",
        }
    }

    /// `authority`: the file with the certificate to trust.
    pub(super) fn config(self, authority: &Path) -> ConnectionConfig {
        let plain = ConnectionConfig::new();
        let tls = || TlsConfig::new().ca_certificate_file(authority);
        match self {
            Self::Plain => plain,
            Self::Snappy => plain.snappy(true),
            Self::Deflate1 => plain.deflate(1),
            Self::Deflate6 => plain.deflate(6),
            Self::Tls => plain.tls(tls()),
            Self::TlsSnappy => plain.tls(tls()).snappy(true),
            Self::TlsDeflate6 => plain.tls(tls()).deflate(6),
        }
    }
}
