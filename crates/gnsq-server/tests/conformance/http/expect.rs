//! The forms that answers have.

use super::{Answer, Http};

/// What is to come of a request: the status and the form of the rest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expect {
    /// An error's code, in JSON.
    Error(u16, &'static str),
    /// JSON.
    Json(&'static str),
    /// Plain text.
    Text(&'static str),
    /// Nothing but success.
    Empty,
}

pub(crate) use Expect::{Empty, Error, Json, Text};

impl Answer {
    /// # Panics
    ///
    /// If the answer isn't this one, in its status, its headers or its body.
    pub(crate) fn check(&self, expected: Expect, request: &str) {
        let (status, content_type, text) = match expected {
            Error(status, code) => (status, Some(JSON), format!("{{\"message\":\"{code}\"}}")),
            Json(text) => (200, Some(JSON), text.to_owned()),
            Text(text) => (200, Some(PLAIN), text.to_owned()),
            Empty => (200, None, String::new()),
        };
        assert_eq!((self.status, self.text()), (status, text.as_str()), "{request}");
        assert_eq!(self.header("content-type"), content_type, "{request}");
        assert_eq!(self.header("x-nsq-content-type"), Some("nsq; version=1.0"), "{request}");
        assert_eq!(self.header("content-length"), Some(text.len().to_string().as_str()), "{request}");
    }
}

impl Http {
    /// Sends each request, such as `POST /pub?topic=t`, with its body, and compares the answer.
    pub(crate) async fn check<T: AsRef<str>, B: AsRef<[u8]>>(&self, rows: impl IntoIterator<Item = (T, B, Expect)>) {
        for (request, body, expected) in rows {
            let (method, target) = request.as_ref().split_once(' ').unwrap();
            let answer = self.request(method, target, &[], body.as_ref()).await;
            answer.check(expected, request.as_ref());
        }
    }
}

const JSON: &str = "application/json; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
