//! The options of a connection.

mod security;

use std::net::IpAddr;
use std::time::Duration;

use gnsq_proto::IdentifyRequest;
use gnsq_proto::limits::{DEFAULT_HEARTBEAT_INTERVAL, DEFAULT_MAX_FRAME_SIZE, PublishLimits};

pub(crate) use self::security::{Security, security_options};
use crate::connection::{AnyDialer, Dialer};
use crate::error::{Error, Result};

/// How a client connects to an nsqd and what it tells it. Every client's builder takes one.
///
/// ```
/// use std::time::Duration;
///
/// use gnsq::{ConnectionConfig, Consumer};
///
/// # fn example() -> gnsq::Result<()> {
/// let config = ConnectionConfig::new().client_id("billing-1").msg_timeout(Duration::from_secs(300));
/// let consumer = Consumer::builder("orders", "billing").nsqd("127.0.0.1:4150").connection(config).build()?;
/// # let _ = consumer;
/// # Ok(())
/// # }
/// ```
///
/// A value that can't be used is an [`Error::Option`] that names it, before anything is connected to. What nsqd grants
/// otherwise than was asked for is told by [`ConnectionStats::differences`](crate::ConnectionStats::differences).
///
/// # What nsqd is told, and asked for (IDENTIFY)
///
/// ```
/// # use std::time::Duration;
/// # use gnsq::ConnectionConfig;
/// let config = ConnectionConfig::new()
///     .client_id("billing-1")
///     .hostname("host-7.internal")
///     .user_agent("billing/2.1")
///     .topology("eu-west", "eu-west-1a")
///     .heartbeat_interval(Duration::from_secs(15))
///     .output_buffer_size(64 * 1024)
///     .output_buffer_timeout(Duration::from_millis(50))
///     .msg_timeout(Duration::from_secs(300))
///     .sample_rate(10);
/// # let _ = config;
/// ```
///
/// # Timeouts
///
/// ```
/// # use std::time::Duration;
/// # use gnsq::ConnectionConfig;
/// let config = ConnectionConfig::new()
///     .connect_timeout(Duration::from_secs(2))
///     .answer_timeout(Duration::from_secs(10))
///     .write_timeout(Duration::from_secs(10));
/// # let _ = config;
/// ```
///
/// # Limits
///
/// ```
/// # use std::time::Duration;
/// # use gnsq::ConnectionConfig;
/// // As the nsqds' --max-msg-size, --max-body-size and --max-req-timeout.
/// let config = ConnectionConfig::new()
///     .max_msg_size(4 * 1024 * 1024)
///     .max_body_size(20 * 1024 * 1024)
///     .max_defer(Duration::from_secs(24 * 3600))
///     .max_frame_size(32 * 1024 * 1024)
///     .max_unsent_bytes(64 * 1024 * 1024);
/// # let _ = config;
/// ```
///
/// # Where connections come from
///
/// From one of this host's addresses, or made by a [`Dialer`]: through a proxy, say.
///
/// ```
/// # use gnsq::ConnectionConfig;
/// let config = ConnectionConfig::new().local_address(std::net::IpAddr::from([10, 0, 0, 7]));
/// # let _ = config;
/// ```
#[derive(Debug, Clone)]
pub struct ConnectionConfig {
    pub(crate) client_id: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) user_agent: String,
    pub(crate) heartbeat_interval: Option<Duration>,
    pub(crate) output_buffer_size: Option<u32>,
    pub(crate) output_buffer_timeout: Option<Duration>,
    pub(crate) msg_timeout: Option<Duration>,
    pub(crate) sample_rate: Option<u8>,
    pub(crate) topology_region: Option<String>,
    pub(crate) topology_zone: Option<String>,
    pub(crate) local_address: Option<IpAddr>,
    pub(crate) dialer: Option<AnyDialer>,
    pub(crate) connect_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) max_frame_size: usize,
    pub(crate) max_unsent_bytes: usize,
    pub(crate) limits: PublishLimits,
    /// Of a consumer: whether RDY follows the load, so that nsqd holds no lone message back.
    pub(crate) low_latency: bool,
    /// Of a producer: how many messages may share a command, if any.
    pub(crate) batching: Option<Batching>,
    pub(crate) security: Security,
}

/// How much may go out with one MPUB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batching {
    pub(crate) messages: usize,
    /// Of the body, as nsqd measures it.
    pub(crate) bytes: usize,
}

impl ConnectionConfig {
    /// The defaults, each named at its method.
    pub fn new() -> Self {
        Self {
            client_id: None,
            hostname: None,
            user_agent: concat!("gnsq/", env!("CARGO_PKG_VERSION")).to_owned(),
            heartbeat_interval: Some(DEFAULT_HEARTBEAT_INTERVAL),
            output_buffer_size: None,
            output_buffer_timeout: None,
            msg_timeout: None,
            sample_rate: None,
            topology_region: None,
            topology_zone: None,
            local_address: None,
            dialer: None,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            max_frame_size: DEFAULT_MAX_FRAME_SIZE,
            max_unsent_bytes: 256 * 1024 * 1024,
            limits: PublishLimits::default(),
            low_latency: true,
            batching: None,
            security: Security::default(),
        }
    }

