//! The options of discovery, which all builders have that find nsqds through nsqlookupd.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::http::LookupdClient;

#[derive(Debug, Clone)]
pub(crate) struct LookupdOptions {
    pub(crate) clients: Vec<LookupdClient>,
    /// The first of the addresses given that is none.
    problem: Option<Error>,
    pub(crate) interval: Duration,
    pub(crate) jitter: f64,
}

impl LookupdOptions {
    pub(crate) fn add(&mut self, address: impl Into<String>) {
        match LookupdClient::new(address) {
            Ok(client) => self.clients.push(client),
            Err(error) => {
                self.problem.get_or_insert(Error::Option { option: "lookupd", reason: error.to_string() });
            }
        }
    }

    /// Whether there is nobody to ask.
    pub(crate) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    pub(crate) fn check(&self) -> Result<()> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let refuse = |option, reason: &str| Err(Error::Option { option, reason: reason.to_owned() });
        if !(0.0..=1.0).contains(&self.jitter) {
            return refuse("lookupd_poll_jitter", "give 0 to 1");
        }
        if self.interval < SHORTEST || self.interval > LONGEST {
            return refuse("lookupd_poll_interval", "give from 1 ms to 1 day");
        }
        Ok(())
    }
}

impl Default for LookupdOptions {
    fn default() -> Self {
        Self { clients: Vec::new(), problem: None, interval: Duration::from_secs(60), jitter: 0.3 }
    }
}

/// The options of discovery at the builder of a client, which has [`LookupdOptions`] at `$options`.
macro_rules! lookupd_options {
    ($($options:ident).+) => {
        /// Adds an nsqlookupd to find nsqds through, by its HTTP address, such as `http://127.0.0.1:4161`. All are
        /// asked at every address of their names, and all that any of them knows is used.
        #[cfg(feature = "http")]
        pub fn lookupd(mut self, address: impl Into<String>) -> Self {
            self.$($options).+.add(address);
            self
        }

        /// Adds several nsqlookupds.
        #[cfg(feature = "http")]
        pub fn lookupds<A: Into<String>>(self, addresses: impl IntoIterator<Item = A>) -> Self {
            addresses.into_iter().fold(self, Self::lookupd)
        }

        /// Adds an nsqlookupd by a client with options of its own: an `Authorization` header, timeouts.
        #[cfg(feature = "http")]
        pub fn lookupd_client(mut self, client: crate::http::LookupdClient) -> Self {
            self.$($options).+.clients.push(client);
            self
        }

        /// How often the nsqlookupds are asked. Until there is an nsqd, and after failures, they are asked sooner, at
        /// delays that grow from 0.25 s up to this. Default: 60 s.
        #[cfg(feature = "http")]
        pub fn lookupd_poll_interval(mut self, interval: Duration) -> Self {
            self.$($options).+.interval = interval;
            self
        }

        /// By which part each interval is shortened or lengthened at random, from 0 to 1, so that many clients don't
        /// ask at once. Default: 0.3.
        #[cfg(feature = "http")]
        pub fn lookupd_poll_jitter(mut self, part: f64) -> Self {
            self.$($options).+.jitter = part;
            self
        }
    };
}

pub(crate) use lookupd_options;

const SHORTEST: Duration = Duration::from_millis(1);
/// Keeps sums of times from overflowing.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
