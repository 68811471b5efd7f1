//! Instruments that are nothing, in place of those of the feature `metrics`.
#![allow(clippy::unused_self, reason = "as the others")]

use std::time::Instant;

use crate::moment::Moment;

#[derive(Debug, Clone, Default)]
pub(crate) struct Labels {}

impl Labels {
    pub(crate) fn with<V: ToString + ?Sized>(&self, _name: &'static str, _value: &V) -> Self {
        Self {}
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter {}

impl Counter {
    pub(crate) fn new(_name: &'static str, _labels: &Labels) -> Self {
        Self {}
    }

    pub(crate) fn add(&self, _count: u64) {}
}

#[derive(Debug, Default)]
pub(crate) struct Level {}

impl Level {
    pub(crate) fn new(_name: &'static str, _labels: &Labels) -> Self {
        Self {}
    }

    pub(crate) fn set(&self, _part: u32) {}
}

#[derive(Debug, Default)]
pub(crate) struct Histogram {}

impl Histogram {
    pub(crate) fn new(_name: &'static str, _labels: &Labels) -> Self {
        Self {}
    }

    pub(crate) fn record_time(&self, _from: Moment, _to: Moment) {}

    pub(crate) fn record_since(&self, _from: Instant) {}

    pub(crate) fn record_count(&self, _count: usize) {}
}
