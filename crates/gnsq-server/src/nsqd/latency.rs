//! How long messages take from being published to being finished, as far as a window of time reaches back.

use hdrhistogram::Histogram;

use super::message::Now;
use super::options::NsqdOptions;
use super::stats::{E2eLatency, E2ePercentile};

/// The latencies of a channel's messages. Those of the last half of the window count, and those of the half before,
/// so that a figure counts for at least half of the window and at most for all of it.
///
/// It takes up to 50 KB, and next to nothing until there is something to keep.
#[derive(Debug)]
pub(super) struct Latencies {
    /// Half of the window, in nanoseconds.
    half: u64,
    /// How many halves had passed when the current one began.
    epoch: u64,
    current: Figures,
    previous: Figures,
}

/// The latencies of several channels together.
#[derive(Debug, Default)]
pub(super) struct Figures {
    histogram: Option<Histogram<u32>>,
    /// The ends are exact, as is everything when all are the same.
    min: u64,
    max: u64,
}

impl Latencies {
    /// Nothing, unless percentiles are asked for.
    pub(super) fn new(options: &NsqdOptions) -> Option<Box<Self>> {
        if options.e2e_processing_latency_percentiles.is_empty() {
            return None;
        }
        let half = u64::try_from(options.e2e_processing_latency_window_time.as_nanos() / 2).unwrap_or(u64::MAX).max(1);
        Some(Box::new(Self { half, epoch: 0, current: Figures::default(), previous: Figures::default() }))
    }

    /// A message that was published at `timestamp` is finished.
    pub(super) fn record(&mut self, now: Now, timestamp: i64) {
        self.forget_old(now);
        self.current.record(u64::try_from(now.unix_nanos.saturating_sub(timestamp)).unwrap_or(0));
    }

    /// All figures of the window.
    pub(super) fn figures(&mut self, now: Now) -> Figures {
        self.forget_old(now);
        let mut figures = Figures::default();
        figures.add(&self.previous);
        figures.add(&self.current);
        figures
    }

    fn forget_old(&mut self, now: Now) {
        let epoch = now.tick.nanos() / self.half;
        match epoch.saturating_sub(self.epoch) {
            0 => return,
            1 => {
                std::mem::swap(&mut self.previous, &mut self.current);
                self.current.clear();
            }
            _ => {
                self.previous = Figures::default();
                self.current = Figures::default();
            }
        }
        self.epoch = epoch;
    }
}

impl Figures {
    /// Takes in those of another channel or time.
    pub(super) fn add(&mut self, other: &Self) {
        let Some(theirs) = other.histogram.as_ref().filter(|theirs| !theirs.is_empty()) else { return };
        self.widen(other.min, other.max);
        match &mut self.histogram {
            // It grows as it needs, so there is nothing that could not be added.
            Some(histogram) => {
                let _ = histogram.add(theirs);
            }
            None => self.histogram = Some(theirs.clone()),
        }
    }

    /// What `/stats` tells of them.
    pub(super) fn stats(&self, percentiles: &[f64]) -> E2eLatency {
        let value = |quantile| match &self.histogram {
            Some(histogram) if !histogram.is_empty() => histogram.value_at_quantile(quantile).clamp(self.min, self.max),
            _ => 0,
        };
        E2eLatency {
            count: self.histogram.as_ref().map_or(0, Histogram::len),
            percentiles: percentiles
                .iter()
                .map(|&quantile| E2ePercentile { quantile, value: value(quantile) })
                .collect(),
        }
    }

    fn record(&mut self, nanos: u64) {
        let nanos = nanos.min(LONGEST);
        self.widen(nanos, nanos);
        if self.histogram.is_none() {
            self.histogram = Histogram::new(DIGITS).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            // It grows up to `LONGEST`.
            let _ = histogram.record(nanos);
        }
    }

    /// Before anything is added.
    fn widen(&mut self, min: u64, max: u64) {
        let is_first = self.histogram.as_ref().is_none_or(Histogram::is_empty);
        self.min = if is_first { min } else { self.min.min(min) };
        self.max = if is_first { max } else { self.max.max(max) };
    }

    /// Keeps the room, which will be needed again.
    fn clear(&mut self) {
        if let Some(histogram) = &mut self.histogram {
            histogram.reset();
        }
    }
}

