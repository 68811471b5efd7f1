//! nsqd's flags, and an nsqd by them.

use gnsq_server::{
    ClientAuth, ListenAddress, LogLevel, Nsqd, NsqdBuilder, NsqdOptions, PemSource, TlsOptions, TlsRequired, TlsVersion,
};

use super::flags::{Flag, Flags};
use super::value::{Kind, TCP_HTTPS};

/// An nsqd as the flags say.
///
/// # Errors
///
/// When what they say can't be.
pub(super) fn builder(flags: &Flags) -> Result<NsqdBuilder, String> {
    let mut options = NsqdOptions::default();
    /// Replaces the default by what is said.
    macro_rules! set {
        ($field:ident, $said:expr) => {
            if let Some(value) = $said {
                options.$field = value.into();
            }
        };
    }
    options.tcp_address = address(flags.text("tcp-address"), "0.0.0.0:4150");
    options.http_address = address(flags.text("http-address"), "0.0.0.0:4151");
    options.https_address = address(flags.text("https-address"), "0.0.0.0:4152");
    options.broadcast_address.clone_from(&options.hostname);
    set!(broadcast_address, flags.text("broadcast-address"));
    options.node_id = flags.number("node-id")?.unwrap_or_else(|| id_of(&options.hostname));
    options.lookupd_tcp_addresses = flags.list("lookupd-tcp-address");
    options.auth_http_addresses = flags.list("auth-http-address");
    options.e2e_processing_latency_percentiles = percentiles(flags)?;
    options.log_level = log_level(flags);
    options.tls = tls(flags)?;
    set!(broadcast_tcp_port, flags.number::<u16>("broadcast-tcp-port")?);
    set!(broadcast_http_port, flags.number::<u16>("broadcast-http-port")?);
    set!(max_msg_size, flags.number::<usize>("max-msg-size")?);
    set!(max_body_size, flags.number::<usize>("max-body-size")?);
    set!(max_rdy_count, flags.number::<u32>("max-rdy-count")?);
    set!(max_channel_consumers, flags.number::<usize>("max-channel-consumers")?);
    set!(mem_queue_size, flags.number::<usize>("mem-queue-size")?);
    set!(max_output_buffer_size, flags.number::<usize>("max-output-buffer-size")?);
    set!(max_deflate_level, flags.number::<u8>("max-deflate-level")?);
    set!(msg_timeout, flags.duration("msg-timeout"));
    set!(max_msg_timeout, flags.duration("max-msg-timeout"));
    set!(max_req_timeout, flags.duration("max-req-timeout"));
    set!(max_heartbeat_interval, flags.duration("max-heartbeat-interval"));
    set!(max_output_buffer_timeout, flags.duration("max-output-buffer-timeout"));
    set!(min_output_buffer_timeout, flags.duration("min-output-buffer-timeout"));
    set!(output_buffer_timeout, flags.duration("output-buffer-timeout"));
    set!(http_client_connect_timeout, flags.duration("http-client-connect-timeout"));
    set!(http_client_request_timeout, flags.duration("http-client-request-timeout"));
    set!(e2e_processing_latency_window_time, flags.duration("e2e-processing-latency-window-time"));
    options.statsd_address = flags.text("statsd-address").filter(|address| !address.is_empty()).map(str::to_owned);
    set!(statsd_prefix, flags.text("statsd-prefix"));
    set!(statsd_interval, flags.duration("statsd-interval"));
    set!(statsd_mem_stats, flags.switch("statsd-mem-stats"));
    set!(statsd_udp_packet_size, flags.number::<usize>("statsd-udp-packet-size")?);
    set!(statsd_exclude_ephemeral, flags.switch("statsd-exclude-ephemeral"));
    set!(deflate, flags.switch("deflate"));
    set!(snappy, flags.switch("snappy"));
    set!(max_messages, flags.number::<usize>("max-messages")?);
    set!(max_bytes, flags.number::<usize>("max-bytes")?);
    set!(max_connections, flags.number::<usize>("max-connections")?);
    Ok(Nsqd::builder().options(options))
}

fn percentiles(flags: &Flags) -> Result<Vec<f64>, String> {
    let percentiles = flags.list("e2e-processing-latency-percentile");
    let read = |text: String| {
        text.parse().map_err(|_| format!("--e2e-processing-latency-percentile takes numbers such as 0.99, not {text}"))
    };
    percentiles.into_iter().map(read).collect()
}

