//! A message as it is printed.

use std::borrow::Cow;
use std::str;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Serialize;

use super::pretty::pretty;
use crate::output;
use crate::time::Utc;

/// How messages are printed.
#[allow(clippy::struct_excessive_bools, reason = "each is an option")]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    pub(super) json: bool,
    pub(super) pretty: bool,
    pub(super) topic: bool,
    pub(super) timestamp: bool,
    pub(super) attempts: bool,
    pub(super) id: bool,
    /// A terminal gets nothing that steers it.
    pub(super) harmless: bool,
    pub(super) colour: bool,
}

/// What there is to print of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) topic: &'a str,
    pub(super) id: &'a str,
    pub(super) attempts: u16,
    /// Nanoseconds since 1970.
    pub(super) timestamp: i64,
    pub(super) nsqd: &'a str,
    pub(super) body: &'a [u8],
}

/// A message as an object of JSON.
#[derive(Serialize)]
struct Object<'a> {
    topic: &'a str,
    id: &'a str,
    attempts: u16,
    timestamp: i64,
    nsqd: &'a str,
    encoding: &'static str,
    body: Cow<'a, str>,
}

impl Style {
    /// Appends the message and the end of its line.
    pub(super) fn print(self, message: Shown<'_>, to: &mut Vec<u8>) {
        if self.json {
            object(message, to);
        } else {
            self.prefix(message, to);
            let pretty = if self.pretty { pretty(message.body) } else { None };
            let body = pretty.as_deref().unwrap_or(message.body);
            if self.harmless {
                to.extend_from_slice(output::harmless(body).as_bytes());
            } else {
                to.extend_from_slice(body);
            }
        }
        to.push(b'\n');
    }

    fn prefix(self, message: Shown<'_>, to: &mut Vec<u8>) {
        let mut parts = Vec::new();
        if self.timestamp {
            parts.push(Utc::from_unix_nanos(message.timestamp).to_string());
        }
        if self.topic {
            parts.push(message.topic.to_owned());
        }
        if self.id {
            parts.push(message.id.to_owned());
        }
        if self.attempts {
            parts.push(format!("attempts={}", message.attempts));
        }
        if parts.is_empty() {
            return;
        }
        let prefix = parts.join(" ") + " | ";
        let (on, off) = if self.colour { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        for text in [on, &prefix, off] {
            to.extend_from_slice(text.as_bytes());
        }
    }
}

fn object(message: Shown<'_>, to: &mut Vec<u8>) {
    let Shown { topic, id, attempts, timestamp, nsqd, body } = message;
    let (encoding, body) = match str::from_utf8(body) {
        Ok(text) => ("utf-8", Cow::Borrowed(text)),
        Err(_) => ("base64", Cow::Owned(BASE64_STANDARD.encode(body))),
    };
    // Text and numbers can always be written, and memory takes them.
    let _ = serde_json::to_writer(to, &Object { topic, id, attempts, timestamp, nsqd, encoding, body });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(style: Style, body: &[u8]) -> String {
        let mut text = Vec::new();
        let shown = Shown {
            topic: "orders",
            id: "0123456789abcdef",
            attempts: 2,
            timestamp: 1_795_334_400_123_456_789,
            nsqd: "127.0.0.1:4150",
            body,
        };
        style.print(shown, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_body_is_a_line() {
        assert_eq!(printed(Style::default(), b"hello"), "hello\n");
    }

    #[test]
    fn what_is_asked_for_stands_before_it() {
        assert_eq!(printed(Style { topic: true, ..Style::default() }, b"hello"), "orders | hello\n");
        let all = Style { topic: true, timestamp: true, attempts: true, id: true, ..Style::default() };
        assert_eq!(printed(all, b"hello"), "2026-11-22T08:00:00.123456Z orders 0123456789abcdef attempts=2 | hello\n");
        let coloured = Style { topic: true, colour: true, ..Style::default() };
        assert_eq!(printed(coloured, b"hello"), "\x1b[2morders | \x1b[0mhello\n");
    }

    #[test]
    fn json_is_pretty_and_all_else_stays() {
        let style = Style { pretty: true, ..Style::default() };
        assert_eq!(printed(style, b"{\"a\":1}"), "{\n  \"a\": 1\n}\n");
        assert_eq!(printed(style, b"{a:1}"), "{a:1}\n");
    }

    #[test]
    fn an_object_says_how_its_body_is_written() {
        let style = Style { json: true, ..Style::default() };
        assert_eq!(
            printed(style, "\"ü\"\n".as_bytes()),
            "{\"topic\":\"orders\",\"id\":\"0123456789abcdef\",\"attempts\":2,\"timestamp\":1795334400123456789,\
             \"nsqd\":\"127.0.0.1:4150\",\"encoding\":\"utf-8\",\"body\":\"\\\"ü\\\"\\n\"}\n"
        );
        assert!(printed(style, b"\xff\x00").ends_with("\"encoding\":\"base64\",\"body\":\"/wA=\"}\n"));
    }

    #[test]
    fn a_terminal_is_not_steered_by_a_message() {
        let style = Style { harmless: true, ..Style::default() };
        assert_eq!(printed(style, b"\x1b[31mred"), "\\x1b[31mred\n");
    }
}