/// 13 days in nanoseconds: what takes longer counts as this.
const LONGEST: u64 = 1 << 50;
/// How many digits of a latency are kept: 1 % is close enough.
const DIGITS: u8 = 2;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Tick;

    const SECOND: Duration = Duration::from_secs(1);

    fn latencies(window: Duration) -> Box<Latencies> {
        let options = NsqdOptions {
            e2e_processing_latency_percentiles: vec![0.5],
            e2e_processing_latency_window_time: window,
            ..NsqdOptions::default()
        };
        Latencies::new(&options).unwrap()
    }

    fn at(millis: u64) -> Now {
        Now { tick: Tick::default().after(Duration::from_millis(millis)), unix_nanos: 1 << 60 }
    }

    fn values(figures: &Figures, percentiles: &[f64]) -> Vec<u64> {
        figures.stats(percentiles).percentiles.iter().map(|percentile| percentile.value).collect()
    }

    #[test]
    fn nothing_is_kept_unless_it_is_asked_for() {
        assert!(Latencies::new(&NsqdOptions::default()).is_none());
    }

    #[test]
    fn percentiles_are_close_and_the_ends_exact() {
        let mut latencies = latencies(600 * SECOND);
        assert_eq!(values(&latencies.figures(at(0)), &[1.0, 0.5]), [0, 0]);
        for millis in 1..=1000 {
            latencies.record(at(0), (1 << 60) - millis * 1_000_123);
        }
        let figures = latencies.figures(at(0));
        let stats = figures.stats(&[1.0, 0.99, 0.5]);
        assert_eq!((stats.count, stats.percentiles[0].value), (1000, 1_000_123_000));
        for (percentile, exact) in stats.percentiles.iter().zip([1_000_123_000_u64, 990_121_770, 500_061_500]) {
            assert!(percentile.value.abs_diff(exact) * 100 <= exact, "{percentile:?} is not {exact}");
        }
        assert!(values(&figures, &[0.000_001])[0].abs_diff(1_000_123) < 10_002);
    }

    #[test]
    fn one_figure_is_exact_whatever_it_is() {
        for nanos in [0, 1, 7, 123_456_789, LONGEST - 1, LONGEST] {
            let mut latencies = latencies(SECOND);
            latencies.record(at(0), (1 << 60) - i64::try_from(nanos).unwrap());
            assert_eq!(values(&latencies.figures(at(0)), &[1.0, 0.01]), [nanos, nanos]);
        }
        // A clock that was set back, and a message from long ago.
        let mut latencies = latencies(SECOND);
        latencies.record(at(0), i64::MAX);
        assert_eq!(values(&latencies.figures(at(0)), &[1.0]), [0]);
        latencies.record(at(0), i64::MIN);
        assert_eq!(values(&latencies.figures(at(0)), &[1.0]), [LONGEST]);
    }

    #[test]
    fn figures_age_out_within_the_window() {
        let mut latencies = latencies(2 * SECOND);
        let mut count = |millis, record| {
            if record {
                latencies.record(at(millis), 0);
            }
            latencies.figures(at(millis)).stats(&[]).count
        };
        assert_eq!(count(900, true), 1);
        assert_eq!(count(1000, true), 2);
        assert_eq!(count(1999, false), 2);
        assert_eq!(count(2000, false), 1);
        assert_eq!(count(2500, true), 2);
        assert_eq!(count(3000, false), 1);
        // Both halves at once.
        assert_eq!(count(5000, false), 0);
        assert_eq!(count(5000, true), 1);
    }

    #[test]
    fn channels_are_told_together() {
        let (mut a, mut b) = (latencies(SECOND), latencies(SECOND));
        a.record(at(0), (1 << 60) - 10);
        b.record(at(0), (1 << 60) - 5_000_000_000);
        let mut both = Figures::default();
        for one in [&mut a, &mut b, &mut latencies(SECOND)] {
            both.add(&one.figures(at(0)));
        }
        assert_eq!(both.stats(&[]).count, 2);
        assert_eq!(values(&both, &[1.0, 0.5]), [5_000_000_000, 10]);
    }

    #[test]
    fn the_room_is_bounded() {
        let mut latencies = latencies(SECOND);
        for bit in 0..63 {
            latencies.record(at(0), (1 << 60) - (1 << bit));
        }
        assert!(latencies.current.histogram.as_ref().unwrap().distinct_values() * 4 <= 25_000);
    }
}
