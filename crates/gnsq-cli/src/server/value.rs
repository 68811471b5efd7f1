//! Values as Go reads them.

use std::time::Duration;

use gnsq_server::LogLevel;

use crate::duration as go_duration;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// `true` when it comes without a value.
    Switch,
    Number,
    Duration,
    /// May be given several times, or with commas.
    List,
    LogLevel,
    /// `--tls-required`: a switch that knows a third value.
    TlsRequired,
    TlsVersion,
}

impl Kind {
    /// What stands for its value in texts.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Switch => "BOOL",
            Self::Number => "INT",
            Self::Duration => "DURATION",
            Self::List => "VALUE",
            Self::LogLevel => "LEVEL",
            Self::TlsRequired => "WHO",
            Self::TlsVersion => "VERSION",
        }
    }

    /// Whether it may come without a value.
    pub(crate) fn is_switch(self) -> bool {
        matches!(self, Self::Switch | Self::TlsRequired)
    }

    pub(crate) fn is_list(self) -> bool {
        self == Self::List
    }

    pub(super) fn takes(self, value: &str) -> bool {
        match self {
            Self::Text | Self::List => true,
            Self::Switch => boolean(value).is_some(),
            Self::Number => number(value).is_some(),
            Self::Duration => duration(value).is_some(),
            Self::LogLevel => value.parse::<LogLevel>().is_ok(),
            Self::TlsRequired => value == TCP_HTTPS || boolean(value).is_some(),
            Self::TlsVersion => TLS_VERSIONS.contains(&value),
        }
    }

    /// What is wrong with a value that it doesn't take.
    pub(super) fn complaint(self, value: &str) -> String {
        match self {
            Self::LogLevel => format!("invalid log level '{value}' (debug, info, warn, error, fatal)"),
            Self::TlsRequired => "it is true, false or tcp-https".to_owned(),
            Self::TlsVersion => format!("it is one of {}", TLS_VERSIONS.join(", ")),
            Self::Number if is_digits(value) => "value out of range".to_owned(),
            _ => "parse error".to_owned(),
        }
    }
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A whole number, also hexadecimal (`0x`), octal (`0o`, `0`) or binary (`0b`).
pub(super) fn number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0o") => (&lower[2..], 8),
        Some("0b") => (&lower[2..], 2),
        Some(other) if other.starts_with('0') => (&lower[1..], 8),
        _ => (&*lower, 10),
    };
    if !digits.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

pub(super) fn duration(text: &str) -> Option<Duration> {
    go_duration::parse(text).ok()
}

fn is_digits(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The third value of `--tls-required`.
pub(super) const TCP_HTTPS: &str = "tcp-https";

/// What `--tls-min-version` takes.
const TLS_VERSIONS: [&str; 5] = ["ssl3.0", "tls1.0", "tls1.1", "tls1.2", "tls1.3"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_as_go_does() {
        for (text, value) in [
            ("0", 0),
            ("10", 10),
            ("-5", -5),
            ("+5", 5),
            ("0x10", 16),
            ("0X1f", 31),
            ("010", 8),
            ("0o17", 15),
            ("0b101", 5),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in ["", "-", "x", "1.5", "0x", "--5", "0x-5", "+-5", "9223372036854775808", "1 ", "é"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn a_kind_takes_its_values_only() {
        for (kind, good, bad) in [
            (Kind::Switch, "T", "yes"),
            (Kind::LogLevel, "Warn", "loud"),
            (Kind::TlsRequired, "tcp-https", "https"),
            (Kind::TlsRequired, "false", ""),
            (Kind::TlsVersion, "tls1.0", "tls9"),
            (Kind::Duration, "1h", "1"),
        ] {
            assert!(kind.takes(good) && !kind.takes(bad), "{kind:?}");
            assert!(!kind.complaint(bad).is_empty());
        }
    }
}
