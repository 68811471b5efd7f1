//! nsqlookupd's HTTP API.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use gnsq_proto::{ChannelName, TopicName};
use serde::Serialize;
use serde_json::json;

use super::Shared;
use super::producer::Producer;
use super::registry::Full;
use crate::clock::Tick;
use crate::http::{BodyError, HttpError, Query, done, json, read_body, with_fallbacks};
use crate::version::NSQ_VERSION;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let router = Router::new()
        .route("/ping", get(async || "OK"))
        .route("/info", get(async || json(&json!({ "version": NSQ_VERSION }))))
        .route("/lookup", get(lookup))
        .route("/topics", get(topics))
        .route("/channels", get(channels))
        .route("/nodes", get(nodes))
        .route("/topic/create", post(create_topic))
        .route("/topic/delete", post(delete_topic))
        .route("/topic/tombstone", post(tombstone))
        .route("/channel/create", post(create_channel))
        .route("/channel/delete", post(delete_channel))
        .route("/debug", get(debug))
        .with_state(shared);
    with_fallbacks(router)
}

async fn lookup(State(shared): State<Arc<Shared>>, arguments: Arguments) -> Result<Response, HttpError> {
    let topic = arguments.any("topic", "MISSING_ARG_TOPIC")?;
    let registry = shared.registry.lock();
    let producers = registry.lookup(topic, shared.clock.now()).ok_or(HttpError::not_found("TOPIC_NOT_FOUND"))?;
    let answer = Lookup {
        channels: registry.channels(topic).map(ChannelName::as_str).collect(),
        producers: producers.collect(),
    };
    Ok(json(&answer))
}

async fn topics(State(shared): State<Arc<Shared>>) -> Response {
    let registry = shared.registry.lock();
    json(&json!({ "topics": registry.topics().map(TopicName::as_str).collect::<Vec<_>>() }))
}

async fn channels(State(shared): State<Arc<Shared>>, arguments: Arguments) -> Result<Response, HttpError> {
    let topic = arguments.any("topic", "MISSING_ARG_TOPIC")?;
    let registry = shared.registry.lock();
    Ok(json(&json!({ "channels": registry.channels(topic).map(ChannelName::as_str).collect::<Vec<_>>() })))
}

async fn nodes(State(shared): State<Arc<Shared>>) -> Response {
    let registry = shared.registry.lock();
    let nodes = registry.nodes(shared.clock.now()).map(|(producer, topics)| {
        let (topics, tombstones) = topics.into_iter().map(|(topic, tombstone)| (topic.as_str(), tombstone)).unzip();
        Node { producer, tombstones, topics }
    });
    json(&Nodes { producers: nodes.collect() })
}

async fn create_topic(State(shared): State<Arc<Shared>>, arguments: Arguments) -> Result<Response, HttpError> {
    let topic = arguments.topic()?;
    shared.change(|registry| registry.create(topic, None))?;
    Ok(done())
}

async fn create_channel(State(shared): State<Arc<Shared>>, arguments: Arguments) -> Result<Response, HttpError> {
    let (topic, channel) = arguments.topic_and_channel()?;
    shared.change(|registry| registry.create(topic, Some(channel)))?;
    Ok(done())
}

async fn delete_topic(State(shared): State<Arc<Shared>>, arguments: Arguments) -> Result<Response, HttpError> {
    let topic = arguments.any("topic", "MISSING_ARG_TOPIC")?;
    shared.change(|registry| registry.delete_topic(topic));
    Ok(done())
}

async fn delete_channel(State(shared): State<Arc<Shared>>, arguments: Arguments) -> Result<Response, HttpError> {
    let (topic, channel) = arguments.topic_and_channel()?;
    if shared.change(|registry| registry.delete_channel(topic.as_str(), channel.as_str())) {
        Ok(done())
    } else {
        Err(HttpError::not_found("CHANNEL_NOT_FOUND"))
    }
}

