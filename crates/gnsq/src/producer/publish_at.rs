//! Publishing messages that are due later than nsqd can defer them.

use std::time::SystemTime;

use gnsq_proto::TopicName;

use super::Producer;
use crate::consumer::whole_millis;
use crate::envelope::Envelope;
use crate::error::{Error, Result};

impl Producer {
    /// Publishes one message that is due at `time`, however far away that is.
    ///
    /// The body goes in an [envelope](crate::envelope) that says when it is due; an [`Envelope`] given keeps its other
    /// headers. nsqd defers it for as long as it can: up to
    /// [`max_defer`](crate::ConnectionConfig::max_defer), which has to be no more than nsqd's `--max-req-timeout`.
    /// Consumers with [`deliver_at`](crate::ConsumerBuilder::deliver_at) then defer it again until its time has come, which
    /// also makes up for the delays that nsqd forgets when it is restarted. Consumers without it get the message early, if
    /// `time` is further away than `max_defer`, and with its envelope in any case.
    ///
    /// The message comes no earlier than `time` by the consumer's clock, to a millisecond, and usually up to 100 ms later:
    /// nsqd looks for messages that are due that often, and at a channel that is new after up to 5 s.
    ///
    /// ```no_run
    /// # async fn example(producer: gnsq::Producer) -> gnsq::Result<()> {
    /// use std::time::{Duration, SystemTime};
    ///
    /// let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    /// producer.publish_at("reminders", "buy coffee", tomorrow).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`Error::Envelope`] for headers that can't be sent.
    pub async fn publish_at<T>(&self, topic: T, body: impl Into<Envelope>, time: SystemTime) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        let message = body.into().deliver_at(time).encode()?;
        match time.duration_since(SystemTime::now()) {
            Ok(remaining) if !remaining.is_zero() => {
                let delay = whole_millis(remaining).min(self.pool.settings.limits.max_defer);
                self.publish_deferred(topic, message, delay).await
            }
            _ => self.publish(topic, message).await,
        }
    }
}
