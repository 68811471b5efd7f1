//! Why a server doesn't start.

use std::io;

use thiserror::Error;

use crate::listen::ListenAddress;

/// Why an embedded server doesn't start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// It can't listen where it was told to: most often because another server does already.
    #[error("can't listen on {address} for {protocol}: {source}; choose another address, or port 0 for a free one")]
    Listen {
        /// What is spoken there: `TCP`, `HTTP` or `HTTPS`.
        protocol: &'static str,
        /// Where.
        address: ListenAddress,
        /// What the system says.
        source: io::Error,
    },
}
