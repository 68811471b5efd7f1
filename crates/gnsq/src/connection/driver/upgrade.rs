//! Changes how bytes travel, as IDENTIFY has agreed.

use std::time::Instant;

#[cfg(any(feature = "snappy", feature = "deflate"))]
use gnsq_proto::compress::Codec;
use gnsq_proto::connection::{ConnectionError, Upgrade};

use super::Driver;
use crate::error::Error;

impl Driver {
    pub(super) fn upgrade(&mut self, upgrade: Upgrade, now: Instant) -> Result<(), Error> {
        tracing::debug!(nsqd = %self.handle.address(), ?upgrade, "upgrading");
        self.change_stream(upgrade)?;
        if self.stream.is_shaking_hands() {
            self.handshake_until = Some(now + self.handle.shared().config.connect_timeout);
        }
        self.protocol.upgraded();
        Ok(())
    }

    fn change_stream(&mut self, upgrade: Upgrade) -> Result<(), Error> {
        match upgrade {
            #[cfg(feature = "tls")]
            Upgrade::Tls => self.start_tls(),
            #[cfg(feature = "snappy")]
            Upgrade::Snappy => {
                self.stream.start_compression(Codec::snappy(), self.protocol.input().split());
                Ok(())
            }
            #[cfg(feature = "deflate")]
            Upgrade::Deflate { level } => {
                self.stream.start_compression(Codec::deflate(level), self.protocol.input().split());
                Ok(())
            }
            // Asked for only by the feature that makes it.
            #[allow(unreachable_patterns, reason = "reachable without one of the features")]
            _ => Err(self.protocol_error(ConnectionError::Declined("plain text"))),
        }
    }

    #[cfg(feature = "tls")]
    fn start_tls(&mut self) -> Result<(), Error> {
        use std::io;

        use rustls::pki_types::ServerName;

        use crate::address::Kind;

        let config = &self.handle.shared().config;
        let Some(tls) = &config.security.prepared_tls else {
            return Err(self.protocol_error(ConnectionError::Declined("plain text")));
        };
        let name = match (&tls.server_name, self.handle.address().kind()) {
            (Some(name), _) => Ok(name.clone()),
            (None, Kind::Tcp { host, .. }) => ServerName::try_from(host.clone())
                .map_err(|_| format!("a certificate can't be for {host:?}: name the server (server_name)")),
            (None, Kind::Unix(_)) => Err("a unix socket has no name: name the server (server_name)".to_owned()),
        };
        let name = name.map_err(|reason| self.io_error(io::Error::new(io::ErrorKind::InvalidInput, reason)))?;
        self.stream.start_tls(tls.config.clone(), name);
        Ok(())
    }

    /// A server that stops in the middle of a handshake isn't waited for as long as one that works.
    pub(super) fn check_handshake(&mut self, now: Instant) -> Result<(), Error> {
        if !self.stream.is_shaking_hands() {
            self.handshake_until = None;
        }
        if self.handshake_until.is_some_and(|until| until <= now) {
            let timeout = self.handle.shared().config.connect_timeout;
            let text = format!("no TLS handshake within {timeout:?} (connect_timeout)");
            return Err(self.io_error(std::io::Error::new(std::io::ErrorKind::TimedOut, text)));
        }
        Ok(())
    }
}