async fn tombstone(State(shared): State<Arc<Shared>>, arguments: Arguments) -> Result<Response, HttpError> {
    let topic = arguments.any("topic", "MISSING_ARG_TOPIC")?;
    let node = arguments.any("node", "MISSING_ARG_NODE")?;
    let now = shared.clock.now();
    shared.change(|registry| registry.tombstone(topic, node, now));
    Ok(done())
}

async fn debug(State(shared): State<Arc<Shared>>) -> Response {
    let (now, now_unix) = (shared.clock.now(), shared.clock.unix_nanos());
    let unix = |moment: Tick| now_unix - i64::try_from(now.since(moment).as_nanos()).unwrap_or(0);
    let registry = shared.registry.lock();
    let entries = registry.entries().into_iter().map(|(name, entries)| {
        let entries = entries.into_iter().map(|entry| {
            let producer = &entry.peer.producer;
            DebugEntry {
                broadcast_address: &producer.broadcast_address,
                hostname: &producer.hostname,
                http_port: producer.http_port,
                id: &producer.remote_address,
                last_update: unix(entry.peer.last_update),
                tcp_port: producer.tcp_port,
                tombstoned: entry.tombstoned_at.is_some(),
                tombstoned_at: entry.tombstoned_at.map_or(NEVER, unix),
                version: &producer.version,
            }
        });
        (name, entries.collect::<Vec<_>>())
    });
    json(&entries.collect::<BTreeMap<_, _>>())
}

/// The query of a request whose body has been read, which nsqlookupd does before it looks at either.
struct Arguments(Query);

impl Arguments {
    /// A parameter that may have any value.
    fn any(&self, name: &str, missing: &'static str) -> Result<&str, HttpError> {
        self.0.get(name).ok_or(HttpError::bad_request(missing))
    }

    fn topic(&self) -> Result<TopicName, HttpError> {
        let topic = self.any("topic", "MISSING_ARG_TOPIC")?;
        TopicName::new(topic).map_err(|_| HttpError::bad_request("INVALID_ARG_TOPIC"))
    }

    fn topic_and_channel(&self) -> Result<(TopicName, ChannelName), HttpError> {
        let topic = self.topic()?;
        let channel = self.any("channel", "MISSING_ARG_CHANNEL")?;
        let channel = ChannelName::new(channel).map_err(|_| HttpError::bad_request("INVALID_ARG_CHANNEL"))?;
        Ok((topic, channel))
    }
}

impl FromRequest<Arc<Shared>> for Arguments {
    type Rejection = HttpError;

    async fn from_request(request: Request<Body>, shared: &Arc<Shared>) -> Result<Self, HttpError> {
        let (mut parts, body) = request.into_parts();
        let query = Query::from_request_parts(&mut parts, shared).await?;
        match read_body(body, shared.max_body_size).await {
            Ok(_) => Ok(Self(query)),
            Err(BodyError::Unreadable) => Err(HttpError::bad_request("INVALID_REQUEST")),
            Err(BodyError::TooLarge) => Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_BIG")),
        }
    }
}

impl From<Full> for HttpError {
    fn from(full: Full) -> Self {
        tracing::warn!(error = %full, "a topic or channel isn't created");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_REGISTRATIONS")
    }
}

#[derive(Serialize)]
struct Lookup<'a> {
    channels: Vec<&'a str>,
    producers: Vec<&'a Producer>,
}

#[derive(Serialize)]
struct Nodes<'a> {
    producers: Vec<Node<'a>>,
}

/// Two lists side by side.
#[derive(Serialize)]
struct Node<'a> {
    #[serde(flatten)]
    producer: &'a Producer,
    tombstones: Vec<bool>,
    topics: Vec<&'a str>,
}

/// In the order of Go's maps.
#[derive(Serialize)]
struct DebugEntry<'a> {
    broadcast_address: &'a str,
    hostname: &'a str,
    http_port: i64,
    id: &'a str,
    last_update: i64,
    tcp_port: i64,
    tombstoned: bool,
    tombstoned_at: i64,
    version: &'a str,
}

/// What Go makes of a time that was never set.
const NEVER: i64 = -6_795_364_578_871_345_152;
