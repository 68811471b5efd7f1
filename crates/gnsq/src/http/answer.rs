//! What an answer's body means.

use std::error::Error as StdError;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::HttpError;

/// A server's whole answer.
pub(super) struct Answer {
    pub(super) url: String,
    pub(super) status: u16,
    /// If it is text.
    pub(super) content_type: Option<String>,
    pub(super) body: Bytes,
}

impl Answer {
    /// Passes on an answer that tells of success, be it by its HTTP status or, from servers before 1.0, within.
    pub(super) fn succeeded(self) -> Result<Self, HttpError> {
        if self.status != 200 {
            let code = self.code();
            return Err(HttpError::Status { url: self.url, status: self.status, code });
        }
        match Envelope::of(&self.body) {
            Some(envelope) if envelope.status != 200 => {
                Err(HttpError::Status { url: self.url, status: envelope.status, code: envelope.text })
            }
            _ => Ok(self),
        }
    }

    /// The JSON in it, taken out of the envelope of servers before 1.0.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        match Envelope::of(&self.body) {
            Some(envelope) => serde_json::from_value(envelope.data),
            None => serde_json::from_slice(&self.body),
        }
        .map_err(|error| self.unexpected(error))
    }

    /// Makes sure that it is the `OK` with which NSQ answers, so that another web server's page can't pass for it.
    pub(super) fn ok(&self) -> Result<(), HttpError> {
        if self.body.trim_ascii() == b"OK" || Envelope::of(&self.body).is_some() {
            return Ok(());
        }
        Err(self.unexpected("expected OK"))
    }

    pub(super) fn text(&self) -> Result<String, HttpError> {
        match str::from_utf8(&self.body) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(self.unexpected(error)),
        }
    }

    pub(super) fn unexpected(&self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> HttpError {
        HttpError::UnexpectedBody { url: self.url.clone(), body: beginning(&self.body), source: source.into() }
    }

    /// NSQ's word for what went wrong: `{"message": "CODE"}`, the old `{"status_txt": "CODE"}`, or plain text.
    fn code(&self) -> String {
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(Value::Object(fields)) => ["message", "status_txt"]
                .iter()
                .find_map(|field| fields.get(*field)?.as_str())
                .map(|code| beginning(code.as_bytes()))
                .unwrap_or_default(),
            _ => beginning(self.body.split(|byte| *byte == b'\n').next().unwrap_or_default()).trim().to_owned(),
        }
    }
}

/// How servers before 1.0 wrap an answer: `{"status_code": 200, "status_txt": "OK", "data": …}`.
struct Envelope {
    status: u16,
    text: String,
    data: Value,
}

impl Envelope {
    fn of(body: &[u8]) -> Option<Self> {
        // Looked for before parsing, which for the statistics of a large cluster would cost as much as reading them.
        if !body.windows(STATUS_CODE.len()).take(ENVELOPE_HEAD).any(|window| window == STATUS_CODE) {
            return None;
        }
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else { return None };
        let status = u16::try_from(fields.get("status_code")?.as_u64()?).ok()?;
        let text = beginning(fields.get("status_txt")?.as_str()?.as_bytes());
        Some(Self { status, text, data: fields.remove("data")? })
    }
}

/// The first characters of what a stranger sent, for an error.
fn beginning(body: &[u8]) -> String {
    let text = &body[..body.len().min(4 * MAX_SHOWN)];
    String::from_utf8_lossy(text).chars().take(MAX_SHOWN).collect()
}

const MAX_SHOWN: usize = 200;

/// The key by which an envelope is known.
const STATUS_CODE: &[u8] = b"\"status_code\"";

/// The envelope's first key is `status_code` (Go keeps the order of the fields), with little before it.
const ENVELOPE_HEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { url: "http://a/".into(), status, content_type: None, body: body.to_owned().into() }
    }

    #[test]
    fn json_comes_bare_or_in_the_old_envelope() {
        for body in [r#"["a"]"#, r#"{"status_code":200,"status_txt":"OK","data":["a"]}"#] {
            let names: Vec<String> = answer(200, body).succeeded().unwrap().json().unwrap();
            assert_eq!(names, ["a"]);
        }
        answer(200, r#"{"status_code":200,"status_txt":"OK","data":null}"#).ok().unwrap();
    }

    #[test]
    fn the_code_is_found_in_every_generation_of_errors() {
        for (status, body, code) in [
            (404, r#"{"message":"TOPIC_NOT_FOUND"}"#, "TOPIC_NOT_FOUND"),
            (500, r#"{"status_code":500,"status_txt":"MISSING_ARG_TOPIC","data":null}"#, "MISSING_ARG_TOPIC"),
            (500, "NOK - disk full\n", "NOK - disk full"),
            (502, "", ""),
            (500, r#"{"message":5}"#, ""),
        ] {
            let Err(HttpError::Status { status: seen, code: word, .. }) = answer(status, body).succeeded() else {
                panic!("{body}")
            };
            assert_eq!((seen, word.as_str()), (status, code));
        }
    }

    #[test]
    fn a_failure_inside_the_old_envelope_is_one() {
        let body = r#"{"status_code":404,"status_txt":"TOPIC_NOT_FOUND","data":null}"#;
        assert!(answer(200, body).succeeded().err().unwrap().is_not_found());
    }

    #[test]
    fn another_servers_page_is_no_ok() {
        let error = answer(200, &"<html>".repeat(1000)).ok().unwrap_err().to_string();
        assert!(error.contains("<html>") && error.len() < 400, "{error}");
        assert!(answer(200, "OK\n").ok().is_ok());
    }

    #[test]
    fn text_that_is_not_utf_8_is_told() {
        let answer = Answer { url: String::new(), status: 200, content_type: None, body: Bytes::from_static(b"a\xff") };
        assert!(matches!(answer.text(), Err(HttpError::UnexpectedBody { .. })));
    }
}
