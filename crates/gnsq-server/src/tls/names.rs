//! How nsqd's statistics name what a connection uses.

use std::borrow::Cow;

use rustls::{CipherSuite, ProtocolVersion};

/// The `tls_version` of a connection.
pub(crate) fn version_name(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLS1.3",
        ProtocolVersion::TLSv1_2 => "TLS1.2",
        _ => "",
    }
}

/// The `tls_cipher_suite` of a connection. nsqd knows few names, none of TLS 1.3, and numbers the others.
pub(crate) fn cipher_suite_name(suite: CipherSuite) -> Cow<'static, str> {
    match suite {
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".into(),
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".into(),
        other => format!("Unknown {}", u16::from(other)).into(),
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring;

    use super::*;

    #[test]
    fn every_suite_is_named_as_nsqd_names_it() {
        let names: Vec<_> = ring::ALL_CIPHER_SUITES.iter().map(|suite| cipher_suite_name(suite.suite())).collect();
        assert_eq!(
            names,
            [
                "Unknown 4866",
                "Unknown 4865",
                "Unknown 4867",
                "Unknown 49196",
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                "Unknown 52393",
                "Unknown 49200",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "Unknown 52392",
            ]
        );
    }

    #[test]
    fn every_version_has_a_name() {
        for suite in ring::ALL_CIPHER_SUITES {
            assert!(version_name(suite.version().version).starts_with("TLS1."));
        }
    }
}
