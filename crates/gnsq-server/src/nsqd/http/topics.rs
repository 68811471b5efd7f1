//! `/topic/…`: creates, deletes, empties and pauses topics.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use gnsq_proto::TopicName;

use crate::http::{HttpError, Query, done};
use crate::nsqd::broker::Broker;
use crate::nsqd::topic::Topic;

pub(super) async fn create(State(broker): State<Arc<Broker>>, query: Query) -> Result<Response, HttpError> {
    broker.topic_or_create(&valid(name(&query)?)?)?;
    Ok(done())
}

/// A name that can't be is one that isn't there.
pub(super) async fn delete(State(broker): State<Arc<Broker>>, query: Query) -> Result<Response, HttpError> {
    if broker.delete_topic(name(&query)?) { Ok(done()) } else { Err(not_found()) }
}

pub(super) async fn empty(State(broker): State<Arc<Broker>>, query: Query) -> Result<Response, HttpError> {
    valid(name(&query)?)?;
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

fn existing(broker: &Broker, query: &Query) -> Result<Arc<Topic>, HttpError> {
    broker.topic(name(query)?).ok_or_else(not_found)
}

fn name(query: &Query) -> Result<&str, HttpError> {
    query.get("topic").ok_or(HttpError::bad_request("MISSING_ARG_TOPIC"))
}

fn valid(name: &str) -> Result<TopicName, HttpError> {
    TopicName::new(name).map_err(|_| HttpError::bad_request("INVALID_TOPIC"))
}

fn not_found() -> HttpError {
    HttpError::not_found("TOPIC_NOT_FOUND")
}
