//! Durations as Go writes them: `250ms`, `1m30s`, `1.5h`.

use std::time::Duration;

/// Reads a duration: numbers, which may have a fraction, each with a unit (`ns`, `us`, `ms`, `s`, `m`, `h`), or `0`.
///
/// # Errors
///
/// What is wrong with it. Negative durations are refused: nothing here has a use for them.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let error = |reason: &str| format!("{reason}: a duration is written like 250ms, 1m30s or 1.5h");
    if text.starts_with('-') {
        return Err(error("it is negative"));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(error("it is empty"));
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(error("a number is missing"));
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        let unit = UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, nanos)| *nanos).ok_or_else(|| {
            error(if name.is_empty() { "a unit is missing" } else { "its unit is none of ns, us, ms, s, m, h" })
        })?;
        // More digits than these can't change a nanosecond.
        let fraction = &fraction[..fraction.len().min(15)];
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| error("it is too long"))? };
        let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| error("it is too long"))? };
        let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
        nanos = whole
            .checked_mul(unit)
            .and_then(|whole| whole.checked_add(part * unit / scale))
            .and_then(|value| value.checked_add(nanos))
            .filter(|nanos| *nanos <= LONGEST)
            .ok_or_else(|| error("it is too long"))?;
        rest = after;
    }
    let nanos = u64::try_from(nanos).map_err(|_| error("it is too long"))?;
    Ok(Duration::from_nanos(nanos))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The longest that Go can say: 2^63 - 1 ns, 292 years.
const LONGEST: u128 = i64::MAX as u128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("250ms", 250),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("+2s", 2_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("1h0m0.25s", 3_600_250),
            ("1s1s", 2_000),
            ("1.000000000000000000000000001s", 1_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("3us"), Ok(Duration::from_micros(3)));
        assert_eq!(parse("3µs"), Ok(Duration::from_micros(3)));
        assert_eq!(parse("1.5us"), Ok(Duration::from_nanos(1500)));
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "",
            "5",
            "s",
            ".s",
            "1.2.3s",
            "1 s",
            "1d",
            "-",
            "+",
            "1e3s",
            "9223372037s",
            "99999999999999999999999999999999999999999h",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.ends_with("a duration is written like 250ms, 1m30s or 1.5h"), "{text}: {error}");
        }
        assert!(parse("-1s").unwrap_err().contains("negative"));
    }

    #[test]
    fn every_cut_of_a_duration_is_one_or_an_error() {
        let text = "1h2m3.5s400ms5µs6ns";
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            let _ = parse(&text[..end]);
        }
    }
}
