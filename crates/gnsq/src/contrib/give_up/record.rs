//! A message as a line of JSON.

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine};
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
        Err(_) => ("base64", Cow::Owned(BASE64_STANDARD.encode(&message.body))),
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
}
