//! The options of a consumer that keeps the order of keys.

use std::time::Duration;

use crate::consumer::ConsumerBuilder;

#[derive(Debug, Clone)]
pub(in crate::consumer) struct KeyedOptions {
    pub(in crate::consumer) retry_delay: Duration,
    pub(in crate::consumer) max_retry_delay: Duration,
    /// Half of `max_in_flight` unless given.
    pub(in crate::consumer) max_waiting: Option<u32>,
}

/// Options of [`run_keyed`](crate::Consumer::run_keyed).
impl ConsumerBuilder {
    /// How long a message waits here after its first failed attempt; twice as long after each further one. Its key waits
    /// with it. Default: 1 s.
    pub fn keyed_retry_delay(mut self, delay: Duration) -> Self {
        self.keyed.retry_delay = delay;
        self
    }

    /// The most that [`keyed_retry_delay`](Self::keyed_retry_delay) grows to, and how long messages are requeued for that
    /// can't wait here. At least 0.1 s, and less than nsqd's `--max-req-timeout`. Default: 30 s.
    pub fn max_keyed_retry_delay(mut self, delay: Duration) -> Self {
        self.keyed.max_retry_delay = delay;
        self
    }

    /// How many messages wait here behind one of their key that has failed, or takes longer than the message timeout.
    /// Others of the key are requeued meanwhile, so that it can't use up all of `max_in_flight`. Default: half of
    /// `max_in_flight`.
    pub fn max_waiting_per_key(mut self, messages: u32) -> Self {
        self.keyed.max_waiting = Some(messages);
        self
    }
}

impl Default for KeyedOptions {
    fn default() -> Self {
        Self { retry_delay: Duration::from_secs(1), max_retry_delay: Duration::from_secs(30), max_waiting: None }
    }
}
