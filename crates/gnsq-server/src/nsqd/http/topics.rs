//! `/topic/…`: creates, deletes, empties and pauses topics.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use gnsq_proto::TopicName;

use super::Api;
use crate::http::{HttpError, Query, done};
use crate::nsqd::topic::Topic;

pub(super) async fn create(State(api): State<Arc<Api>>, query: Query) -> Result<Response, HttpError> {
    api.broker.topic_or_create(&valid(name(&query)?)?)?;
    Ok(done())
}

/// A name that can't be is one that isn't there.
pub(super) async fn delete(State(api): State<Arc<Api>>, query: Query) -> Result<Response, HttpError> {
    if api.broker.delete_topic(name(&query)?) { Ok(done()) } else { Err(not_found()) }
}

pub(super) async fn empty(State(api): State<Arc<Api>>, query: Query) -> Result<Response, HttpError> {
    valid(name(&query)?)?;
    existing(&api, &query)?.empty();
    Ok(done())
}

pub(super) async fn pause(State(api): State<Arc<Api>>, query: Query) -> Result<Response, HttpError> {
    existing(&api, &query)?.set_paused(true);
    Ok(done())
}

pub(super) async fn unpause(State(api): State<Arc<Api>>, query: Query) -> Result<Response, HttpError> {
    existing(&api, &query)?.set_paused(false);
    Ok(done())
}

fn existing(api: &Api, query: &Query) -> Result<Arc<Topic>, HttpError> {
    api.broker.topic(name(query)?).ok_or_else(not_found)
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
