//! The HTTP API of an nsqd.

mod channels;
mod config;
mod debug;
mod go;
mod info;
mod publish;
mod stats;
mod stats_text;
mod topics;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post, put};

use super::broker::Broker;
use super::budget::Refused;
use crate::http::{HttpError, raw_json, with_fallbacks};
use crate::listen::BoundAddress;
use crate::tls::TlsRequired;

/// The API as it is served under TLS.
pub(super) fn router(broker: Arc<Broker>) -> Router {
    let router = Router::new()
        .route("/ping", get(async || "OK"))
        .route("/info", get(info::info))
        .route("/pub", post(publish::publish))
        .route("/mpub", post(publish::publish_several))
        .route("/stats", get(stats::stats))
        .route("/topic/create", post(topics::create))
        .route("/topic/delete", post(topics::delete))
        .route("/topic/empty", post(topics::empty))
        .route("/topic/pause", post(topics::pause))
        .route("/topic/unpause", post(topics::unpause))
        .route("/channel/create", post(channels::create))
        .route("/channel/delete", post(channels::delete))
        .route("/channel/empty", post(channels::empty))
        .route("/channel/pause", post(channels::pause))
        .route("/channel/unpause", post(channels::unpause))
        .route("/config/{option}", get(config::read).put(config::write))
        .route("/debug/pprof/", get(debug::of_go))
        .route("/debug/pprof/symbol", get(debug::of_go).post(debug::of_go))
        .route("/debug/setblockrate", put(debug::of_go))
        .route("/debug/freememory", post(debug::of_go));
    let profiles = debug::PROFILES.iter();
    let router =
        profiles.fold(router, |router, profile| router.route(&format!("/debug/pprof/{profile}"), get(debug::of_go)));
    with_fallbacks(router.with_state(broker))
}

/// The API as it is served without TLS: nothing but a refusal, if TLS is required.
pub(super) fn plain_router(broker: Arc<Broker>) -> Router {
    if broker.options().tls.as_ref().is_none_or(|tls| tls.effective_required() != TlsRequired::All) {
        return router(broker);
    }
    let https = broker.surroundings().https_address.as_ref();
    let port = https.and_then(BoundAddress::tcp).map_or(0, |address| address.port());
    // With spaces, as nsqd writes nothing else.
    let refusal = format!(r#"{{"message": "TLS_REQUIRED", "https_port": {port}}}"#);
    Router::new().fallback(async move || raw_json(StatusCode::FORBIDDEN, refusal.clone()))
}

/// 503: a limit of the server is reached. nsqd has none that it would tell of, so the text is ours.
impl From<Refused> for HttpError {
    fn from(refused: Refused) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, refused.to_string())
    }
}