/// How much to log.
pub(super) fn log_level(flags: &Flags) -> LogLevel {
    // The flag takes nothing else.
    flags.text("log-level").and_then(|level| level.parse().ok()).unwrap_or_default()
}

/// The part of message ids that tells hosts apart.
pub(super) fn node_id(flags: &Flags) -> Result<u16, String> {
    Ok(flags.number("node-id")?.unwrap_or_else(|| id_of(&NsqdOptions::default().hostname)))
}

fn address(said: Option<&str>, default: &str) -> ListenAddress {
    said.unwrap_or(default).into()
}

fn tls(flags: &Flags) -> Result<Option<TlsOptions>, String> {
    let required = match flags.text("tls-required") {
        Some(TCP_HTTPS) => TlsRequired::TcpHttps,
        _ if flags.switch("tls-required") == Some(true) => TlsRequired::All,
        _ => TlsRequired::No,
    };
    let client_auth = match flags.text("tls-client-auth-policy") {
        None | Some("") => ClientAuth::None,
        Some("require") => ClientAuth::Require,
        Some("require-verify") => ClientAuth::RequireVerify,
        Some(other) => {
            return Err(format!("--tls-client-auth-policy is require or require-verify, not {other}"));
        }
    };
    let file = |name| flags.text(name).filter(|path| !path.is_empty()).map(|path| PemSource::File(path.into()));
    let (certificate, key) = match (file("tls-cert"), file("tls-key")) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if required == TlsRequired::No && client_auth == ClientAuth::None => return Ok(None),
        (None, None) => return Err("cannot require TLS client connections without TLS key and cert".to_owned()),
        (Some(_), None) => return Err("--tls-cert needs --tls-key".to_owned()),
        (None, Some(_)) => return Err("--tls-key needs --tls-cert".to_owned()),
    };
    let min_version = match flags.text("tls-min-version") {
        Some("tls1.3") => TlsVersion::Tls13,
        _ => TlsVersion::Tls12,
    };
    Ok(Some(TlsOptions { certificate, key, root_ca: file("tls-root-ca-file"), client_auth, required, min_version }))
}

/// Hosts have different ids, mostly (FNV-1a).
fn id_of(hostname: &str) -> u16 {
    let hash = hostname.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    u16::try_from(hash % 1024).unwrap_or(0)
}

