//! Answers with the headers of the real servers.

use std::borrow::Cow;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::ext::ReasonPhrase;
use serde::Serialize;

/// A refusal: its status, and the code that is its `message`.
///
/// In a handler: `return Err(HttpError::bad_request("MISSING_ARG_TOPIC"))`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpError {
    pub(crate) status: StatusCode,
    pub(crate) code: Cow<'static, str>,
}

/// `value` as JSON, with status 200.
pub(crate) fn json(value: &impl Serialize) -> Response {
    with_json(StatusCode::OK, value)
}

/// JSON that is already written.
pub(crate) fn raw_json(status: StatusCode, json: String) -> Response {
    (status, [(CONTENT_TYPE, JSON), NSQ], json).into_response()
}

/// Plain text of NSQ's own answers, such as the `OK` of `/pub`, with status 200. (`/ping` answers a bare `&str`.)
pub(crate) fn text(text: impl Into<Cow<'static, str>>) -> Response {
    ([NSQ], text.into()).into_response()
}

/// Success that has nothing to say: status 200, no body.
pub(crate) fn done() -> Response {
    [NSQ].into_response()
}

impl HttpError {
    pub(crate) fn new(status: StatusCode, code: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code: code.into() }
    }

    /// Status 400.
    pub(crate) fn bad_request(code: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code)
    }

    /// Status 404.
    pub(crate) fn not_found(code: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code)
    }

    /// Status 500, and why goes to the log only.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR")
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = with_json(self.status, &serde_json::json!({ "message": self.code }));
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            // Go has kept the older name.
            response.extensions_mut().insert(ReasonPhrase::from_static(b"Request Entity Too Large"));
        }
        response
    }
}

fn with_json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(CONTENT_TYPE, JSON), NSQ], escape(body)).into_response(),
        Err(error) => {
            tracing::error!(%error, "an HTTP answer can't be written as JSON");
            (StatusCode::INTERNAL_SERVER_ERROR, [NSQ]).into_response()
        }
    }
}

/// Go writes these so that a browser never takes them for HTML. In JSON they occur within strings only.
fn escape(json: Vec<u8>) -> Vec<u8> {
    if !json.iter().any(|byte| b"<>&".contains(byte)) {
        return json;
    }
    let mut escaped = Vec::with_capacity(json.len() + 16);
    for byte in json {
        match byte {
            b'<' => escaped.extend_from_slice(b"\\u003c"),
            b'>' => escaped.extend_from_slice(b"\\u003e"),
            b'&' => escaped.extend_from_slice(b"\\u0026"),
            other => escaped.push(other),
        }
    }
    escaped
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Says that the JSON isn't wrapped as it was before NSQ 1.0.
const NSQ: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-nsq-content-type"), HeaderValue::from_static("nsq; version=1.0"));
