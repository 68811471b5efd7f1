//! What a connection changes into after IDENTIFY, step by step.

use std::collections::VecDeque;

use super::error::ConnectionError;
use crate::identify::{IdentifyRequest, IdentifyResponse};

/// A change of how bytes travel from here on, in both directions. nsqd sends `OK` as the first frame after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// The TLS handshake begins.
    Tls,
    /// Snappy's framing format.
    Snappy,
    /// Raw deflate at this level.
    Deflate {
        /// 1 to 9.
        level: i32,
    },
}

impl Upgrade {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tls => "the upgrade to TLS",
            Self::Snappy => "the upgrade to snappy",
            Self::Deflate { .. } => "the upgrade to deflate",
        }
    }
}

/// The steps to take, in NSQ's order: TLS, then snappy or deflate. Compression that the server declines is done
/// without; its reply tells.
///
/// # Errors
///
/// When the server declines TLS: going on in clear text would be weaker than what was asked for.
pub(super) fn steps(
    request: &IdentifyRequest,
    response: &IdentifyResponse,
) -> Result<VecDeque<Upgrade>, ConnectionError> {
    let mut steps = VecDeque::new();
    if request.tls_v1 {
        if !response.tls_v1 {
            return Err(ConnectionError::Declined("tls_v1"));
        }
        steps.push_back(Upgrade::Tls);
    }
    if request.snappy && response.snappy {
        steps.push_back(Upgrade::Snappy);
    }
    if request.deflate && response.deflate {
        steps.push_back(Upgrade::Deflate { level: response.deflate_level });
    }
    Ok(steps)
}