    /// The name of this client in nsqd's statistics. Default: the host name up to its first dot.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// The host in nsqd's statistics. Default: this host's name.
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = Some(hostname.into());
        self
    }

    /// The program in nsqd's statistics. Default: `gnsq/` and this crate's version.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// How often nsqd sends a heartbeat, from 1 s to nsqd's `--max-heartbeat-interval` (60 s). A connection on which
    /// nothing arrives for two intervals counts as dead, on either side. Default: 30 s.
    ///
    /// `None` turns heartbeats off, and with them the detection of a dead peer; nsqd then refuses to subscribe.
    pub fn heartbeat_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.heartbeat_interval = interval.into();
        self
    }

    /// How many bytes of messages nsqd gathers before it writes, from 64 to its `--max-output-buffer-size`
    /// (64 KiB); 0 turns the buffer off. Default: nsqd's, 16 KiB.
    pub fn output_buffer_size(mut self, bytes: u32) -> Self {
        self.output_buffer_size = Some(bytes);
        self
    }

    /// How long nsqd holds gathered messages back at the most, from its `--min-output-buffer-timeout` (25 ms) to its
    /// `--max-output-buffer-timeout` (30 s); zero turns the timer off. Default: nsqd's, 250 ms.
    pub fn output_buffer_timeout(mut self, timeout: Duration) -> Self {
        self.output_buffer_timeout = Some(timeout);
        self
    }

    /// How long a message may be held before nsqd gives it to someone else, from 1 s to nsqd's `--max-msg-timeout`
    /// (15 min). Default: nsqd's `--msg-timeout`, 60 s.
    pub fn msg_timeout(mut self, timeout: Duration) -> Self {
        self.msg_timeout = Some(timeout);
        self
    }

    /// The percentage of messages to receive, 1 to 99. nsqd drops the others for this channel, for good; nsqd 1.3.0 lets
    /// one percent more through. Default: all.
    pub fn sample_rate(mut self, percent: u8) -> Self {
        self.sample_rate = Some(percent);
        self
    }

    /// Where this client runs: a region, and a zone within it. An nsqd newer than 1.3.0 that knows its own prefers
    /// consumers that are near; others ignore it. Default: none.
    pub fn topology(mut self, region: impl Into<String>, zone: impl Into<String>) -> Self {
        self.topology_region = Some(region.into());
        self.topology_zone = Some(zone.into());
        self
    }

    /// The address of this host that TCP connections come from. Only addresses of its family are connected to; unix
    /// sockets have none. Default: the system's choice.
    pub fn local_address(mut self, address: impl Into<Option<IpAddr>>) -> Self {
        self.local_address = address.into();
        self
    }

    /// Has connections made by a [`Dialer`], within [`connect_timeout`](Self::connect_timeout): through a proxy, say. TLS
    /// and compression are added to its streams as to others, and unless `TlsConfig::server_name` says otherwise the
    /// certificate must be for the host of the nsqd's address. Default: TCP or unix sockets of the system.
    pub fn dialer(mut self, dialer: impl Dialer) -> Self {
        self.dialer = Some(AnyDialer::new(dialer));
        self
    }

    /// The time allowed for looking a name up and connecting, all its addresses together. Default: 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The time allowed for nsqd's answer to IDENTIFY, SUB and the like. Default: 30 s.
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// For how long nsqd may take no byte of what is to be sent, before the connection counts as dead; also
    /// how long a close waits for what is still to be sent. Default: 30 s.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// The largest frame that is read, in bytes; a larger one ends the connection. Default: 16 MiB.
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.max_frame_size = bytes;
        self
    }

    /// How many bytes may wait to be sent; more end the connection, since its peer doesn't read. Default: 256 MiB.
    pub fn max_unsent_bytes(mut self, bytes: usize) -> Self {
        self.max_unsent_bytes = bytes;
        self
    }

    /// The largest message in bytes, nsqd's `--max-msg-size`. A larger one is refused before it is sent. Default: 1 MiB.
    pub fn max_msg_size(mut self, bytes: usize) -> Self {
        self.limits.max_msg_size = bytes;
        self
    }

    /// The largest body of a multipublish in bytes, nsqd's `--max-body-size`; each message counts with 4 bytes more.
    /// Default: 5 MiB.
    pub fn max_body_size(mut self, bytes: usize) -> Self {
        self.limits.max_body_size = bytes;
        self
    }

    /// The longest delay of a deferred publish, nsqd's `--max-req-timeout`. Default: 1 h.
    pub fn max_defer(mut self, delay: Duration) -> Self {
        self.limits.max_defer = delay;
        self
    }

    /// Refuses values that nsqd would refuse, or that can't work, and reads the files that are named.
    pub(crate) fn prepare(&mut self) -> Result<()> {
        self.check()?;
        self.security.prepare()
    }

    fn check(&self) -> Result<()> {
        let refuse = |option, reason: &str| Err(Error::Option { option, reason: reason.to_owned() });
        let out_of = |value: Duration, low: Duration, high: Duration| value < low || value > high;
        if self.heartbeat_interval.is_some_and(|interval| out_of(interval, SECOND, DAY)) {
            return refuse(
                "heartbeat_interval",
                "nsqd takes 1 s and more, up to its --max-heartbeat-interval, or None",
            );
        }
        if self.output_buffer_size.is_some_and(|size| size != 0 && size < 64) {
            return refuse("output_buffer_size", "nsqd takes 64 bytes and more, or 0 for none");
        }
        if self
            .output_buffer_timeout
            .is_some_and(|timeout| !timeout.is_zero() && out_of(timeout, Duration::from_millis(1), DAY))
        {
            return refuse("output_buffer_timeout", "nsqd takes whole milliseconds, or 0 for no timer");
        }
        if self.msg_timeout.is_some_and(|timeout| out_of(timeout, SECOND, DAY)) {
            return refuse("msg_timeout", "nsqd takes 1 s and more, up to its --max-msg-timeout");
        }
        if self.sample_rate.is_some_and(|rate| !(1..=99).contains(&rate)) {
            return refuse("sample_rate", "nsqd takes 1 to 99 percent; leave it out to receive all");
        }
        if self.local_address.is_some_and(|address| address.is_multicast()) {
            return refuse("local_address", "nothing can come from a multicast address");
        }
        if self.local_address.is_some() && self.dialer.is_some() {
            return refuse("local_address", "the dialer makes the connections: it says where they come from");
        }
        for (option, value) in [
            ("connect_timeout", self.connect_timeout),
            ("answer_timeout", self.answer_timeout),
            ("write_timeout", self.write_timeout),
        ] {
            if out_of(value, Duration::from_millis(1), DAY) {
                return refuse(option, "give from 1 ms to 1 day");
            }
        }
        for (option, value, least) in [
            ("max_frame_size", self.max_frame_size, 64),
            ("max_unsent_bytes", self.max_unsent_bytes, 64),
            ("max_msg_size", self.limits.max_msg_size, 1),
            ("max_body_size", self.limits.max_body_size, 9),
        ] {
            // The protocol's sizes are signed 32-bit numbers.
            if value < least || i32::try_from(value).is_err() {
                return refuse(option, "give a size that fits into 31 bits and leaves room for a message");
            }
        }
        Ok(())
    }

    pub(crate) fn identify_request(&self) -> IdentifyRequest {
        let hostname = self.hostname.clone().unwrap_or_else(system_hostname);
        let client_id =
            self.client_id.clone().unwrap_or_else(|| hostname.split('.').next().unwrap_or_default().to_owned());
        let mut request = IdentifyRequest {
            client_id: Some(client_id),
            hostname: Some(hostname),
            user_agent: Some(self.user_agent.clone()),
            feature_negotiation: true,
            heartbeat_interval: Some(self.heartbeat_interval.map_or(-1, wire_millis)),
            output_buffer_size: self.output_buffer_size.map(|size| if size == 0 { -1 } else { size.into() }),
            output_buffer_timeout: self
                .output_buffer_timeout
                .map(|timeout| if timeout.is_zero() { -1 } else { wire_millis(timeout) }),
            msg_timeout: self.msg_timeout.map(wire_millis),
            sample_rate: self.sample_rate.map(Into::into),
            topology_region: self.topology_region.clone(),
            topology_zone: self.topology_zone.clone(),
            ..IdentifyRequest::default()
        };
        self.security.ask_for(&mut request);
        request
    }
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self::new()
    }
}

