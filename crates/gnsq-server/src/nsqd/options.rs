//! What an nsqd can be told.

use std::time::Duration;

use gnsq_proto::limits::{
    DEFAULT_MAX_BODY_SIZE, DEFAULT_MAX_MSG_SIZE, DEFAULT_MAX_MSG_TIMEOUT, DEFAULT_MAX_RDY_COUNT,
    DEFAULT_MAX_REQ_TIMEOUT, DEFAULT_MSG_TIMEOUT,
};

use super::NsqdBuilder;
use crate::clock::Clock;
use crate::listen::ListenAddress;
use crate::log_level::LogLevel;
use crate::tls::TlsOptions;

/// Makes the options' fields, their defaults, and a builder's method for each.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr,)*) => {
        /// The options of an [`Nsqd`](super::Nsqd), named as nsqd's flags.
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub struct NsqdOptions {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for NsqdOptions {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl NsqdBuilder {
            $($(#[$doc])*
            pub fn $name(mut self, $name: impl Into<$type>) -> Self {
                self.options.$name = $name.into();
                self
            })*
        }
    };
}

options! {
    /// Where the TCP protocol is spoken. Default: a free port of 127.0.0.1.
    tcp_address: ListenAddress = ListenAddress::free_port(),
    /// Where the HTTP API is. Default: a free port of 127.0.0.1.
    http_address: ListenAddress = ListenAddress::free_port(),
    /// Where the HTTP API is under TLS, if [`tls`](Self::tls) is set. Default: a free port of 127.0.0.1.
    https_address: ListenAddress = ListenAddress::free_port(),
    /// The host that clients are told to connect to. Default: 127.0.0.1.
    broadcast_address: String = "127.0.0.1".to_owned(),
    /// The TCP port that clients are told; 0 for the one that it listens on. Default: 0.
    broadcast_tcp_port: u16 = 0,
    /// The HTTP port that clients are told; 0 for the one that it listens on. Default: 0.
    broadcast_http_port: u16 = 0,
    /// The host's name in statistics. Default: the system's.
    hostname: String = gethostname::gethostname().to_string_lossy().into_owned(),
    /// A part of message ids, 0 to 1023: nsqds with different ones make different ids. Default: 0.
    node_id: u16 = 0,
    /// The nsqlookupds to register with, as `host:port` of their TCP protocol. Default: none.
    lookupd_tcp_addresses: Vec<String> = Vec::new(),
    /// The largest message body in bytes. Default: 1 MiB.
    max_msg_size: usize = DEFAULT_MAX_MSG_SIZE,
    /// The largest body of IDENTIFY, AUTH and MPUB in bytes. Default: 5 MiB.
    max_body_size: usize = DEFAULT_MAX_BODY_SIZE,
    /// The largest RDY. Default: 2500.
    max_rdy_count: u32 = DEFAULT_MAX_RDY_COUNT,
    /// How long a client may hold a message when it names no time itself. Default: 60 seconds.
    msg_timeout: Duration = DEFAULT_MSG_TIMEOUT,
    /// How long a client may hold a message with touches. Default: 15 minutes.
    max_msg_timeout: Duration = DEFAULT_MAX_MSG_TIMEOUT,
    /// The longest delay of REQ (lowered to it), DPUB and HTTP's `defer` (refused). Default: 1 hour.
    max_req_timeout: Duration = DEFAULT_MAX_REQ_TIMEOUT,
    /// Twice the heartbeat interval of clients that name none. Default: 60 seconds.
    client_timeout: Duration = Duration::from_secs(60),
    /// The longest heartbeat interval that a client may ask for. Default: 60 seconds.
    max_heartbeat_interval: Duration = Duration::from_secs(60),
    /// The largest output buffer that a client may ask for, in bytes. Default: 64 KiB.
    max_output_buffer_size: usize = 64 * 1024,
    /// The longest output buffer timeout that a client may ask for. Default: 30 seconds.
    max_output_buffer_timeout: Duration = Duration::from_secs(30),
    /// The shortest output buffer timeout that a client may ask for. Default: 25 ms.
    min_output_buffer_timeout: Duration = Duration::from_millis(25),
    /// The output buffer timeout of clients that ask for none. It is granted, and not needed: messages leave as soon
    /// as there is no other to go with them. Default: 250 ms.
    output_buffer_timeout: Duration = Duration::from_millis(250),
    /// Whether deflate is offered. Default: yes.
    deflate: bool = true,
    /// The highest deflate level that a client is given, 1 to 9. Default: 6.
    max_deflate_level: u8 = 6,
    /// Whether snappy is offered. Default: yes.
    snappy: bool = true,
    /// How many consumers a channel takes; 0 for any number. Default: 0.
    max_channel_consumers: usize = 0,
    /// How many messages a topic or channel whose name ends in `#ephemeral` holds before it drops new ones. Others are
    /// bounded by [`max_messages`](Self::max_messages) and [`max_bytes`](Self::max_bytes) only. Default: 10,000.
    mem_queue_size: usize = 10_000,
    /// Which percentiles of the time from publishing to finishing a message are told of each channel and topic in
    /// `/stats`, each more than 0 and at most 1, such as 0.99. Without any, nothing is measured. Default: none.
    e2e_processing_latency_percentiles: Vec<f64> = Vec::new(),
    /// How far back they reach at most. Default: 10 minutes.
    e2e_processing_latency_window_time: Duration = Duration::from_secs(600),
    /// Where to send the statistics over UDP, as `host:port` of a statsd. The host is looked up at the start. Counters
    /// tell what came since the last time. Default: nowhere.
    statsd_address: Option<String> = None,
    /// What the names begin with; `%s` stands for `broadcast_address_port`, in which dots and colons are underscores too,
    /// and a dot is added at the end. Default: `nsq.%s`.
    statsd_prefix: String = "nsq.%s".to_owned(),
    /// How often they are sent. Default: 60 seconds.
    statsd_interval: Duration = Duration::from_secs(60),
    /// Whether those of the memory are sent too. Default: yes.
    statsd_mem_stats: bool = true,
    /// How many bytes go into a packet, at most 65,507. A line that is longer has a packet for itself. Default: 508.
    statsd_udp_packet_size: usize = 508,
    /// Whether topics and channels whose names end in `#ephemeral` are left out. Default: no.
    statsd_exclude_ephemeral: bool = false,
    /// How TLS is offered. Default: not at all.
    tls: Option<TlsOptions> = None,
    /// The servers that are asked what the owner of a secret may do, as `host:port` or URL; AUTH is demanded if there is
    /// one. Default: none.
    auth_http_addresses: Vec<String> = Vec::new(),
    /// How long to wait for a connection to an auth server or nsqlookupd. Default: 2 seconds.
    http_client_connect_timeout: Duration = Duration::from_secs(2),
    /// How long to wait for their answer. Default: 5 seconds.
    http_client_request_timeout: Duration = Duration::from_secs(5),
    /// How many messages are kept in all; beyond it publishing is refused. One message in several channels counts once.
    /// Default: 10 million.
    max_messages: usize = 10_000_000,
    /// How many bytes of message bodies, with 64 bytes for each message's own needs, are kept in all; beyond it
    /// publishing is refused. Default: 1 GiB.
    max_bytes: usize = 1024 * 1024 * 1024,
    /// How many topics there can be; beyond it new ones are refused. Default: 100,000.
    max_topics: usize = 100_000,
    /// How many channels there can be in all; beyond it new ones are refused. Default: 100,000.
    max_channels: usize = 100_000,
    /// How many connections of the TCP protocol there can be at a time; further ones are closed. Default: 100,000.
    max_connections: usize = 100_000,
    /// What is told of how much the program logs; the nsqd itself only keeps it. Default: info.
    log_level: LogLevel = LogLevel::Info,
    /// The clock that all timers follow. Default: the system's.
    clock: Clock = Clock::system(),
}
