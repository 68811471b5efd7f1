//! The instruments of the `metrics` crate, as the meters use them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::moment::Moment;

/// What an instrument's figures are of, such as a topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(Vec<metrics::Label>);

impl Labels {
    /// These and one more.
    pub(crate) fn with<V: ToString + ?Sized>(&self, name: &'static str, value: &V) -> Self {
        let label = metrics::Label::new(name, value.to_string());
        Self(self.0.iter().cloned().chain([label]).collect())
    }
}

/// Something that is counted. The default counts nothing.
#[derive(Debug)]
pub(crate) struct Counter(metrics::Counter);

impl Counter {
    pub(crate) fn new(name: &'static str, labels: &Labels) -> Self {
        Self(metrics::counter!(name, labels.0.clone()))
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.increment(count);
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self(metrics::Counter::noop())
    }
}

/// A level that several share: each adds its own part. The default tells nobody.
#[derive(Debug)]
pub(crate) struct Level {
    gauge: metrics::Gauge,
    part: AtomicU32,
}

impl Level {
    pub(crate) fn new(name: &'static str, labels: &Labels) -> Self {
        Self { gauge: metrics::gauge!(name, labels.0.clone()), part: AtomicU32::new(0) }
    }

    /// Sets this one's part. Not to be called by two at once.
    pub(crate) fn set(&self, part: u32) {
        let old = self.part.swap(part, Ordering::Relaxed);
        if part != old {
            self.gauge.increment(f64::from(part) - f64::from(old));
        }
    }
}

impl Default for Level {
    fn default() -> Self {
        Self { gauge: metrics::Gauge::noop(), part: AtomicU32::new(0) }
    }
}

/// Who is gone has no part.
impl Drop for Level {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The distribution of a figure.
#[derive(Debug)]
pub(crate) struct Histogram(metrics::Histogram);

impl Histogram {
    pub(crate) fn new(name: &'static str, labels: &Labels) -> Self {
        Self(metrics::histogram!(name, labels.0.clone()))
    }

    /// Records the seconds between.
    pub(crate) fn record_time(&self, from: Moment, to: Moment) {
        self.0.record(to.since(from));
    }

    /// Records the seconds from then to now.
    pub(crate) fn record_since(&self, from: Instant) {
        self.0.record(Since(from));
    }

    /// Records a number of things.
    pub(crate) fn record_count(&self, count: usize) {
        self.0.record(u32::try_from(count).unwrap_or(u32::MAX));
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self(metrics::Histogram::noop())
    }
}

/// A time whose end is read only where there is a recorder: the clock is no small part of a message's cost.
struct Since(Instant);

impl metrics::IntoF64 for Since {
    fn into_f64(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
