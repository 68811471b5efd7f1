//! Wakes channels whose messages time out or become due.

use std::collections::BTreeMap;
use std::sync::Weak;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::channel::Channel;
use crate::clock::{Clock, Tick};

/// The next moment of each channel that waits for one. One entry a channel, however often that moment changes.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    set: Mutex<BTreeMap<(Tick, u64), Weak<Channel>>>,
    earlier: Notify,
}

impl Alarms {
    /// Moves the alarm of `channel`, whose number is `key`, from `before` to `at`.
    pub(super) fn set(&self, key: u64, before: Option<Tick>, at: Option<Tick>, channel: &Weak<Channel>) {
        let mut set = self.set.lock();
        if let Some(before) = before {
            set.remove(&(before, key));
        }
        let Some(at) = at else { return };
        set.insert((at, key), channel.clone());
        let is_first = set.first_key_value().is_some_and(|((_, first), _)| *first == key);
        drop(set);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Rings the channels at their moments, for ever.
    pub(super) async fn run(&self, clock: &Clock) {
        loop {
            let next = self.set.lock().first_key_value().map(|((at, _), _)| *at);
            tokio::select! {
                () = clock.sleep_until(next) => {}
                () = self.earlier.notified() => continue,
            }
            while let Some(channel) = self.take_due(clock.now()) {
                if let Some(channel) = channel.upgrade() {
                    channel.on_alarm();
                }
            }
        }
    }

    fn take_due(&self, now: Tick) -> Option<Weak<Channel>> {
        let mut set = self.set.lock();
        let first = set.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
