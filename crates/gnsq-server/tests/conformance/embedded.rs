//! The embedded servers, told by nsqd's flags what they are to do.

use std::net::SocketAddr;
use std::time::Duration;

use gnsq_server::{ClientAuth, NsqdOptions, PemSource, TlsOptions, TlsRequired, TlsVersion};

use gnsq_testkit::{DEADLINE, eventually};

use crate::differences::{Differences, EMBEDDED};
use crate::server::{Address, Nsqd, Nsqlookupd, Side};

pub(crate) struct Embedded;

impl Side for Embedded {
    type Nsqd = EmbeddedNsqd;
    type Nsqlookupd = EmbeddedNsqlookupd;
    const DIFFERENCES: Differences = EMBEDDED;
}

pub(crate) struct EmbeddedNsqd(gnsq_server::Nsqd);

impl Nsqd for EmbeddedNsqd {
    async fn start(flags: &[&str], channels: &[(&str, &str)]) -> Self {
        let mut options = NsqdOptions::default();
        for flag in flags {
            set(&mut options, flag);
        }
        let nsqd = Self(gnsq_server::Nsqd::builder().options(options).start().await.unwrap());
        for (topic, channel) in channels {
            nsqd.act(&format!("/topic/create?topic={topic}")).await;
            nsqd.act(&format!("/channel/create?topic={topic}&channel={channel}")).await;
        }
        nsqd
    }

    async fn stop(self) {
        self.0.shutdown().await;
    }

    fn tcp_address(&self) -> Address {
        address(&self.0.tcp_address())
    }

    fn http_address(&self) -> Address {
        address(&self.0.http_address())
    }

    fn https_address(&self) -> SocketAddr {
        self.0.https_address().expect("it was given a certificate").parse().unwrap()
    }
}

pub(crate) struct EmbeddedNsqlookupd {
    // Only a restart takes it out.
    lookupd: Option<gnsq_server::Nsqlookupd>,
    tcp_address: SocketAddr,
    http_address: SocketAddr,
}

impl Nsqlookupd for EmbeddedNsqlookupd {
    async fn start(flags: &[&str]) -> Self {
        let mut builder = gnsq_server::Nsqlookupd::builder();
        for flag in flags {
            builder = match split(flag) {
                ("inactive-producer-timeout", value) => builder.inactive_producer_timeout(duration(value)),
                ("tombstone-lifetime", value) => builder.tombstone_lifetime(duration(value)),
                _ => panic!("the embedded nsqlookupd isn't told of {flag} yet"),
            };
        }
        let lookupd = builder.start().await.unwrap();
        let [tcp_address, http_address] =
            [lookupd.tcp_address(), lookupd.http_address()].map(|address| address.parse().unwrap());
        Self { lookupd: Some(lookupd), tcp_address, http_address }
    }

    async fn restart(&mut self) {
        self.lookupd.take().unwrap().shutdown().await;
        let builder = gnsq_server::Nsqlookupd::builder();
        let builder = builder.tcp_address(self.tcp_address.to_string()).http_address(self.http_address.to_string());
        // Its port may be lent to a passing connection meanwhile.
        let started = eventually(DEADLINE, "the port to be free", async || builder.clone().start().await.ok()).await;
        self.lookupd = Some(started);
    }

    fn tcp_address(&self) -> SocketAddr {
        self.tcp_address
    }

    fn http_address(&self) -> SocketAddr {
        self.http_address
    }
}

