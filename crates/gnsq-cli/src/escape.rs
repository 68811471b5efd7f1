//! Delimiters as they are typed: `\n`, `\t`, `\0`, `\x1e`.

use std::str::FromStr;

/// What stands between messages: at least one byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delimiter(Vec<u8>);

impl Delimiter {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads `\n`, `\r`, `\t`, `\0`, `\\` and `\xNN`; all else stands for itself. Refuses an empty text, and a backslash
/// with anything else behind it.
impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        unescape(text).map(Self)
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => match (rest.next().and_then(digit), rest.next().and_then(digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err("\\x is followed by two hexadecimal digits".to_owned()),
            },
            _ => return Err("a backslash is followed by n, r, t, 0, x or another backslash".to_owned()),
        });
    }
    if bytes.is_empty() {
        return Err("it is empty: give at least one character".to_owned());
    }
    Ok(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_escape() {
        assert_eq!(unescape(r"\n\r\t\0\\\x1e;").unwrap(), b"\n\r\t\0\\\x1e;");
        assert_eq!(unescape("--é").unwrap(), "--é".as_bytes());
    }

    #[test]
    fn refuses_what_is_no_escape() {
        for text in ["", r"\", r"\q", r"\x", r"\x1", r"\xg0"] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }
}
