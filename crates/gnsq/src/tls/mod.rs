//! TLS as a client speaks it: whom it trusts, and what it shows of itself.

#[cfg(feature = "tls")]
mod config;
mod setup;
mod verifier;

use rustls::AlertDescription;

#[cfg(feature = "tls")]
pub(crate) use self::config::Prepared;
#[cfg(feature = "tls")]
pub use self::config::{TlsConfig, TlsVersion};
#[cfg(feature = "http")]
pub(crate) use self::setup::{Fault, PROTOCOL_VERSIONS, Trust, client_config};

/// Whether the server tells that it does not take the client's certificate, or that there is none.
///
/// In TLS 1.3 the client learns this only after it has sent its first bytes, which the server then has not read.
pub(crate) fn is_refusal_of_client(error: &rustls::Error) -> bool {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked, CertificateUnknown,
        UnknownCA, UnsupportedCertificate,
    };
    matches!(
        error,
        rustls::Error::AlertReceived(
            AccessDenied
                | BadCertificate
                | CertificateExpired
                | CertificateRequired
                | CertificateRevoked
                | CertificateUnknown
                | UnknownCA
                | UnsupportedCertificate
        )
    )
}

/// What to do about an error, behind its text.
#[cfg(feature = "tls")]
pub(crate) fn advice(error: &std::io::Error) -> &'static str {
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, Other, UnknownIssuer,
    };
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};

    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else { return "" };
    match error {
        // The second one when another authority of the same name is trusted.
        InvalidCertificate(UnknownIssuer | BadSignature) => {
            ": nothing that is trusted here has signed its certificate; give its authority (ca_certificate_file)"
        }
        // Most often one that signed itself, and calls itself an authority.
        InvalidCertificate(Other(_)) => ": if it is its own authority, give it as one (ca_certificate_file)",
        InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            ": its certificate is for another name; connect to that one, or name it (server_name)"
        }
        InvalidCertificate(Expired | ExpiredContext { .. }) => ": its certificate has to be renewed",
        InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            ": its certificate's time has not begun; compare the clocks of both sides"
        }
        AlertReceived(AlertDescription::CertificateRequired) => {
            ": it wants a certificate of this client (client_certificate_file)"
        }
        refused if is_refusal_of_client(refused) => ": it doesn't take this client's certificate",
        InvalidMessage(_) => ": what came is not TLS",
        _ => "",
    }
}
