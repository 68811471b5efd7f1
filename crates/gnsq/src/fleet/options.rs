//! The options of discovery, which all builders have that find nsqds through nsqlookupd.

use std::time::Duration;

use super::Source;
use crate::error::{Error, Result};
use crate::http::LookupdClient;

#[derive(Debug, Clone)]
pub(crate) struct LookupdOptions {
    pub(crate) clients: Vec<LookupdClient>,
    /// Where there are more.
    pub(crate) source: Option<Source>,
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
        self.clients.is_empty() && self.source.is_none()
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
        Self { clients: Vec::new(), source: None, problem: None, interval: Duration::from_secs(60), jitter: 0.3 }
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

        /// Asks this function where nsqlookupds are, each time before they are asked: for DNS SRV records, say, or a
        /// catalogue of services. What it told last holds while it fails or takes longer than 10 s; those that it no
        /// longer tells of count no more. It is asked beside those that are named, and a later one replaces it.
        ///
        /// ```no_run
        /// # async fn resolve_srv(_: &str) -> std::io::Result<Vec<(String, u16)>> { Ok(Vec::new()) }
        /// # fn example() -> gnsq::Result<()> {
        /// # let builder = gnsq::Consumer::builder("orders", "billing");
        /// let client = builder
        ///     .lookupds_from(|| async {
        ///         // By the DNS library of your choice.
        ///         let targets = resolve_srv("_nsqlookupd._tcp.internal").await?;
        ///         let addresses = targets.into_iter().map(|(host, port)| format!("{host}:{port}"));
        ///         Ok::<_, std::io::Error>(addresses.collect::<Vec<_>>())
        ///     })
        ///     .build()?;
        /// # let _ = client;
        /// # Ok(())
        /// # }
        /// ```
        #[cfg(feature = "http")]
        pub fn lookupds_from<F, R, A, E>(mut self, source: F) -> Self
        where
            F: Fn() -> R + Send + Sync + 'static,
            R: Future<Output = Result<A, E>> + Send + 'static,
            A: IntoIterator<Item: Into<String>>,
            E: Into<crate::HandlerError>,
        {
            self.$($options).+.source = Some(crate::fleet::Source::new(source));
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
