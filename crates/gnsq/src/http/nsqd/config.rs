//! Settings of a running nsqd.

use std::fmt;

use bytes::Bytes;

use super::NsqdHttpClient;
use crate::http::HttpError;

/// How much a server logs: each level logs what those after it log, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens; nsqd's default.
    Info,
    /// What may become a problem.
    Warn,
    /// What failed.
    Error,
    /// What ends the server.
    Fatal,
}

impl NsqdHttpClient {
    /// The value of any option of nsqd, by its name in the configuration file, such as `max_msg_size`: strings as
    /// they are, anything else in JSON, durations in nanoseconds.
    ///
    /// # Errors
    ///
    /// [`Status`](HttpError::Status) with `INVALID_OPTION` for an option that nsqd does not have.
    pub async fn config(&self, option: &str) -> Result<String, HttpError> {
        self.transport.get(&["config", option]).send().await?.text()
    }

    /// Sets an option until nsqd restarts, and tells its new value. nsqd 1.3.0 lets `log_level` and
    /// `nsqlookupd_tcp_addresses` be set.
    ///
    /// # Errors
    ///
    /// [`Status`](HttpError::Status) with `INVALID_OPTION` for an option that can't be set, `INVALID_VALUE` for a
    /// value that it can't have.
    pub async fn set_config(&self, option: &str, value: impl Into<Bytes>) -> Result<String, HttpError> {
        self.transport.put(&["config", option]).body(value.into()).send().await?.text()
    }

    /// How much nsqd logs.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn log_level(&self) -> Result<LogLevel, HttpError> {
        let answer = self.transport.get(&["config", "log_level"]).send().await?;
        let number: u8 = answer.json()?;
        LEVELS
            .into_iter()
            .find_map(|(level, known, _)| (known == number).then_some(level))
            .ok_or_else(|| answer.unexpected("expected a log level, 1 to 5"))
    }

    /// Sets how much nsqd logs, until it restarts.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn set_log_level(&self, level: LogLevel) -> Result<(), HttpError> {
        self.set_config("log_level", level.to_string()).await?;
        Ok(())
    }

    /// The `host:port` of each nsqlookupd that nsqd announces its topics to.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn nsqlookupd_tcp_addresses(&self) -> Result<Vec<String>, HttpError> {
        let answer = self.transport.get(&["config", "nsqlookupd_tcp_addresses"]).send().await?;
        answer.json::<Option<_>>().map(Option::unwrap_or_default)
    }

    /// Sets the nsqlookupd that nsqd announces its topics to, until it restarts: `host:port` of the TCP protocol of
    /// each.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn set_nsqlookupd_tcp_addresses<A: AsRef<str>>(
        &self,
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<(), HttpError> {
        let addresses: serde_json::Value = addresses.into_iter().map(|address| address.as_ref().to_owned()).collect();
        self.set_config("nsqlookupd_tcp_addresses", addresses.to_string()).await?;
        Ok(())
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = LEVELS.into_iter().find_map(|(level, _, name)| (level == *self).then_some(name));
        f.write_str(name.expect("the table has every level"))
    }
}

/// nsqd takes a level by its name, and tells it by its number.
const LEVELS: [(LogLevel, u8, &str); 5] = [
    (LogLevel::Debug, 1, "debug"),
    (LogLevel::Info, 2, "info"),
    (LogLevel::Warn, 3, "warn"),
    (LogLevel::Error, 4, "error"),
    (LogLevel::Fatal, 5, "fatal"),
];
