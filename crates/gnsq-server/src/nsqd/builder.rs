//! From options to a running nsqd.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::auth::Authority;
use super::broker::{Acceptor, Broker, Surroundings};
use super::lookup::LookupPeers;
use super::statsd::Statsd;
use super::{Nsqd, NsqdOptions, connection, http};
use crate::Nsqlookupd;
use crate::accept::accept_each;
use crate::error::StartError;
use crate::http::serve;
use crate::listen::Listener;
use crate::tls::acceptor;

/// How to start an [`Nsqd`]: see [`Nsqd::builder`].
#[derive(Debug, Clone, Default)]
#[must_use = "nothing starts before `start()`"]
pub struct NsqdBuilder {
    pub(super) options: NsqdOptions,
}

impl NsqdBuilder {
    /// Takes all options at once; those set before are forgotten.
    pub fn options(self, options: NsqdOptions) -> Self {
        Self { options }
    }

    /// Registers with this nsqlookupd, besides those already given.
    pub fn lookupd(mut self, lookupd: &Nsqlookupd) -> Self {
        self.options.lookupd_tcp_addresses.push(lookupd.tcp_address());
        self
    }

    /// Starts it on the current tokio runtime, and returns as soon as it listens.
    ///
    /// # Errors
    ///
    /// [`StartError`] when an option has an impossible value, an address is taken, or a certificate can't be used.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start(self) -> Result<Nsqd, StartError> {
        let options = self.options;
        check(&options)?;
        let tls = options.tls.as_ref().map(acceptor).transpose()?;
        let authority = authority(&options)?;
        let lookup = lookup(&options)?;
        let statsd = Statsd::new(&options).await?;
        let tcp = Listener::listen("TCP", &options.tcp_address).await?;
        let plain = Listener::listen("HTTP", &options.http_address).await?;
        let https = match &tls {
            Some(_) => Some(Listener::listen("HTTPS", &options.https_address).await?),
            None => None,
        };
        let surroundings = Surroundings {
            tcp_address: tcp.1,
            http_address: plain.1,
            https_address: https.as_ref().map(|(_, address)| address.clone()),
            tls: tls.clone().map(Acceptor),
            authority,
            lookup: lookup.clone(),
        };
        let broker = Broker::new(options, surroundings);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let serve_client = {
            let (broker, stop) = (broker.clone(), stop.clone());
            move |socket, peer| connection::serve(socket, peer, broker.clone(), &stop)
        };
        tasks.spawn(accept_each(tcp.0, broker.options().max_connections, stop.clone(), serve_client, drop));
        tasks.spawn(serve(plain.0, None, http::plain_router(broker.clone()), stop.clone()));
        if let Some((https, _)) = https {
            tasks.spawn(serve(https, tls, http::router(broker.clone()), stop.clone()));
        }
        tasks.spawn(lookup.run(broker.clone(), stop.clone()));
        tasks.spawn({
            let (broker, stop) = (broker.clone(), stop.clone());
            async move {
                stop.run_until_cancelled(broker.shared().alarms.run(broker.clock())).await;
            }
        });
        if let Some(statsd) = statsd {
            let (run, stop) = (statsd.run(broker.clone()), stop.clone());
            tasks.spawn(async move {
                stop.run_until_cancelled(run).await;
            });
        }
        tasks.close();
        Ok(Nsqd::new(broker, stop, tasks))
    }
}

fn authority(options: &NsqdOptions) -> Result<Option<Authority>, StartError> {
    if options.auth_http_addresses.is_empty() {
        return Ok(None);
    }
    let (connect, request) = (options.http_client_connect_timeout, options.http_client_request_timeout);
    Authority::new(&options.auth_http_addresses, connect, request, options.clock.clone())
        .map(Some)
        .map_err(|error| StartError::Option { option: "auth_http_addresses", reason: error.to_string() })
}

fn lookup(options: &NsqdOptions) -> Result<Arc<LookupPeers>, StartError> {
    LookupPeers::new(options)
        .map_err(|error| StartError::Option { option: "lookupd_tcp_addresses", reason: error.to_string() })
}

/// Refuses what can't be.
fn check(options: &NsqdOptions) -> Result<(), StartError> {
    let refuse = |option, reason: &str| Err(StartError::Option { option, reason: reason.to_owned() });
    if options.node_id > 1023 {
        return refuse("node_id", "it has to be 0 to 1023");
    }
    if !(1..=9).contains(&options.max_deflate_level) {
        return refuse("max_deflate_level", "it has to be 1 to 9");
    }
    if options.max_msg_size == 0 {
        return refuse("max_msg_size", "it has to be at least 1 byte");
    }
    if options.msg_timeout.is_zero() || options.msg_timeout > options.max_msg_timeout {
        return refuse("msg_timeout", "it has to be more than nothing and at most max_msg_timeout");
    }
    if options.client_timeout < Duration::from_millis(2) {
        return refuse("client_timeout", "it has to be at least 2 ms: half of it is the heartbeat interval");
    }
    if !options.e2e_processing_latency_percentiles.iter().all(|percentile| *percentile > 0.0 && *percentile <= 1.0) {
        return refuse("e2e_processing_latency_percentiles", "each has to be more than 0 and at most 1");
    }
    if options.e2e_processing_latency_window_time.is_zero() {
        return refuse("e2e_processing_latency_window_time", "it has to be more than nothing");
    }
    if options.statsd_interval.is_zero() {
        return refuse("statsd_interval", "it has to be more than nothing");
    }
    if options.statsd_udp_packet_size > MAX_UDP_PAYLOAD {
        return refuse("statsd_udp_packet_size", "it has to be at most 65507 bytes");
    }
    Ok(())
}

/// What fits into a packet over IPv4.
const MAX_UDP_PAYLOAD: usize = 65_507;
