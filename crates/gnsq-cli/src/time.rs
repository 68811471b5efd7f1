//! Points in time, in UTC.

use std::fmt;

use time::OffsetDateTime;

/// A time of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Utc(OffsetDateTime);

impl Utc {
    /// From nanoseconds since 1970.
    pub(crate) fn from_unix_nanos(nanos: i64) -> Self {
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanos.into());
        Self(time.expect("64 bits of nanoseconds are 292 years before and after 1970"))
    }

    pub(crate) fn now() -> Self {
        Self(OffsetDateTime::now_utc())
    }

    /// As Go's logs write it: `2026/11/22 08:00:00.123456`.
    pub(crate) fn go_log(self) -> String {
        let (year, month, day) = self.0.to_calendar_date();
        let (hour, minute, second, micros) = self.0.to_hms_micro();
        format!("{year:04}/{:02}/{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}", u8::from(month))
    }
}

/// As RFC 3339 writes it: `2026-11-22T08:00:00.123456Z`.
impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        let (hour, minute, second, micros) = self.0.to_hms_micro();
        write!(f, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z", u8::from(month))
    }
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
    fn every_number_of_nanoseconds_is_a_time() {
        assert_eq!(Utc::from_unix_nanos(i64::MIN).to_string(), "1677-09-21T00:12:43.145224Z");
        assert_eq!(Utc::from_unix_nanos(i64::MAX).to_string(), "2262-04-11T23:47:16.854775Z");
    }
}
