//! Logs in the form of NSQ's servers: `[nsqd] 2026/11/22 08:00:00.123456 INFO: TCP: listening on 127.0.0.1:4150`.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use gnsq_server::LogLevel;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::time::Utc;

/// The log of a server. Times are in UTC.
#[derive(Debug, Clone)]
pub(super) struct ServerLog {
    prefix: String,
    level: Arc<AtomicU8>,
}

impl ServerLog {
    /// Begins to log to stderr, each line with this prefix.
    pub(super) fn start(prefix: &str, level: LogLevel) -> Self {
        let log = Self { prefix: prefix.to_owned(), level: Arc::new(AtomicU8::new(level as u8)) };
        let level = log.level.clone();
        let filter = dynamic_filter_fn(move |event, _| {
            let ours = event.target().split("::").next().is_some_and(|name| name == "gnsq" || name == "gnsq_server");
            // The libraries below speak to developers, unless something is wrong.
            (ours || *event.level() <= Level::WARN) && rank(*event.level()) >= level.load(Ordering::Relaxed)
        });
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).event_format(log.clone()).with_writer(io::stderr);
        // It fails only if there is a log already.
        let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
        log
    }

    /// Logs from this level on.
    pub(super) fn set_level(&self, level: LogLevel) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Tells why the server doesn't run, whatever the level.
    pub(super) fn fatal(&self, reason: impl fmt::Display) {
        fatal(&self.prefix, reason);
    }
}

/// Tells why a server doesn't run.
pub(super) fn fatal(prefix: &str, reason: impl fmt::Display) {
    // Nobody is left to tell if that fails.
    let _ = writeln!(io::stderr(), "{prefix}{} FATAL: {reason}", Utc::now().go_log());
}

impl<S, N> FormatEvent<S, N> for ServerLog
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        write!(writer, "{}{} {level}: ", self.prefix, Utc::now().go_log())?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// The log level of an event, as a number.
fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => LogLevel::Error as u8,
        Level::WARN => LogLevel::Warn as u8,
        Level::INFO => LogLevel::Info as u8,
        Level::DEBUG => LogLevel::Debug as u8,
        Level::TRACE => 0,
    }
}
