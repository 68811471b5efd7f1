//! What a publish may want for itself.

use std::time::Duration;

use super::routing::stable_hash;
use crate::error::{Error, Result};

/// The options of one publish, for [`publish_with`](crate::Producer::publish_with) and
/// [`multipublish_with`](crate::Producer::multipublish_with).
///
/// ```no_run
/// use std::time::Duration;
///
/// use gnsq::{Producer, PublishOptions, Routing};
///
/// # async fn example() -> gnsq::Result<()> {
/// let producer = Producer::builder().nsqds(["a.example:4150", "b.example:4150"]).routing(Routing::ByKey).build()?;
/// let options = PublishOptions::new().key("customer-17").timeout(Duration::from_secs(5));
/// producer.publish_with("orders", "one coffee", options).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "options do nothing until they are given to a publish"]
pub struct PublishOptions {
    pub(super) key: Option<u64>,
    pub(super) delay: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) connection_timeout: Option<Duration>,
}

impl PublishOptions {
    /// No options: a publish as [`publish`](crate::Producer::publish) does it.
    pub fn new() -> Self {
        Self::default()
    }

    /// What belongs together, for [`Routing::ByKey`](crate::Routing::ByKey): it goes to one nsqd. Default: none.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(stable_hash(key.as_ref()));
        self
    }

    /// nsqd delivers the message after so long (whole milliseconds, at most its `--max-req-timeout`, 1 h). Not for several
    /// messages at once: nsqd has no command for it. Default: none.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// How long the publish may take in all. Default: the producer's
    /// [`publish_timeout`](crate::ProducerBuilder::publish_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long the publish may wait for room and a connection, apart from its [`timeout`](Self::timeout), which begins
    /// when it has them; 0: not at all. One that was with an nsqd, surely was not carried out and finds no other connected
    /// fails then: it doesn't wait again. More than 100 days are as good as for ever. Default: both count in one, and
    /// [`WhenDisconnected`](crate::WhenDisconnected) says what happens.
    pub fn connection_timeout(mut self, timeout: Duration) -> Self {
        self.connection_timeout = Some(timeout.min(FOR_EVER));
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.timeout {
            Some(timeout) if timeout.is_zero() || timeout > LONGEST => {
                Err(Error::Option { option: "timeout", reason: "give more than 0 and at most 1 day".to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// Longer than a program waits.
const FOR_EVER: Duration = Duration::from_secs(100 * 24 * 60 * 60);

/// Keeps sums of times from overflowing.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
