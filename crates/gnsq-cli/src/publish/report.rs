//! What is told while and after publishing.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::output;

/// Counts, and tells of them.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) counts: Counts,
    started: Instant,
    bar: ProgressBar,
    json: bool,
    /// Those that were told.
    reasons: BTreeSet<String>,
}

/// What became of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Counts {
    /// Confirmed.
    pub(super) published: u64,
    /// The bytes of these.
    pub(super) bytes: u64,
    /// Surely not published.
    pub(super) not_published: u64,
    /// Sent and never confirmed: they may have been published.
    pub(super) unknown: u64,
    /// Over the limit, so not published.
    pub(super) too_large: u64,
    /// Skipped.
    pub(super) empty: u64,
}

/// The last line of `--json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    event: &'static str,
    topic: &'a str,
    #[serde(flatten)]
    counts: Counts,
    seconds: f64,
    interrupted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_messages: Option<String>,
}

/// A line of `--json` for messages that were not published.
#[derive(Debug, Serialize)]
struct Unpublished<'a> {
    event: &'static str,
    messages: u64,
    unknown: bool,
    reason: &'a str,
}

impl Counts {
    /// How many are not known to be published.
    pub(super) fn failed(&self) -> u64 {
        self.not_published + self.unknown + self.too_large
    }
}

impl Report {
    /// With a bar at a terminal: of `size` bytes if that is known.
    pub(super) fn new(size: Option<u64>, watched: bool, json: bool) -> Self {
        let bar = if watched && output::stderr_is_terminal() {
            let bar = size.map_or_else(ProgressBar::no_length, ProgressBar::new);
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let template = if size.is_some() { "{bar:30} {percent}% {msg} {eta}" } else { "{spinner} {msg}" };
            // The templates are right, and a wrong one would only look plain.
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        } else {
            ProgressBar::hidden()
        };
        Self { counts: Counts::default(), started: Instant::now(), bar, json, reasons: BTreeSet::new() }
    }

    /// Shows how far it is; `position` in bytes of the input.
    pub(super) fn progress(&self, position: Option<u64>) {
        if self.bar.is_hidden() {
            return;
        }
        match position {
            Some(position) => self.bar.set_position(position),
            None => self.bar.tick(),
        }
        let rate = per_second(self.counts.published, self.started.elapsed());
        let mut message = format!("{} published, {}/s", HumanCount(self.counts.published), HumanCount(rate));
        if self.counts.failed() > 0 {
            let _ = write!(message, ", {} not", HumanCount(self.counts.failed()));
        }
        self.bar.set_message(message);
    }

    /// Tells why some messages are not published: people once for each reason, machines each time.
    pub(super) fn reason(&mut self, messages: u64, unknown: bool, reason: &str) {
        if self.json {
            let line = Unpublished { event: "not_published", messages, unknown, reason };
            // Who reads the lines may have left; the messages and the exit code stay.
            let _ = output::print_json(&line);
            return;
        }
        let text = format!("{}: {reason}", if unknown { "not confirmed" } else { "not published" });
        if self.reasons.len() >= MAX_REASONS || !self.reasons.insert(text.clone()) {
            return;
        }
        self.say(&text);
        if self.reasons.len() == MAX_REASONS {
            self.say("further reasons are left out; all messages are kept");
        }
    }

    /// Writes a line that the bar doesn't overwrite.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| output::complain(line));
    }

    /// Runs what writes to stderr, so that the bar doesn't get in its way.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// The end. `failed_messages` is where they are, `stopped` what was not read any more.
    pub(super) fn finish(
        &self,
        topic: &str,
        failed_messages: &str,
        interrupted: bool,
        stopped: Option<&str>,
        quiet: bool,
    ) {
        self.bar.finish_and_clear();
        let took = self.started.elapsed();
        let counts = &self.counts;
        if self.json {
            let summary = Summary {
                event: "summary",
                topic,
                counts: *counts,
                seconds: took.as_secs_f64(),
                interrupted,
                failed_messages: (counts.failed() > 0).then(|| failed_messages.to_owned()),
            };
            let _ = output::print_json(&summary);
            return;
        }
        if quiet && counts.failed() == 0 && stopped.is_none() {
            return;
        }
        output::complain(summary(counts, topic, failed_messages, took));
        if let Some(stopped) = stopped {
            output::complain(stopped);
        }
    }
}

fn summary(counts: &Counts, topic: &str, failed_messages: &str, took: Duration) -> String {
    let mut text = format!(
        "published {} {} ({}) to {topic} in {:.1} s, {}/s",
        HumanCount(counts.published),
        plural(counts.published),
        HumanBytes(counts.bytes),
        took.as_secs_f64(),
        HumanCount(per_second(counts.published, took)),
    );
    for (count, what) in [
        (counts.not_published, "not published"),
        (counts.unknown, "sent but not confirmed"),
        (counts.too_large, "too large"),
        (counts.empty, "empty and skipped"),
    ] {
        if count > 0 {
            let _ = write!(text, "; {} {what}", HumanCount(count));
        }
    }
    if counts.failed() > 0 {
        let _ = write!(text, "; what is not published is in {failed_messages}");
    }
    text
}

fn per_second(count: u64, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1000) / millis
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "message" } else { "messages" }
}

/// Who has read so many reasons needs the messages.
const MAX_REASONS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_what_became_of_every_message() {
        let counts = Counts { published: 1500, bytes: 2048, not_published: 1, unknown: 2, too_large: 3, empty: 4 };
        assert_eq!(
            summary(&counts, "orders", "f.txt", Duration::from_secs(2)),
            "published 1,500 messages (2.00 KiB) to orders in 2.0 s, 750/s; 1 not published; 2 sent but not confirmed; \
             3 too large; 4 empty and skipped; what is not published is in f.txt"
        );
        let counts = Counts { published: 1, bytes: 5, ..Counts::default() };
        assert_eq!(
            summary(&counts, "orders", "f.txt", Duration::from_millis(100)),
            "published 1 message (5 B) to orders in 0.1 s, 10/s"
        );
    }
}
