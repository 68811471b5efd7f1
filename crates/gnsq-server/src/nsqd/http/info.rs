//! `/info`: which nsqd this is.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::Api;
use crate::http::json;
use crate::listen::BoundAddress;
use crate::version::NSQ_VERSION;

#[derive(Serialize)]
struct Info<'a> {
    version: &'a str,
    broadcast_address: &'a str,
    hostname: &'a str,
    /// -1 on a unix socket.
    http_port: i32,
    tcp_port: i32,
    /// Seconds.
    start_time: i64,
    /// Nanoseconds.
    max_heartbeat_interval: u128,
    max_output_buffer_size: usize,
    /// Nanoseconds.
    max_output_buffer_timeout: u128,
    max_deflate_level: u8,
}

pub(super) async fn info(State(api): State<Arc<Api>>) -> Response {
    let options = api.broker.options();
    json(&Info {
        version: NSQ_VERSION,
        broadcast_address: &options.broadcast_address,
        hostname: &options.hostname,
        http_port: port(api.http.as_ref()),
        tcp_port: port(Some(&api.tcp)),
        start_time: api.broker.started_unix(),
        max_heartbeat_interval: options.max_heartbeat_interval.as_nanos(),
        max_output_buffer_size: options.max_output_buffer_size,
        max_output_buffer_timeout: options.max_output_buffer_timeout.as_nanos(),
        max_deflate_level: options.max_deflate_level,
    })
}

fn port(address: Option<&BoundAddress>) -> i32 {
    address.and_then(BoundAddress::tcp).map_or(-1, |address| address.port().into())
}