/// All of nsqd 1.3.0's, and the bounds of a server in memory.
pub(crate) const FLAGS: &[Flag] = &[
    Flag::new("auth-http-address", Kind::List, "", "<addr>:<port> or URL of an auth server; may be repeated")
        .in_config("auth_http_addresses"),
    Flag::new("broadcast-address", Kind::Text, "the host's name", "the host that clients and nsqlookupd are told"),
    Flag::new("broadcast-http-port", Kind::Number, "the one listened on", "the HTTP port that nsqlookupd is told"),
    Flag::new("broadcast-tcp-port", Kind::Number, "the one listened on", "the TCP port that nsqlookupd is told"),
    Flag::new("config", Kind::Text, "", "a TOML file with the same options"),
    Flag::new("data-path", Kind::Text, "", "messages stay in memory").idle(),
    Flag::new("deflate", Kind::Switch, "true", "whether deflate is offered"),
    Flag::new(
        "e2e-processing-latency-percentile",
        Kind::List,
        "",
        "a percentile of the time to finish a message that /stats tells, such as 0.99; may be repeated",
    )
    .in_config("e2e_processing_latency_percentiles"),
    Flag::new("e2e-processing-latency-window-time", Kind::Duration, "10m0s", "how far back the percentiles reach"),
    Flag::new("http-address", Kind::Text, "0.0.0.0:4151", "where to listen for HTTP: <addr>:<port>, or a path"),
    Flag::new("http-client-connect-timeout", Kind::Duration, "2s", "for auth servers and nsqlookupd"),
    Flag::new("http-client-request-timeout", Kind::Duration, "5s", "for auth servers and nsqlookupd"),
    Flag::new("https-address", Kind::Text, "0.0.0.0:4152", "where to listen for HTTPS, with a certificate"),
    Flag::new("log-level", Kind::LogLevel, "INFO", "debug, info, warn, error or fatal"),
    Flag::new("log-prefix", Kind::Text, "[nsqd] ", "what each line of the log begins with"),
    Flag::new("lookupd-tcp-address", Kind::List, "", "an nsqlookupd to register with; may be repeated")
        .in_config("nsqlookupd_tcp_addresses"),
    Flag::new("max-body-size", Kind::Number, "5242880", "the largest body of a command in bytes"),
    Flag::new("max-bytes", Kind::Number, "1073741824", "how many bytes of messages are kept in all; not nsqd's own"),
    Flag::new("max-bytes-per-file", Kind::Number, "104857600", "messages stay in memory").idle(),
    Flag::new("max-channel-consumers", Kind::Number, "0: any number", "how many consumers a channel takes"),
    Flag::new("max-connections", Kind::Number, "100000", "how many clients there can be; not nsqd's own"),
    Flag::new("max-deflate-level", Kind::Number, "6", "the highest level a client is given, 1 to 9"),
    Flag::new("max-heartbeat-interval", Kind::Duration, "1m0s", "the longest a client may ask for"),
    Flag::new("max-messages", Kind::Number, "10000000", "how many messages are kept in all; not nsqd's own"),
    Flag::new("max-msg-size", Kind::Number, "1048576", "the largest message in bytes"),
    Flag::new("max-msg-timeout", Kind::Duration, "15m0s", "how long a message may be held with touches"),
    Flag::new("max-output-buffer-size", Kind::Number, "65536", "the largest a client may ask for, in bytes"),
    Flag::new("max-output-buffer-timeout", Kind::Duration, "30s", "the longest a client may ask for"),
    Flag::new("max-rdy-count", Kind::Number, "2500", "the largest RDY"),
    Flag::new("max-req-timeout", Kind::Duration, "1h0m0s", "the longest delay of a message"),
    Flag::new("mem-queue-size", Kind::Number, "10000", "how many messages an ephemeral topic or channel keeps"),
    Flag::new("min-output-buffer-timeout", Kind::Duration, "25ms", "the shortest a client may ask for"),
    Flag::new("msg-timeout", Kind::Duration, "1m0s", "how long a message may be held"),
    Flag::new(
        "node-id",
        Kind::Number,
        "by the host's name",
        "the part of message ids that tells nsqds apart, 0 to 1023",
    )
    .in_config("id"),
    Flag::new("output-buffer-timeout", Kind::Duration, "250ms", "how long messages may be gathered"),
    Flag::new("queue-scan-selection-count", Kind::Number, "20", "timers are precise here").idle(),
    Flag::new("queue-scan-worker-pool-max", Kind::Number, "4", "timers are precise here").idle(),
    Flag::new("snappy", Kind::Switch, "true", "whether snappy is offered"),
    Flag::new("statsd-address", Kind::Text, "", "<addr>:<port> of a statsd to send statistics to, over UDP"),
    Flag::new("statsd-exclude-ephemeral", Kind::Switch, "false", "whether ephemeral topics and channels are left out"),
    Flag::new("statsd-interval", Kind::Duration, "1m0s", "how often statistics are sent"),
    Flag::new("statsd-mem-stats", Kind::Switch, "true", "whether those of the memory are sent too"),
    Flag::new("statsd-prefix", Kind::Text, "nsq.%s", "what their names begin with; %s is the host and port"),
    Flag::new("statsd-udp-packet-size", Kind::Number, "508", "how many bytes go into a packet"),
    Flag::new("sync-every", Kind::Number, "2500", "messages stay in memory").idle(),
    Flag::new("sync-timeout", Kind::Duration, "2s", "messages stay in memory").idle(),
    Flag::new(
        "tcp-address",
        Kind::Text,
        "0.0.0.0:4150",
        "where to listen for the TCP protocol: <addr>:<port>, or a path",
    ),
    Flag::new("tls-cert", Kind::Text, "", "the certificate to show (PEM)"),
    Flag::new("tls-client-auth-policy", Kind::Text, "", "require or require-verify clients' certificates"),
    Flag::new("tls-key", Kind::Text, "", "the key of --tls-cert (PEM)"),
    Flag::new("tls-min-version", Kind::TlsVersion, "tls1.2", "tls1.2 or tls1.3; older ones are taken for tls1.2"),
    Flag::new("tls-required", Kind::TlsRequired, "false", "who has to use TLS: true (all), tcp-https, false"),
    Flag::new("tls-root-ca-file", Kind::Text, "", "who signs clients' certificates (PEM)"),
    Flag::new("verbose", Kind::Switch, "false", "has no effect, use --log-level").idle(),
    Flag::new("version", Kind::Switch, "false", "print the version"),
    Flag::new("worker-id", Kind::Switch, "false", "has no effect, use --node-id").idle(),
];

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::super::flags::Parsed;
    use super::*;

    fn flags(arguments: &[&str]) -> Flags {
        match Flags::parse(FLAGS, arguments.iter().map(ToString::to_string)) {
            Ok(Parsed::Flags(flags)) => flags,
            other => panic!("{other:?}"),
        }
    }

    /// Each of the real nsqd's is taken, with or without a value as there.
    #[test]
    fn has_the_real_nsqds_flags() {
        let help = Command::new(gnsq_testkit::program("nsqd")).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stderr).unwrap();
        let mut count = 0;
        for line in help.lines().filter_map(|line| line.strip_prefix("  -")) {
            let (name, with_value) = line.split_once(' ').map_or((line, false), |(name, _)| (name, true));
            let flag = FLAGS.iter().find(|flag| flag.name == name).unwrap_or_else(|| panic!("no flag {name}"));
            assert_eq!(flag.kind.is_switch(), !with_value, "{name}");
            count += 1;
        }
        assert_eq!(count + 3, FLAGS.len(), "{help}");
        assert!(FLAGS.is_sorted_by_key(|flag| flag.name));
    }

    #[test]
    fn defaults_are_nsqds() {
        let options = format!("{:?}", builder(&flags(&[])).unwrap());
        for part in ["4150", "4151", "4152", "max_msg_size: 1048576", "msg_timeout: 60s", "tls: None"] {
            assert!(options.contains(part), "{part}: {options}");
        }
    }

    #[test]
    fn every_flag_that_has_an_effect_shows_in_the_options() {
        let options = builder(&flags(&[
            "--tcp-address=/run/x.sock",
            "--msg-timeout=7s",
            "--max-msg-size=77",
            "--node-id=5",
            "--lookupd-tcp-address=a:1",
            "--lookupd-tcp-address=b:2",
            "--snappy=false",
            "--tls-cert=/c",
            "--tls-key=/k",
            "--tls-required=tcp-https",
            "--tls-client-auth-policy=require-verify",
            "--tls-root-ca-file=/r",
            "--tls-min-version=tls1.3",
            "--broadcast-tcp-port=99",
            "--max-messages=9",
            "--statsd-address=s:8125",
            "--statsd-prefix=p.%s",
            "--statsd-interval=5s",
            "--statsd-mem-stats=false",
            "--statsd-udp-packet-size=1432",
            "--statsd-exclude-ephemeral",
            "--e2e-processing-latency-percentile=0.99,0.5",
            "--e2e-processing-latency-percentile=1",
            "--e2e-processing-latency-window-time=1m",
            "--log-level=warn",
        ]))
        .unwrap();
        let options = format!("{options:?}");
        for part in [
            "Unix(\"/run/x.sock\")",
            " msg_timeout: 7s",
            "max_msg_size: 77",
            "node_id: 5",
            "[\"a:1\", \"b:2\"]",
            "snappy: false",
            "TcpHttps",
            "RequireVerify",
            "Tls13",
            "broadcast_tcp_port: 99",
            "max_messages: 9,",
            "statsd_address: Some(\"s:8125\")",
            "statsd_prefix: \"p.%s\"",
            "statsd_interval: 5s",
            "statsd_mem_stats: false",
            "statsd_udp_packet_size: 1432",
            "statsd_exclude_ephemeral: true",
            "percentiles: [0.99, 0.5, 1.0]",
            "window_time: 60s",
            "log_level: Warn",
        ] {
            assert!(options.contains(part), "{part}: {options}");
        }
        assert_eq!(flags(&["--msg-timeout=1m30s"]).duration("msg-timeout"), Some(Duration::from_secs(90)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (arguments, reason) in [
            (&["--tls-required"][..], "cannot require TLS client connections without TLS key and cert"),
            (&["--tls-client-auth-policy=require"], "cannot require TLS client connections without TLS key and cert"),
            (&["--tls-cert=/c"], "--tls-cert needs --tls-key"),
            (&["--tls-client-auth-policy=foo"], "require or require-verify"),
            (&["--e2e-processing-latency-percentile=x"], "takes numbers such as 0.99, not x"),
            (&["--max-msg-size=-5"], "--max-msg-size can't be -5"),
            (&["--broadcast-tcp-port=70000"], "--broadcast-tcp-port can't be 70000"),
        ] {
            let error = builder(&flags(arguments)).unwrap_err();
            assert!(error.contains(reason), "{arguments:?}: {error}");
        }
    }
}
