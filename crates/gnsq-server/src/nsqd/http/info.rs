//! `/info`: which nsqd this is.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use crate::http::json;
use crate::listen::BoundAddress;
use crate::nsqd::broker::Broker;
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

pub(super) async fn info(State(broker): State<Arc<Broker>>) -> Response {
    let (options, around) = (broker.options(), broker.surroundings());
    json(&Info {
        version: NSQ_VERSION,
        broadcast_address: &options.broadcast_address,
        hostname: &options.hostname,
        http_port: port(&around.http_address),
        tcp_port: port(&around.tcp_address),
        start_time: broker.started_unix(),
        max_heartbeat_interval: options.max_heartbeat_interval.as_nanos(),
        max_output_buffer_size: options.max_output_buffer_size,
        max_output_buffer_timeout: options.max_output_buffer_timeout.as_nanos(),
        max_deflate_level: options.max_deflate_level,
    })
}

fn port(address: &BoundAddress) -> i32 {
    address.tcp().map_or(-1, |address| address.port().into())
}
