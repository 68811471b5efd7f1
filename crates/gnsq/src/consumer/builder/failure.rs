//! The options for messages that fail.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use gnsq_proto::{BackoffStrategy, ExponentialBackoff};

use super::ConsumerBuilder;
use crate::events::{HandlerError, MessageEvent};

impl ConsumerBuilder {
    /// After how many attempts a message is given up; 0 for never. Default: 5.
    pub fn max_attempts(mut self, attempts: u16) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// What to do with a message before it is given up: store it, publish it elsewhere. When the handler returns
    /// `Ok` the message is finished; otherwise it is requeued, and will come here again. Without one, a message that
    /// is given up is logged and lost.
    ///
    /// ```
    /// # fn example(producer: gnsq::Producer) -> gnsq::ConsumerBuilder {
    /// gnsq::Consumer::builder("orders", "billing").give_up_handler(move |message| {
    ///     let producer = producer.clone();
    ///     async move { producer.publish("orders.dead", message.body).await }
    /// })
    /// # }
    /// ```
    pub fn give_up_handler<H, F, E>(mut self, handler: H) -> Self
    where
        H: Fn(MessageEvent) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError>,
    {
        self.give_up = Some(Arc::new(move |message| handler(message).map(|result| result.map_err(Into::into)).boxed()));
        self
    }

    /// How long a message waits after a failed attempt, times the number of attempts it has had. Default: 90 s.
    pub fn requeue_delay(mut self, delay: Duration) -> Self {
        self.requeue_delay = delay;
        self
    }

    /// The most that [`requeue_delay`](Self::requeue_delay) grows to; nsqd allows its `--max-req-timeout` (1 h).
    /// Default: 15 min.
    pub fn max_requeue_delay(mut self, delay: Duration) -> Self {
        self.max_requeue_delay = delay;
        self
    }

    /// Replaces [`requeue_delay`](Self::requeue_delay) and [`max_requeue_delay`](Self::max_requeue_delay): how long a
    /// message waits after a failure. A handler that asks for a [delay of its own](crate::Requeue::after) has it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = gnsq::Consumer::builder("orders", "billing")
    ///     .requeue_policy(|message| Duration::from_secs(1 << message.attempts.min(10)));
    /// # let _ = builder;
    /// ```
    pub fn requeue_policy<P>(mut self, policy: P) -> Self
    where
        P: Fn(&MessageEvent) -> Duration + Send + Sync + 'static,
    {
        self.requeue_policy = Some(Arc::new(policy));
        self
    }

    /// The longest wait of backoff: after a failure the consumer takes no messages for a random time, up to 1 s after
    /// the first and twice as long after each further one. Zero turns backoff off. Default: 2 min.
    pub fn max_backoff(self, longest: Duration) -> Self {
        self.backoff_strategy(ExponentialBackoff { max: longest, ..ExponentialBackoff::default() })
    }

    /// Replaces how long backoff waits.
    pub fn backoff_strategy(mut self, strategy: impl BackoffStrategy + 'static) -> Self {
        self.backoff = Box::new(strategy);
        self
    }

    /// Whether a finish that came too late counts as a failure: handlers are slower than the message timeout, and
    /// fewer messages at once may help. Default: no.
    pub fn backoff_on_late_finish(mut self, backoff: bool) -> Self {
        self.backoff_on_late_finish = backoff;
        self
    }
}
