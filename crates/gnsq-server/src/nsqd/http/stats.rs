//! `/stats`, as JSON and as text.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::go;
use super::stats_text::StatsText;
use crate::http::{Query, json, text};
use crate::nsqd::broker::Broker;
use crate::nsqd::stats::{MemoryStats, Stats, StatsFilter};

pub(super) async fn stats(State(broker): State<Arc<Broker>>, query: Query) -> Response {
    let asked = |name| query.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let filter = StatsFilter {
        topic: asked("topic"),
        channel: asked("channel"),
        clients: query.flag("include_clients").unwrap_or(true),
        memory: query.flag("include_mem").unwrap_or(true),
    };
    let is_missing = filter.topic.as_ref().is_some_and(|topic| broker.topic(topic).is_none());
    let mut stats = broker.stats(&filter);
    if is_missing {
        stats.topics.clear();
        stats.producers.clear();
    }
    if query.get("format") != Some("json") {
        let now = broker.now().unix_nanos / go::NANOS;
        return text(StatsText { stats: &stats, uptime: broker.uptime(), now }.to_string());
    }
    if is_missing { json(&WithoutTopic::from(&stats)) } else { json(&stats) }
}

/// What is told when the topic that was asked for isn't there: `null` for topics and producers.
#[derive(Serialize)]
struct WithoutTopic<'a> {
    version: &'a str,
    health: &'a str,
    start_time: i64,
    topics: (),
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<&'a MemoryStats>,
    producers: (),
}

impl<'a> From<&'a Stats> for WithoutTopic<'a> {
    fn from(stats: &'a Stats) -> Self {
        Self {
            version: &stats.version,
            health: &stats.health,
            start_time: stats.start_time,
            topics: (),
            memory: stats.memory.as_ref(),
            producers: (),
        }
    }
}
