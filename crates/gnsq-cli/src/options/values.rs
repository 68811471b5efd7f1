//! The values of options.

use std::str::FromStr;

/// Whether and how strongly to deflate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeflateLevel {
    Off,
    Level(u8),
}

impl FromStr for DeflateLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<u8>() {
            Ok(0) => Ok(Self::Off),
            Ok(level @ 1..=9) => Ok(Self::Level(level)),
            Ok(_) => Err("a level is 1 to 9".to_owned()),
            Err(_) => match boolean(text) {
                Ok(true) => Ok(Self::Level(DEFAULT_DEFLATE_LEVEL)),
                Ok(false) => Ok(Self::Off),
                Err(_) => Err("give a level of 1 to 9, true or false".to_owned()),
            },
        }
    }
}

/// Reads `true`, `false`, `1`, `0`, `yes`, `no`, `on` and `off`.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("give true or false".to_owned()),
    }
}

/// nsqd's own for a client that names none.
const DEFAULT_DEFLATE_LEVEL: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deflate_level_may_be_a_yes_or_no() {
        assert_eq!("9".parse(), Ok(DeflateLevel::Level(9)));
        assert_eq!("true".parse(), Ok(DeflateLevel::Level(6)));
        for off in ["0", "off", "false"] {
            assert_eq!(off.parse(), Ok(DeflateLevel::Off));
        }
        for wrong in ["10", "-1", "best"] {
            assert!(wrong.parse::<DeflateLevel>().is_err(), "{wrong}");
        }
    }
}
