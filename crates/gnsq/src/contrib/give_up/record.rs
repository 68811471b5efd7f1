//! A message as a line of JSON.

use std::borrow::Cow;

use serde::Serialize;

use crate::events::MessageEvent;

/// What a line tells, as `gnsq tail --json` does.
#[derive(Serialize)]
struct Record<'a> {
    topic: &'a str,
    id: String,
    attempts: u16,
    /// Nanoseconds since 1970.
    timestamp: i64,
    nsqd: String,
    encoding: &'static str,
    body: Cow<'a, str>,
}

/// The message as an object of JSON, without the end of its line.
pub(super) fn record(message: &MessageEvent) -> String {
    let (encoding, body) = match str::from_utf8(&message.body) {
        Ok(text) => ("utf-8", Cow::Borrowed(text)),
        Err(_) => ("base64", Cow::Owned(base64(&message.body))),
    };
    let record = Record {
        topic: message.topic.as_str(),
        id: message.id.to_string(),
        attempts: message.attempts,
        timestamp: message.timestamp,
        nsqd: message.nsqd.to_string(),
        encoding,
        body,
    };
    serde_json::to_string(&record).expect("texts and numbers can always be written")
}

/// The bytes in base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]);
            text.push(if place <= group.len() { letter } else { '=' });
        }
    }
    text
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use gnsq_proto::{MessageId, TopicName};

    use super::*;

    fn of(body: &'static [u8]) -> String {
        record(&MessageEvent {
            nsqd: "127.0.0.1:4150".parse().unwrap(),
            topic: TopicName::new("orders").unwrap(),
            id: MessageId(*b"0123456789abcdef"),
            attempts: 6,
            timestamp: 1_795_334_400_123_456_789,
            body: body.into(),
        })
    }

    #[test]
    fn text_stays_text_on_one_line() {
        let start = concat!(
            r#"{"topic":"orders","id":"0123456789abcdef","attempts":6,"timestamp":1795334400123456789,"#,
            r#""nsqd":"127.0.0.1:4150","#
        );
        assert_eq!(of("a \"b\"\nö".as_bytes()), format!(r#"{start}"encoding":"utf-8","body":"a \"b\"\nö"}}"#));
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        assert!(of(b"\xfb\xff\xfe").ends_with(r#""encoding":"base64","body":"+//+"}"#));
    }

    #[test]
    fn base64_is_as_the_rfc_shows() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
