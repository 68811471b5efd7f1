//! Why a server doesn't start.

use std::io;

use thiserror::Error;

use crate::listen::ListenAddress;
use crate::tls::TlsError;

/// Why an nsqd or nsqlookupd could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// It can't listen where it was told to.
    #[error("can't listen on {address} ({what}): {source}")]
    Listen {
        /// Which of its addresses: `TCP`, `HTTP` or `HTTPS`.
        what: &'static str,
        /// Where it should listen.
        address: ListenAddress,
        /// What the system says.
        source: io::Error,
    },
    /// An option has a value that can't be.
    #[error("{option}: {reason}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// TLS can't be offered with these files.
    #[error(transparent)]
    Tls(#[from] TlsError),
}
