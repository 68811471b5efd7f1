//! `/pub` and `/mpub`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use gnsq_proto::TopicName;

use crate::http::{BodyError, HttpError, Query, read_body, text};
use crate::nsqd::broker::Broker;
use crate::nsqd::budget::Refused;
use crate::nsqd::topic::Topic;

/// nsqd judges the body before the parameters.
pub(super) async fn publish(
    State(broker): State<Arc<Broker>>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, HttpError> {
    let body = read(body, broker.options().max_msg_size, "MSG_TOO_BIG").await?;
    if body.is_empty() {
        return Err(HttpError::bad_request("MSG_EMPTY"));
    }
    let query = Query::parse(&query.unwrap_or_default()).ok_or(HttpError::bad_request("INVALID_REQUEST"))?;
    let topic = topic_name(&query)?;
    let delay = query.get("defer").map(|millis| delay(millis, broker.options().max_req_timeout)).transpose()?;
    with_topic(&broker, &topic, |topic| topic.publish(broker.now(), &body, delay))?;
    Ok(text("OK"))
}

/// Judges an announced length first, then the parameters, then the body. The topic is there even if the body is refused.
pub(super) async fn publish_several(
    State(broker): State<Arc<Broker>>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, HttpError> {
    let options = broker.options();
    if body.size_hint().lower() > options.max_body_size as u64 {
        return Err(too_large("BODY_TOO_BIG"));
    }
    let query = Query::parse(&query.unwrap_or_default()).ok_or(HttpError::bad_request("INVALID_REQUEST"))?;
    let topic = topic_name(&query)?;
    broker.topic_or_create(&topic)?;
    let body = read(body, options.max_body_size, "BODY_TOO_BIG").await?;
    if query.flag("binary").unwrap_or(false) {
        let messages = BinaryMessages::parse(&body, options.max_msg_size, options.max_body_size)?;
        with_topic(&broker, &topic, |topic| topic.publish_all(broker.now(), messages.clone()))?;
    } else {
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        if lines.clone().any(|line| line.len() > options.max_msg_size) {
            return Err(too_large("MSG_TOO_BIG"));
        }
        with_topic(&broker, &topic, |topic| topic.publish_all(broker.now(), lines.clone()))?;
    }
    Ok(text("OK"))
}

/// The messages of a body in nsqd's binary form: their number, then the size and the bytes of each. What follows the
/// last one is ignored.
#[derive(Debug, Clone)]
struct BinaryMessages<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> BinaryMessages<'a> {
    fn parse(body: &'a [u8], max_msg_size: usize, max_body_size: usize) -> Result<Self, HttpError> {
        // Each takes its size and at least one byte.
        let most = max_body_size.saturating_sub(4) / 5;
        let (count, rest) = body.split_first_chunk().ok_or(too_large("BAD_BODY"))?;
        let left = usize::try_from(i32::from_be_bytes(*count))
            .ok()
            .filter(|count| (1..=most).contains(count))
            .ok_or(too_large("BAD_BODY"))?;
        let messages = Self { left, rest };
        if messages.clone().filter(|message| (1..=max_msg_size).contains(&message.len())).count() < left {
            return Err(too_large("BAD_MESSAGE"));
        }
        Ok(messages)
    }
}

/// Ends early where the body does.
impl<'a> Iterator for BinaryMessages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (size, rest) = self.rest.split_first_chunk()?;
        let (message, rest) = rest.split_at_checked(usize::try_from(i32::from_be_bytes(*size)).ok()?)?;
        self.rest = rest;
        Some(message)
    }
}

async fn read(body: Body, limit: usize, code_over_limit: &'static str) -> Result<Bytes, HttpError> {
    read_body(body, limit).await.map_err(|error| match error {
        BodyError::TooLarge => too_large(code_over_limit),
        BodyError::Unreadable => HttpError::internal(),
    })
}

fn topic_name(query: &Query) -> Result<TopicName, HttpError> {
    let name = query.get("topic").ok_or(HttpError::bad_request("MISSING_ARG_TOPIC"))?;
    TopicName::new(name).map_err(|_| HttpError::bad_request("INVALID_TOPIC"))
}

/// Milliseconds, as Go reads them: with a sign, if need be, and nothing around it.
fn delay(millis: &str, max: Duration) -> Result<Duration, HttpError> {
    let millis = millis.parse::<i64>().ok().and_then(|millis| u64::try_from(millis).ok());
    millis.map(Duration::from_millis).filter(|delay| *delay <= max).ok_or(HttpError::bad_request("INVALID_DEFER"))
}

/// Publishes to the topic, once more if it was deleted meanwhile.
fn with_topic(
    broker: &Arc<Broker>,
    name: &TopicName,
    publish: impl Fn(&Topic) -> Result<(), Refused>,
) -> Result<(), Refused> {
    loop {
        match publish(&*broker.topic_or_create(name)?) {
            Err(Refused::Deleted) => {}
            result => return result,
        }
    }
}

fn too_large(code: &'static str) -> HttpError {
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the sizes say: messages within the limits, or an error.
        #[test]
        fn a_binary_body_has_as_many_messages_as_it_says_or_is_refused(
            count in -1_i32..5,
            messages in prop::collection::vec((-1_i32..7, prop::collection::vec(any::<u8>(), 0..7)), 0..5),
        ) {
            let mut body = count.to_be_bytes().to_vec();
            for (size, message) in &messages {
                // Mostly the right one.
                let size = if *size < 2 { *size } else { i32::try_from(message.len()).unwrap() };
                body.extend(size.to_be_bytes());
                body.extend(message);
            }
            match BinaryMessages::parse(&body, 5, 100) {
                Ok(parsed) => {
                    prop_assert_eq!(parsed.clone().count(), usize::try_from(count).unwrap());
                    prop_assert!(parsed.clone().all(|message| (1..=5).contains(&message.len())));
                    let length: usize = parsed.map(|message| 4 + message.len()).sum();
                    prop_assert!(4 + length <= body.len());
                }
                Err(error) => prop_assert!(["BAD_BODY", "BAD_MESSAGE"].contains(&&*error.code)),
            }
        }
    }

    #[test]
    fn a_delay_is_a_number_of_milliseconds_up_to_the_limit() {
        let max = Duration::from_secs(10);
        for (text, millis) in [("0", 0), ("10000", 10_000), ("+7", 7), ("007", 7)] {
            assert_eq!(delay(text, max), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "-1", "10001", "1.5", " 1", "1 ", "0x1", "1e3", "9223372036854775807", "99999999999999999999"]
        {
            assert_eq!(delay(text, max), Err(HttpError::bad_request("INVALID_DEFER")), "{text}");
        }
    }
}
