//! Reads a request's body no further than its limit.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// Why a body can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BodyError {
    #[error("the body is over its limit")]
    TooLarge,
    /// Broken off, or chunked against the rules.
    #[error("the body ends before its end or is malformed")]
    Unreadable,
}

/// The whole body, if it has no more than `limit` bytes. An announced length over the limit is refused unread.
pub(crate) async fn read_body(mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(BodyError::TooLarge);
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|_| BodyError::Unreadable)?.into_data() else { continue };
        let length = first.len() + rest.len() + data.len();
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        // Most bodies come in one piece, which isn't copied.
        if length == data.len() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            // Not what was announced: who announces much and sends little gets no memory for it.
            rest.reserve(length);
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read() {
        assert_eq!(read_body(Body::from("four"), 4).await.as_deref(), Ok(&b"four"[..]));
        assert_eq!(read_body(Body::empty(), 0).await.as_deref(), Ok(&b""[..]));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        assert_eq!(read_body(Body::from("fives"), 4).await, Err(BodyError::TooLarge));
    }
}
