//! Messages that come before they are due.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use gnsq_proto::MessageId;

use crate::envelope::Envelope;
use crate::message::Message;
use crate::trace::message_event;

/// Defers them again and again, until their time has come.
#[derive(Debug)]
pub(super) struct DeliverAt {
    /// The longest delay that nsqd grants: its `--max-req-timeout`.
    max_defer: Duration,
    deferred: Mutex<Deferred>,
    /// Whether it was told that nsqd grants less.
    warned: AtomicBool,
}

/// How often the messages that were deferred here had been attempted then. Of too many the oldest are forgotten.
#[derive(Debug, Default)]
struct Deferred {
    attempts: HashMap<Key, u16>,
    order: VecDeque<Key>,
}

/// Ids are unique in one nsqd; with the time of publishing they are elsewhere too.
type Key = (MessageId, i64);

impl DeliverAt {
    pub(super) fn new(max_defer: Duration) -> Self {
        Self { max_defer, deferred: Mutex::default(), warned: AtomicBool::new(false) }
    }

    /// Requeues what isn't due yet, and leaves the rest in `batch`. Returns how many messages weren't.
    pub(super) fn defer_early(&self, batch: &mut Vec<Message>) -> usize {
        let now = SystemTime::now();
        if !batch.iter().any(|message| due(message).is_some_and(|due| due > now)) {
            return 0;
        }
        let came = batch.len();
        for message in std::mem::take(batch) {
            let Some(delay) = self.delay(&message, now) else {
                batch.push(message);
                continue;
            };
            self.check_pace(&message, now);
            self.deferred.lock().unwrap_or_else(PoisonError::into_inner).note(&message);
            let (connection, id) = (message.connection().clone(), message.id());
            message_event!(TRACE, connection, id, ?delay, "not due yet: deferred again");
            if let Err(error) = message.requeue_without_backoff(delay) {
                message_event!(DEBUG, connection, id, %error, "a message that is not due yet could not be deferred again");
            }
        }
        came - batch.len()
    }

    /// How often the message was attempted, without the deliveries that only deferred it again.
    ///
    /// nsqd counts those too. How many there were is known if the last was here. Otherwise it is reckoned: what it takes
    /// to reach the time at the best, and one more, for a delivery that came a little early by the consumer's clock.
    pub(super) fn attempts(&self, message: &Message) -> u16 {
        let attempts = message.attempts();
        if attempts <= 1 {
            return attempts;
        }
        let Some(due) = due(message) else { return attempts };
        let known = self.deferred.lock().unwrap_or_else(PoisonError::into_inner).attempts.get(&key(message)).copied();
        attempts.saturating_sub(self.deferrals(message, due).max(known.unwrap_or(0))).max(1)
    }

    /// For how long to defer it; `None` if it is due.
    fn delay(&self, message: &Message, now: SystemTime) -> Option<Duration> {
        let remaining = due(message)?.duration_since(now).ok().filter(|remaining| !remaining.is_zero())?;
        Some(whole_millis(remaining).min(self.max_defer))
    }

    /// How many deferrals it takes from the message's publication to `time`.
    fn deferrals(&self, message: &Message, time: SystemTime) -> u16 {
        let waited = time.duration_since(message.published_at()).unwrap_or_default();
        let deferrals = waited.as_nanos().div_ceil(self.max_defer.as_nanos().max(1));
        u16::try_from(deferrals).unwrap_or(u16::MAX)
    }

    /// Tells once when nsqd seems to grant less than was asked: messages would seem to have had attempts that they haven't.
    fn check_pace(&self, message: &Message, now: SystemTime) {
        let expected = self.deferrals(message, now);
        if message.attempts() > expected.saturating_add(SLACK) && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                topic = %message.topic(),
                nsqd = %message.nsqd(),
                max_defer = ?self.max_defer,
                "nsqd delivers what is not due yet sooner than asked: is max_defer more than its --max-req-timeout?"
            );
        }
    }
}

impl Deferred {
    fn note(&mut self, message: &Message) {
        let key = key(message);
        if self.attempts.insert(key, message.attempts()).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.attempts.remove(&oldest);
        }
    }
}

fn key(message: &Message) -> Key {
    (message.id(), message.timestamp())
}

/// The time rounded up to what nsqd counts in, so that a message doesn't come back just before it is due.
pub(crate) fn whole_millis(time: Duration) -> Duration {
    let millis = u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    Duration::from_millis(millis)
}

/// An envelope that can't be read is the handler's to judge.
fn due(message: &Message) -> Option<SystemTime> {
    Envelope::decode(message.body()).ok()?.headers.deliver_at()
}

/// How many delays may be forgotten by restarts of nsqd before it looks as if it granted less than it was asked.
const SLACK: u16 = 3;

/// About a megabyte.
const MAX_KNOWN: usize = 10_000;
