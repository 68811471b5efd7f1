//! Publishes messages that are given up to another topic.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gnsq_proto::TopicName;

use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::events::MessageEvent;
use crate::producer::Producer;

/// Publishes the body of each message that is given up to a topic for dead letters. The message is finished when an nsqd has
/// confirmed it; when none does, the message is requeued.
///
/// ```no_run
/// # fn example(producer: gnsq::Producer) -> gnsq::Result<()> {
/// use gnsq::Consumer;
/// use gnsq::contrib::TopicGiveUp;
///
/// let dead = TopicGiveUp::new(producer, "orders.dead")?;
/// let consumer = Consumer::builder("orders", "billing").nsqd("127.0.0.1:4150").give_up_handler(dead.handler()).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TopicGiveUp {
    producer: Producer,
    topic: TopicName,
    headers: bool,
}

impl TopicGiveUp {
    /// Publishes to this topic.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] when it can't be a topic's name.
    pub fn new<T>(producer: Producer, topic: T) -> Result<Self>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        Ok(Self { producer, topic: topic.try_into().map_err(Into::into)?, headers: false })
    }

    /// Whether to tell where the message comes from, in an [envelope](crate::envelope) with the headers
    /// `dead-letter-topic`, `dead-letter-id`, `dead-letter-attempts`, `dead-letter-timestamp` and `dead-letter-nsqd`, besides those that it has.
    /// A message that the envelope would make too large for nsqd goes without. Default: no.
    pub fn headers(mut self, headers: bool) -> Self {
        self.headers = headers;
        self
    }

    /// For [`ConsumerBuilder::give_up_handler`](crate::ConsumerBuilder::give_up_handler).
    pub fn handler(self) -> impl Fn(MessageEvent) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static {
        move |message| self.clone().publish(message).boxed()
    }

    async fn publish(self, message: MessageEvent) -> Result<()> {
        if let Some(letter) = self.headers.then(|| letter(&message)).flatten() {
            match self.producer.publish(self.topic.clone(), letter).await {
                Err(Error::Limit(_)) => {}
                outcome => return outcome,
            }
        }
        self.producer.publish(self.topic, message.body).await
    }
}

/// The message in an envelope that tells where it comes from; `None` if it has too many headers for that.
fn letter(message: &MessageEvent) -> Option<bytes::Bytes> {
    let mut envelope = match Envelope::decode(&message.body) {
        Ok(decoded) => {
            let envelope = Envelope::new(decoded.body.clone());
            decoded.headers.iter().fold(envelope, |envelope, (key, value)| envelope.header(key, value))
        }
        Err(_) => Envelope::new(message.body.clone()),
    };
    for (key, value) in [
        ("dead-letter-topic", message.topic.to_string()),
        ("dead-letter-id", message.id.to_string()),
        ("dead-letter-attempts", message.attempts.to_string()),
        ("dead-letter-timestamp", message.timestamp.to_string()),
        ("dead-letter-nsqd", message.nsqd.to_string()),
    ] {
        envelope = envelope.header(key, value);
    }
    envelope.encode().ok()
}
