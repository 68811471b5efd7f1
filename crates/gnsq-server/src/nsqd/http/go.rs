//! Times as Go writes them.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

/// A moment, in seconds since 1970, as `2026-11-22T08:17:14Z`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Utc(pub(super) i64);

/// A duration as `1h2m3.5s`, `1.5ms` or `0s`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) Duration);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A clock that is thousands of years off tells a time without a date.
        let Ok(time) = OffsetDateTime::from_unix_timestamp(self.0) else { return write!(f, "{}", self.0) };
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second) = time.to_hms();
        write!(f, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.subsec_nanos();
        let (hours, minutes, seconds) = (self.0.as_secs() / 3600, self.0.as_secs() / 60 % 60, self.0.as_secs() % 60);
        match self.0.as_nanos() {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => write!(f, "{}µs", Fraction(nanos / 1_000, nanos % 1_000, 3)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", Fraction(nanos / 1_000_000, nanos % 1_000_000, 6)),
            _ => {
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                write!(f, "{}s", Fraction(seconds, nanos, 9))
            }
        }
    }
}

/// A number, its decimals and how many there are, of which the last zeros are left out.
struct Fraction<T>(T, u32, usize);

impl<T: fmt::Display> fmt::Display for Fraction<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(whole, decimals, digits) = self;
        let decimals = format!(".{decimals:0digits$}");
        write!(f, "{whole}{}", decimals.trim_end_matches('0').trim_end_matches('.'))
    }
}

pub(super) const NANOS: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_and_a_time() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_795_335_434, "2026-11-22T08:17:14Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(Utc(seconds).to_string(), text);
        }
    }

    #[test]
    fn a_duration_has_the_unit_that_it_needs() {
        for (nanos, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (853_117_012, "853.117012ms"),
            (1_000_000, "1ms"),
            (1_040_811_225, "1.040811225s"),
            (97_742_032_025, "1m37.742032025s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (90_000_500_000_000, "25h0m0.5s"),
        ] {
            assert_eq!(Span(Duration::from_nanos(nanos)).to_string(), text);
        }
    }
}
