//! `/config/…`: reads an option by the name that nsqd's configuration file has for it, and sets two of them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::http::{BodyError, HttpError, done, json as json_answer, read_body, text};
use crate::json::GoFloat;
use crate::nsqd::broker::Broker;
use crate::nsqd::statsd;
use crate::tls::{ClientAuth, PemSource, TlsOptions, TlsRequired, TlsVersion};

pub(super) async fn read(
    State(broker): State<Arc<Broker>>,
    option: Result<Path<String>, PathRejection>,
) -> Result<Response, HttpError> {
    // What is no UTF-8 is no option's name.
    let Path(option) = option.map_err(|_| HttpError::bad_request("INVALID_OPTION"))?;
    match value(&broker, &option) {
        // Text comes without quotes, and nothing as nothing.
        Some(Value::String(value)) if value.is_empty() => Ok(done()),
        Some(Value::String(value)) => Ok(text(value)),
        Some(value) => Ok(json_answer(&value)),
        None => Err(HttpError::bad_request("INVALID_OPTION")),
    }
}

pub(super) async fn write(
    state: State<Arc<Broker>>,
    option: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, HttpError> {
    // nsqd's limit, and its status for an empty body.
    let new = read_body(body, state.options().max_msg_size).await.map_err(|error| match error {
        BodyError::TooLarge => HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "INVALID_VALUE"),
        BodyError::Unreadable => HttpError::internal(),
    })?;
    if new.is_empty() {
        return Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "INVALID_VALUE"));
    }
    let invalid = || HttpError::bad_request("INVALID_VALUE");
    let settings = state.settings();
    match option.as_ref().map_or("", |Path(option)| option) {
        "log_level" => {
            let level = std::str::from_utf8(&new).ok().and_then(|level| level.parse().ok()).ok_or_else(invalid)?;
            settings.log_level.send_replace(level);
        }
        "nsqlookupd_tcp_addresses" => {
            // `null` is taken, as an empty list.
            let addresses: Option<Vec<String>> = serde_json::from_slice(&new).map_err(|_| invalid())?;
            settings.lookupd_tcp_addresses.send_replace(addresses.unwrap_or_default());
        }
        _ => return Err(HttpError::bad_request("INVALID_OPTION")),
    }
    read(state, option).await
}

/// The options by name.
///
/// What this nsqd doesn't have (a disk queue, a queue scan and the like) is an option that it doesn't know,
/// unless nsqd's own default says that it isn't used.
fn value(broker: &Broker, option: &str) -> Option<Value> {
    let (options, settings, around) = (broker.options(), broker.settings(), broker.surroundings());
    let tls = options.tls.as_ref();
    Some(match option {
        "id" => json!(options.node_id),
        "log_level" => json!(*settings.log_level.borrow() as u8),
        "tcp_address" => json!(options.tcp_address.to_string()),
        "http_address" => json!(options.http_address.to_string()),
        "https_address" => json!(options.https_address.to_string()),
        "broadcast_address" => json!(options.broadcast_address),
        "broadcast_tcp_port" => json!(match options.broadcast_tcp_port {
            0 => around.tcp_address.tcp().map_or(0, |address| address.port()),
            told => told,
        }),
        "broadcast_http_port" => json!(broker.broadcast_http_port()),
        "nsqlookupd_tcp_addresses" => json!(*settings.lookupd_tcp_addresses.borrow()),
        "auth_http_addresses" => json!(options.auth_http_addresses),
        "http_client_connect_timeout" => nanos(options.http_client_connect_timeout),
        "http_client_request_timeout" => nanos(options.http_client_request_timeout),
        "mem_queue_size" => json!(options.mem_queue_size),
        "msg_timeout" => nanos(options.msg_timeout),
        "max_msg_timeout" => nanos(options.max_msg_timeout),
        "max_msg_size" => json!(options.max_msg_size),
        "max_req_timeout" => nanos(options.max_req_timeout),
        "max_body_size" => json!(options.max_body_size),
        "max_heartbeat_interval" => nanos(options.max_heartbeat_interval),
        "max_rdy_count" => json!(options.max_rdy_count),
        "max_output_buffer_size" => json!(options.max_output_buffer_size),
        "max_output_buffer_timeout" => nanos(options.max_output_buffer_timeout),
        "min_output_buffer_timeout" => nanos(options.min_output_buffer_timeout),
        "output_buffer_timeout" => nanos(options.output_buffer_timeout),
        "max_channel_consumers" => json!(options.max_channel_consumers),
        "deflate" => json!(options.deflate),
        "max_deflate_level" => json!(options.max_deflate_level),
        "snappy" => json!(options.snappy),
        "tls_cert" => path(tls.map(|tls| &tls.certificate)),
        "tls_key" => path(tls.map(|tls| &tls.key)),
        "tls_root_ca_file" => path(tls.and_then(|tls| tls.root_ca.as_ref())),
        "tls_client_auth_policy" => json!(match tls.map(|tls| tls.client_auth) {
            None | Some(ClientAuth::None) => "",
            Some(ClientAuth::Require) => "require",
            Some(ClientAuth::RequireVerify) => "require-verify",
        }),
        "tls_required" => json!(match tls.map(TlsOptions::effective_required) {
            None | Some(TlsRequired::No) => 0,
            Some(TlsRequired::TcpHttps) => 1,
            Some(TlsRequired::All) => 2,
        }),
        // The number that the version has in the protocol.
        "tls_min_version" => json!(match tls.map(|tls| tls.min_version).unwrap_or_default() {
            TlsVersion::Tls12 => 0x0303,
            TlsVersion::Tls13 => 0x0304,
        }),
        "e2e_processing_latency_percentiles" => {
            let percentiles = options.e2e_processing_latency_percentiles.iter();
            json!(percentiles.map(|percentile| GoFloat(*percentile)).collect::<Vec<_>>())
        }
        "e2e_processing_latency_window_time" => nanos(options.e2e_processing_latency_window_time),
        "statsd_address" => json!(options.statsd_address.as_deref().unwrap_or_default()),
        "statsd_prefix" => json!(statsd::prefix(broker)),
        "statsd_interval" => nanos(options.statsd_interval),
        "statsd_mem_stats" => json!(options.statsd_mem_stats),
        "statsd_udp_packet_size" => json!(options.statsd_udp_packet_size),
        "statsd_exclude_ephemeral" => json!(options.statsd_exclude_ephemeral),
        "data_path" => json!(""),
        _ => return None,
    })
}

/// As Go writes a duration.
fn nanos(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// Nothing for what isn't in a file.
fn path(source: Option<&PemSource>) -> Value {
    match source {
        Some(PemSource::File(path)) => json!(path.to_string_lossy()),
        Some(PemSource::Text(_)) | None => json!(""),
    }
}