fn set(options: &mut NsqdOptions, flag: &str) {
    let (name, value) = split(flag);
    match name {
        "tcp-address" => options.tcp_address = value.into(),
        "http-address" => options.http_address = value.into(),
        "broadcast-address" => options.broadcast_address = value.into(),
        "broadcast-tcp-port" => options.broadcast_tcp_port = number(value),
        "broadcast-http-port" => options.broadcast_http_port = number(value),
        "lookupd-tcp-address" => options.lookupd_tcp_addresses.push(value.into()),
        "auth-http-address" => options.auth_http_addresses.push(value.into()),
        "max-msg-size" => options.max_msg_size = number(value),
        "max-body-size" => options.max_body_size = number(value),
        "max-rdy-count" => options.max_rdy_count = number(value),
        "max-channel-consumers" => options.max_channel_consumers = number(value),
        "mem-queue-size" => options.mem_queue_size = number(value),
        "max-output-buffer-size" => options.max_output_buffer_size = number(value),
        "max-deflate-level" => options.max_deflate_level = number(value),
        "deflate" => options.deflate = value == "true",
        "snappy" => options.snappy = value == "true",
        "msg-timeout" => options.msg_timeout = duration(value),
        "max-msg-timeout" => options.max_msg_timeout = duration(value),
        "max-req-timeout" => options.max_req_timeout = duration(value),
        "max-heartbeat-interval" => options.max_heartbeat_interval = duration(value),
        "max-output-buffer-timeout" => options.max_output_buffer_timeout = duration(value),
        "min-output-buffer-timeout" => options.min_output_buffer_timeout = duration(value),
        "e2e-processing-latency-percentile" => {
            options.e2e_processing_latency_percentiles.extend(value.split(',').map(number::<f64>));
        }
        "e2e-processing-latency-window-time" => options.e2e_processing_latency_window_time = duration(value),
        "statsd-address" => options.statsd_address = Some(value.into()),
        "statsd-prefix" => options.statsd_prefix = value.into(),
        "statsd-interval" => options.statsd_interval = duration(value),
        "statsd-mem-stats" => options.statsd_mem_stats = value == "true",
        "statsd-udp-packet-size" => options.statsd_udp_packet_size = number(value),
        "statsd-exclude-ephemeral" => options.statsd_exclude_ephemeral = value == "true",
        "output-buffer-timeout" => options.output_buffer_timeout = duration(value),
        _ => {
            let tls = options.tls.get_or_insert_with(no_tls);
            match (name, value) {
                ("tls-cert", path) => tls.certificate = PemSource::File(path.into()),
                ("tls-key", path) => tls.key = PemSource::File(path.into()),
                ("tls-root-ca-file", path) => tls.root_ca = Some(PemSource::File(path.into())),
                ("tls-client-auth-policy", "require") => tls.client_auth = ClientAuth::Require,
                ("tls-client-auth-policy", "require-verify") => tls.client_auth = ClientAuth::RequireVerify,
                ("tls-required", "true" | "1") => tls.required = TlsRequired::All,
                ("tls-required", "tcp-https") => tls.required = TlsRequired::TcpHttps,
                ("tls-min-version", "tls1.3") => tls.min_version = TlsVersion::Tls13,
                _ => panic!("the embedded nsqd isn't told of {flag} yet"),
            }
        }
    }
}

/// TLS that nobody has to use, with a certificate that has yet to come.
fn no_tls() -> TlsOptions {
    TlsOptions {
        certificate: PemSource::Text(Vec::new()),
        key: PemSource::Text(Vec::new()),
        root_ca: None,
        client_auth: ClientAuth::None,
        required: TlsRequired::No,
        min_version: TlsVersion::Tls12,
    }
}

fn split(flag: &str) -> (&str, &str) {
    flag.strip_prefix("--").and_then(|flag| flag.split_once('=')).unwrap()
}

fn number<T: std::str::FromStr>(value: &str) -> T {
    value.parse().ok().unwrap()
}

/// A whole number and its unit, as the tests write durations.
fn duration(value: &str) -> Duration {
    let (number, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap());
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "h" => Duration::from_secs(3600),
        _ => panic!("{unit} is no unit"),
    };
    unit * number.parse().unwrap()
}

fn address(text: &str) -> Address {
    text.parse().map_or_else(|_| Address::Unix(text.into()), Address::Tcp)
}
