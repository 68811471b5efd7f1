//! Keeps one nsqlookupd informed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gnsq_proto::lookupd::{LookupdCommand, PeerInfo};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Http;
use super::link::{Link, LinkError};
use super::registered::Registered;
use crate::nsqd::broker::Broker;
use crate::version::NSQ_VERSION;

/// Connects to the nsqlookupd at `address` (`host:port`), tells it what the broker has and whatever changes, and begins
/// anew whenever that fails.
pub(super) async fn follow(address: String, broker: Arc<Broker>, http: watch::Sender<Http>) {
    let Some(myself) = myself(&broker) else {
        http.send_replace(Http::Unknown);
        tracing::warn!(
            lookupd = address,
            "this nsqd can't be registered: without a TCP and an HTTP port nobody could reach it; listen on ports, or set \
             broadcast_tcp_port and broadcast_http_port"
        );
        return;
    };
    let mut failures = 0;
    loop {
        let Err(error) = inform(&address, &broker, &myself, &http, &mut failures).await;
        http.send_if_modified(|http| {
            let first = *http == Http::NotYet;
            if first {
                *http = Http::Unknown;
            }
            first
        });
        let limit = match error {
            // Another nsqlookupd has to come, or an operator.
            LinkError::Refused(_) | LinkError::Protocol(_) | LinkError::Unexpected => SLOW_RETRY,
            _ => RETRY,
        };
        let delay = (FIRST_RETRY * 2_u32.pow(failures)).min(limit).mul_f64(0.5 + fastrand::f64() / 2.0);
        if failures == 0 {
            tracing::warn!(lookupd = address, %error, "an nsqlookupd is lost; connecting again until it is back");
        } else {
            tracing::debug!(lookupd = address, %error, ?delay, "an nsqlookupd is still lost");
        }
        failures = (failures + 1).min(MAX_FAILURES);
        let clock = broker.clock();
        clock.sleep_until(Some(clock.now().after(delay))).await;
    }
}

/// One connection's life.
async fn inform(
    address: &str,
    broker: &Broker,
    myself: &Bytes,
    http: &watch::Sender<Http>,
    failures: &mut u32,
) -> Result<Infallible, LinkError> {
    let clock = broker.clock();
    let mut link = Link::connect(address, clock).await?;
    let reply = link.identify(myself.clone()).await?;
    let told = reply.and_then(|reply| serde_json::from_slice::<PeerInfo>(&reply).ok());
    http.send_replace(
        told.filter(|told| !told.broadcast_address.is_empty())
            .map_or(Http::Unknown, |told| Http::Known(host_and_port(&told.broadcast_address, told.http_port))),
    );
    let mut changes = broker.changes();
    let mut registered = Registered::default();
    let mut ping_at = clock.now().after(PING_INTERVAL);
    let mut greeted = false;
    loop {
        changes.borrow_and_update();
        let begin = Instant::now();
        let commands = registered.update(&broker.topics());
        let effort = begin.elapsed();
        link.tell(&commands).await?;
        if !std::mem::replace(&mut greeted, true) {
            *failures = 0;
            tracing::info!(lookupd = address, registrations = commands.len(), "registered with an nsqlookupd");
        }
        // With a hundred thousand topics a comparison takes its time; no more than a tenth of a processor's goes there.
        tokio::select! {
            () = sleep(effort * 10) => {}
            error = link.ended() => return Err(error),
        }
        loop {
            tokio::select! {
                // It fails never: the sender is the broker's.
                _ = changes.changed() => break,
                error = link.ended() => return Err(error),
                () = clock.sleep_until(Some(ping_at)) => {
                    link.tell(&[LookupdCommand::Ping]).await?;
                    ping_at = clock.now().after(PING_INTERVAL);
                }
            }
        }
    }
}

/// The body of IDENTIFY, unless nobody could reach this nsqd.
fn myself(broker: &Broker) -> Option<Bytes> {
    let (options, surroundings) = (broker.options(), broker.surroundings());
    let port = |broadcast: u16, listening: Option<u16>| Some(broadcast).filter(|port| *port != 0).or(listening);
    let info = PeerInfo {
        broadcast_address: options.broadcast_address.clone(),
        hostname: options.hostname.clone(),
        tcp_port: port(options.broadcast_tcp_port, surroundings.tcp_address.tcp().map(|address| address.port()))?,
        http_port: port(options.broadcast_http_port, surroundings.http_address.tcp().map(|address| address.port()))?,
        version: NSQ_VERSION.to_owned(),
    };
    serde_json::to_vec(&info).ok().map(Bytes::from)
}

fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// nsqd's interval.
const PING_INTERVAL: Duration = Duration::from_secs(15);

const FIRST_RETRY: Duration = Duration::from_millis(50);

/// An nsqlookupd that has restarted is informed about so soon.
const RETRY: Duration = Duration::from_secs(1);

/// As often as nsqd tries.
const SLOW_RETRY: Duration = Duration::from_secs(15);

/// From here on the delay stays as it is.
const MAX_FAILURES: u32 = 10;
