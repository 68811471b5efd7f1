//! The options of a connection that decide who is at its ends, and how its bytes travel.

use gnsq_proto::{IdentifyRequest, Secret};

use super::ConnectionConfig;
use crate::error::{Error, Result};
#[cfg(feature = "tls")]
use crate::tls::{Prepared, TlsConfig};

#[derive(Debug, Clone, Default)]
pub(crate) struct Security {
    #[cfg(feature = "tls")]
    tls: Option<TlsConfig>,
    /// Of `tls`, once it was found usable.
    #[cfg(feature = "tls")]
    pub(crate) prepared_tls: Option<Prepared>,
    snappy: bool,
    deflate: Option<u8>,
    pub(crate) auth_secret: Option<Secret>,
    pub(crate) always_auth: bool,
}

impl ConnectionConfig {
    /// Encrypts connections. An nsqd that declines isn't used: nothing goes on in clear text. Default: no TLS.
    ///
    /// ```
    /// use gnsq::{ConnectionConfig, TlsConfig};
    ///
    /// let config = ConnectionConfig::new().tls(TlsConfig::new().ca_certificate_file("/etc/nsq/ca.pem"));
    /// # let _ = config;
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: impl Into<Option<TlsConfig>>) -> Self {
        self.security.tls = config.into();
        self.security.prepared_tls = None;
        self
    }

    /// Compresses with snappy, which takes little time; not together with deflate. An nsqd that declines is used without.
    /// Default: no.
    #[cfg(feature = "snappy")]
    pub fn snappy(mut self, compress: bool) -> Self {
        self.security.snappy = compress;
        self
    }

    /// Compresses with deflate at this level, 1 (fast) to 9 (small), which nsqd lowers to its `--max-deflate-level` (6);
    /// not together with snappy. An nsqd that declines is used without. Default: no.
    ///
    /// ```
    /// use gnsq::ConnectionConfig;
    ///
    /// let config = ConnectionConfig::new().deflate(3);
    /// # let _ = config;
    /// ```
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, level: impl Into<Option<u8>>) -> Self {
        self.security.deflate = level.into();
        self
    }

    /// The secret to give to an nsqd that asks for one (AUTH). It is shown nowhere; without TLS it travels in clear text.
    /// Default: none.
    ///
    /// ```
    /// use gnsq::ConnectionConfig;
    ///
    /// let config = ConnectionConfig::new().auth_secret(std::env::var("NSQ_SECRET").unwrap_or_default());
    /// # let _ = config;
    /// ```
    pub fn auth_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.security.auth_secret = Some(secret.into());
        self
    }

    /// Gives the secret also to an nsqd that doesn't say whether it wants one, for those that are too old to say. One
    /// that has no use for it ends the connection (`E_AUTH_DISABLED`). Default: no.
    pub fn always_auth(mut self, always: bool) -> Self {
        self.security.always_auth = always;
        self
    }
}

impl Security {
    /// Refuses what can't be used, before anything is connected.
    pub(super) fn prepare(&mut self) -> Result<()> {
        let refuse = |option, reason: &str| Err(Error::Option { option, reason: reason.to_owned() });
        if self.deflate.is_some_and(|level| !(1..=9).contains(&level)) {
            return refuse("deflate", "its level is 1 to 9");
        }
        if self.snappy && self.deflate.is_some() {
            return refuse("deflate", "nsqd takes one compression: choose snappy or deflate");
        }
        if self.auth_secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
            return refuse("auth_secret", "nsqd takes no empty secret: leave it out");
        }
        if self.always_auth && self.auth_secret.is_none() {
            return refuse("always_auth", "there is no auth_secret to give");
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls
            && self.prepared_tls.is_none()
        {
            self.prepared_tls = Some(tls.prepare()?);
        }
        Ok(())
    }

    /// Asks for what the options say.
    pub(super) fn ask_for(&self, request: &mut IdentifyRequest) {
        #[cfg(feature = "tls")]
        {
            request.tls_v1 = self.tls.is_some();
        }
        request.snappy = self.snappy;
        request.deflate = self.deflate.is_some();
        request.deflate_level = self.deflate.map(Into::into);
    }
}

/// The same options at the builder of a client, which has a [`ConnectionConfig`] at `$config`.
macro_rules! security_options {
    ($($config:ident).+) => {
        /// Encrypts connections; see [`ConnectionConfig::tls`](crate::ConnectionConfig::tls). Default: no TLS.
        #[cfg(feature = "tls")]
        pub fn tls(mut self, config: impl Into<Option<crate::TlsConfig>>) -> Self {
            self.$($config).+ = self.$($config).+.tls(config);
            self
        }

        /// Compresses with snappy; see [`ConnectionConfig::snappy`](crate::ConnectionConfig::snappy). Default: no.
        #[cfg(feature = "snappy")]
        pub fn snappy(mut self, compress: bool) -> Self {
            self.$($config).+ = self.$($config).+.snappy(compress);
            self
        }

        /// Compresses with deflate at this level, 1 to 9; see
        /// [`ConnectionConfig::deflate`](crate::ConnectionConfig::deflate). Default: no.
        #[cfg(feature = "deflate")]
        pub fn deflate(mut self, level: impl Into<Option<u8>>) -> Self {
            self.$($config).+ = self.$($config).+.deflate(level);
            self
        }

        /// The secret to give to an nsqd that asks for one; see
        /// [`ConnectionConfig::auth_secret`](crate::ConnectionConfig::auth_secret). Default: none.
        pub fn auth_secret(mut self, secret: impl Into<gnsq_proto::Secret>) -> Self {
            self.$($config).+ = self.$($config).+.auth_secret(secret);
            self
        }
    };
}

pub(crate) use security_options;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_option() {
        let config = ConnectionConfig::new;
        for (mut wrong, option) in [
            (config().auth_secret(""), "auth_secret"),
            (config().always_auth(true), "always_auth"),
            #[cfg(feature = "deflate")]
            (config().deflate(0), "deflate"),
            #[cfg(feature = "deflate")]
            (config().deflate(10), "deflate"),
            #[cfg(all(feature = "snappy", feature = "deflate"))]
            (config().snappy(true).deflate(6), "deflate"),
            #[cfg(feature = "tls")]
            (config().tls(TlsConfig::new().client_key_pem("key")), "tls.client_key_pem"),
        ] {
            let error = wrong.prepare().unwrap_err().to_string();
            assert!(error.starts_with(&format!("option {option}: ")), "{error}");
        }
    }

    #[test]
    fn nothing_is_asked_for_by_default() {
        let request = ConnectionConfig::new().identify_request();
        assert!(!request.tls_v1 && !request.snappy && !request.deflate && request.deflate_level.is_none());
    }

    #[test]
    fn the_secret_is_not_shown() {
        let config = ConnectionConfig::new().auth_secret("hunter2");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
