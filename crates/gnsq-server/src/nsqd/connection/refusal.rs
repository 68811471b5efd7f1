//! Why a connection ends by the server's word.

use std::fmt::{self, Write};

use gnsq_proto::ErrorCode;
use gnsq_proto::command::decode::{BodyError, LineTooLong};

/// A command that ends the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// With an error frame. The text is bytes, because it quotes what the client sent.
    Error(ErrorCode, Vec<u8>),
    /// Without a word.
    Silent,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, text: impl Into<Vec<u8>>) -> Self {
        Self::Error(code, text.into())
    }

    /// `E_INVALID`, with a text that ends in the client's bytes.
    pub(super) fn invalid(text: &str, quoted: &[u8]) -> Self {
        Self::new(ErrorCode::Invalid, [text.as_bytes(), quoted].concat())
    }

    /// A command that can't be given now.
    pub(super) fn state(word: &[u8]) -> Self {
        Self::new(ErrorCode::Invalid, [b"cannot ", word, b" in current state"].concat())
    }

    pub(super) fn body(word: &str, error: BodyError) -> Self {
        Self::new(error.code(), format!("{word} {error}"))
    }

    pub(super) fn topic(word: &str, name: &[u8]) -> Self {
        Self::new(ErrorCode::BadTopic, format!("{word} topic name {} is not valid", quoted(name)))
    }

    pub(super) fn channel(word: &str, name: &[u8]) -> Self {
        Self::new(ErrorCode::BadChannel, format!("{word} channel name {} is not valid", quoted(name)))
    }
}

impl From<LineTooLong> for Refusal {
    fn from(_: LineTooLong) -> Self {
        Self::Silent
    }
}

/// Bytes as nsqd quotes them: as a string of its language.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    // A string takes whatever it is given.
    let push = |text: &mut String, escape: fmt::Arguments| {
        let _ = text.write_fmt(escape);
    };
    text.push('"');
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\x07' => text.push_str("\\a"),
                '\x08' => text.push_str("\\b"),
                '\x0b' => text.push_str("\\v"),
                '\x0c' => text.push_str("\\f"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                // Rust and Go agree on what can be seen, but for a few marks.
                char if char == '\'' || char.escape_debug().len() == 1 => text.push(char),
                char if char < '\u{80}' => push(&mut text, format_args!("\\x{:02x}", u32::from(char))),
                char if char < '\u{10000}' => push(&mut text, format_args!("\\u{:04x}", u32::from(char))),
                char => push(&mut text, format_args!("\\U{:08x}", u32::from(char))),
            }
        }
        for byte in chunk.invalid() {
            push(&mut text, format_args!("\\x{byte:02x}"));
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_quoted_as_nsqd_does() {
        for (bytes, expected) in [
            (&b"a\"b"[..], r#""a\"b""#),
            (b"\xff", r#""\xff""#),
            (b"a\tb\x00\x7f", r#""a\tb\x00\x7f""#),
            ("é'\u{a0}\u{200b}\\".as_bytes(), r#""é'\u00a0\u200b\\""#),
            (b"", r#""""#),
        ] {
            assert_eq!(quoted(bytes), expected);
        }
    }
}
