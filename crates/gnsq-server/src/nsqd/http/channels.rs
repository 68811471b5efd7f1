//! `/channel/…`: creates, deletes, empties and pauses channels of topics that exist.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use gnsq_proto::{ChannelName, TopicName};

use crate::http::{HttpError, Query, done};
use crate::nsqd::broker::Broker;
use crate::nsqd::budget::Refused;
use crate::nsqd::channel::Channel;
use crate::nsqd::topic::Topic;

pub(super) async fn create(State(broker): State<Arc<Broker>>, query: Query) -> Result<Response, HttpError> {
    let (topic, channel) = topic_and_name(&broker, &query)?;
    match topic.channel_or_create(&channel) {
        Ok(_) => Ok(done()),
        Err(Refused::Deleted) => Err(no_topic()),
        Err(refused) => Err(refused.into()),
    }
}

pub(super) async fn delete(State(broker): State<Arc<Broker>>, query: Query) -> Result<Response, HttpError> {
    let (topic, channel) = topic_and_name(&broker, &query)?;
    if topic.delete_channel(channel.as_str()) { Ok(done()) } else { Err(no_channel()) }
}

pub(super) async fn empty(State(broker): State<Arc<Broker>>, query: Query) -> Result<Response, HttpError> {
    existing(&broker, &query)?.empty();
    Ok(done())
}

pub(super) async fn pause(State(broker): State<Arc<Broker>>, query: Query) -> Result<Response, HttpError> {
    existing(&broker, &query)?.set_paused(true);
    Ok(done())
}

pub(super) async fn unpause(State(broker): State<Arc<Broker>>, query: Query) -> Result<Response, HttpError> {
    existing(&broker, &query)?.set_paused(false);
    Ok(done())
}

fn existing(broker: &Broker, query: &Query) -> Result<Arc<Channel>, HttpError> {
    let (topic, channel) = topic_and_name(broker, query)?;
    topic.channel(channel.as_str()).ok_or_else(no_channel)
}

/// Both names are judged before the topic is looked for.
fn topic_and_name(broker: &Broker, query: &Query) -> Result<(Arc<Topic>, ChannelName), HttpError> {
    let topic = query.get("topic").ok_or(HttpError::bad_request("MISSING_ARG_TOPIC"))?;
    let topic = TopicName::new(topic).map_err(|_| HttpError::bad_request("INVALID_ARG_TOPIC"))?;
    let channel = query.get("channel").ok_or(HttpError::bad_request("MISSING_ARG_CHANNEL"))?;
    let channel = ChannelName::new(channel).map_err(|_| HttpError::bad_request("INVALID_ARG_CHANNEL"))?;
    Ok((broker.topic(topic.as_str()).ok_or_else(no_topic)?, channel))
}

fn no_topic() -> HttpError {
    HttpError::not_found("TOPIC_NOT_FOUND")
}

fn no_channel() -> HttpError {
    HttpError::not_found("CHANNEL_NOT_FOUND")
}
