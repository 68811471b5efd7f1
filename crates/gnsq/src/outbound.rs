//! What is to be published, once it is known that nsqd will take it.

use std::time::Duration;

use bytes::Bytes;
use gnsq_proto::command::Batch;
use gnsq_proto::{Command, PublishLimits, TopicName};

use crate::error::{Error, Result};

/// A publish that nsqd has no reason to refuse, by name or size: refused, it would end a connection that others share.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) command: Command,
    /// What it counts in bytes against what may be outstanding.
    pub(crate) size: usize,
}

impl Outbound {
    pub(crate) fn message<T>(limits: &PublishLimits, topic: T, body: impl Into<Bytes>) -> Result<Self>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        let topic = topic.try_into().map_err(Into::into)?;
        let body = body.into();
        limits.check_message(&body)?;
        Ok(Self { size: body.len(), command: Command::Pub { topic, body } })
    }

    pub(crate) fn deferred<T>(limits: &PublishLimits, topic: T, body: impl Into<Bytes>, delay: Duration) -> Result<Self>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        let topic = topic.try_into().map_err(Into::into)?;
        let body = body.into();
        limits.check_message(&body)?;
        limits.check_delay(delay)?;
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Ok(Self { size: body.len(), command: Command::Dpub { topic, delay_ms, body } })
    }

    pub(crate) fn batch<T, B>(limits: &PublishLimits, topic: T, bodies: impl IntoIterator<Item = B>) -> Result<Self>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
        B: Into<Bytes>,
    {
        Self::packed(limits, topic, bodies.into_iter().map(Into::into).collect())
    }

    pub(crate) fn packed<T>(limits: &PublishLimits, topic: T, bodies: Batch) -> Result<Self>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        let topic = topic.try_into().map_err(Into::into)?;
        limits.check_batch(&bodies)?;
        Ok(Self { size: bodies.size(), command: Command::Mpub { topic, bodies } })
    }
}
