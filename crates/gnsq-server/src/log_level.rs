//! How much a program that runs a server shall log.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// nsqd's `--log-level`.
///
/// The servers log through `tracing`, and the program decides what it shows. So an nsqd only keeps the level, for who
/// asks over HTTP or sets it there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Everything.
    Debug = 1,
    /// What happens.
    #[default]
    Info = 2,
    /// What may be wrong.
    Warn = 3,
    /// What is wrong.
    Error = 4,
    /// What ends the program.
    Fatal = 5,
}

/// What is no [`LogLevel`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no log level {0:?}: it is debug, info, warn, error or fatal")]
pub struct LogLevelError(String);

/// In any case, as nsqd.
impl FromStr for LogLevel {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<Self, LogLevelError> {
        [Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal]
            .into_iter()
            .find(|level| level.to_string().eq_ignore_ascii_case(text))
            // It comes from a stranger and can be long.
            .ok_or_else(|| LogLevelError(text.chars().take(20).collect()))
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        })
    }
}