fn wire_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn system_hostname() -> String {
    let name = gethostname::gethostname().to_string_lossy().into_owned();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

const SECOND: Duration = Duration::from_secs(1);
/// No timeout of a network client is meant to be longer; it keeps sums of times from overflowing.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        ConnectionConfig::new().prepare().unwrap();
    }

    #[test]
    fn an_error_names_the_option() {
        let config = ConnectionConfig::new;
        for (wrong, option) in [
            (config().heartbeat_interval(Duration::from_millis(999)), "heartbeat_interval"),
            (config().output_buffer_size(63), "output_buffer_size"),
            (config().output_buffer_timeout(Duration::from_nanos(1)), "output_buffer_timeout"),
            (config().msg_timeout(Duration::ZERO), "msg_timeout"),
            (config().sample_rate(100), "sample_rate"),
            (config().connect_timeout(Duration::ZERO), "connect_timeout"),
            (config().write_timeout(Duration::MAX), "write_timeout"),
            (config().max_frame_size(0), "max_frame_size"),
            (config().max_msg_size(usize::MAX), "max_msg_size"),
        ] {
            let error = wrong.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("option {option}: ")), "{error}");
        }
    }

    #[test]
    fn a_client_id_is_the_host_without_its_domain() {
        let request = ConnectionConfig::new().hostname("a.example.org").identify_request();
        assert_eq!(request.client_id.as_deref(), Some("a"));
        assert_eq!(request.heartbeat_interval, Some(30_000));
    }
}
