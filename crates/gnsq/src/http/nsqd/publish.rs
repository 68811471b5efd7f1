//! Publishing over HTTP.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use gnsq_proto::TopicName;

use super::NsqdHttpClient;
use crate::http::HttpError;

impl NsqdHttpClient {
    /// Publishes one message. It is nsqd's when this returns `Ok`.
    ///
    /// # Errors
    ///
    /// [`EmptyMessage`](HttpError::EmptyMessage); [`Status`](HttpError::Status) with `MSG_TOO_BIG` (nsqd's limit is
    /// 1 MiB unless set otherwise) or `EXITING` (nsqd is shutting down). After an error of which
    /// [`outcome_unknown`](HttpError::outcome_unknown) is true, publishing again may duplicate the message.
    pub async fn publish(&self, topic: &TopicName, body: impl Into<Bytes>) -> Result<(), HttpError> {
        let body = not_empty(topic, 0, body.into())?;
        self.transport.post(&["pub"]).query("topic", topic.as_str()).body(body).send().await?.ok()
    }

    /// Publishes one message that no consumer gets before `delay` is over, counted from when nsqd hands it to a
    /// channel. nsqd counts in milliseconds; a part of one is rounded up.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`Status`](HttpError::Status) with `INVALID_DEFER` for a delay longer than
    /// nsqd allows: 1 hour unless set otherwise.
    pub async fn publish_deferred(
        &self,
        topic: &TopicName,
        body: impl Into<Bytes>,
        delay: Duration,
    ) -> Result<(), HttpError> {
        let body = not_empty(topic, 0, body.into())?;
        let milliseconds = delay.as_nanos().div_ceil(1_000_000).to_string();
        let request = self.transport.post(&["pub"]).query("topic", topic.as_str()).query("defer", &milliseconds);
        request.body(body).send().await?.ok()
    }

    /// Publishes several messages, which may have any bytes in them, with one request.
    ///
    /// nsqd takes them one after the other: when it fails (a status of 500 or more), it may have taken some.
    ///
    /// ```no_run
    /// # async fn example(nsqd: gnsq::http::NsqdHttpClient) -> Result<(), Box<dyn std::error::Error>> {
    /// nsqd.multipublish(&gnsq::TopicName::new("orders")?, ["paid", "sent"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmptyBatch`](HttpError::EmptyBatch), [`EmptyMessage`](HttpError::EmptyMessage),
    /// [`BatchTooLarge`](HttpError::BatchTooLarge); [`Status`](HttpError::Status) with `BODY_TOO_BIG` (nsqd's limit
    /// is 5 MiB unless set otherwise), `BAD_MESSAGE` (one message is over nsqd's limit) or `EXITING`.
    pub async fn multipublish<B: Into<Bytes>>(
        &self,
        topic: &TopicName,
        bodies: impl IntoIterator<Item = B>,
    ) -> Result<(), HttpError> {
        let batch = batch(topic, bodies)?;
        let request = self.transport.post(&["mpub"]).query("topic", topic.as_str()).query("binary", "true");
        request.body(batch).send().await?.ok()
    }
}

fn not_empty(topic: &TopicName, index: usize, body: Bytes) -> Result<Bytes, HttpError> {
    if body.is_empty() {
        return Err(HttpError::EmptyMessage { topic: topic.clone(), index });
    }
    Ok(body)
}

/// The messages' number, and each with its size before it; both are signed 32-bit numbers to nsqd.
fn batch<B: Into<Bytes>>(topic: &TopicName, bodies: impl IntoIterator<Item = B>) -> Result<Bytes, HttpError> {
    let too_large = |_| HttpError::BatchTooLarge { topic: topic.clone() };
    let mut batch = BytesMut::new();
    batch.put_i32(0);
    let mut count = 0;
    for body in bodies {
        let body = not_empty(topic, count, body.into())?;
        batch.put_i32(i32::try_from(body.len()).map_err(too_large)?);
        batch.put(body);
        i32::try_from(batch.len()).map_err(too_large)?;
        count += 1;
    }
    if count == 0 {
        return Err(HttpError::EmptyBatch { topic: topic.clone() });
    }
    let count = i32::try_from(count).map_err(too_large)?;
    batch[..size_of::<i32>()].copy_from_slice(&count.to_be_bytes());
    Ok(batch.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_counted_and_each_message_measured() {
        let topic = TopicName::new("t").unwrap();
        assert_eq!(batch(&topic, ["a", "bc"]).unwrap(), &b"\0\0\0\x02\0\0\0\x01a\0\0\0\x02bc"[..]);
    }

    #[test]
    fn nothing_empty_is_sent() {
        let topic = TopicName::new("t").unwrap();
        assert!(matches!(batch(&topic, [""; 0]), Err(HttpError::EmptyBatch { .. })));
        assert!(matches!(batch(&topic, ["a", ""]), Err(HttpError::EmptyMessage { index: 1, .. })));
    }
}
