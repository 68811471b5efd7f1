//! Points in time, in UTC.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A time of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Utc {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
}

impl Utc {
    /// From nanoseconds since 1970.
    pub(crate) fn from_unix_nanos(nanos: i64) -> Self {
        let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = date(days);
        Self {
            year,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            micros: rest / 1000,
        }
    }

    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_unix_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// As Go's logs write it: `2026/11/22 08:00:00.123456`.
    pub(crate) fn go_log(&self) -> String {
        let Self { year, month, day, hour, minute, second, micros } = self;
        format!("{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
    }
}

/// As RFC 3339 writes it: `2026-11-22T08:00:00.123456Z`.
impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, micros } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar. Years are counted from March, so that
/// the day that some years have more is their last.
fn date(days: i64) -> (i64, i64, i64) {
    // Day 0 is 0000-03-01; 400 years have 146097 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, five months have 153 days.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    (era * 400 + year_of_era + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_the_calendar() {
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (1_795_334_400, "2026-11-22T08:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(Utc::from_unix_nanos(seconds * 1_000_000_000).to_string(), shown);
        }
        assert_eq!(Utc::from_unix_nanos(1_795_334_400_123_456_789).go_log(), "2026/11/22 08:00:00.123456");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = date(-800_000);
        for days in -799_999..800_000 {
            let (year, month, day) = date(days);
            let next_day = (before.0, before.1, before.2 + 1) == (year, month, day);
            let next_month = (before.0, before.1 + 1, 1) == (year, month, day) && before.2 >= 28;
            let next_year = (before.0 + 1, 1, 1) == (year, month, day) && (before.1, before.2) == (12, 31);
            assert!(next_day || next_month || next_year, "{before:?} {year} {month} {day}");
            before = (year, month, day);
        }
    }
}
