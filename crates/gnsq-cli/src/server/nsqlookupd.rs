//! nsqlookupd's flags, and an nsqlookupd by them.

use gnsq_server::{NsqdOptions, Nsqlookupd, NsqlookupdBuilder};

use super::flags::{Flag, Flags};
use super::value::Kind;

/// An nsqlookupd as the flags say.
pub(super) fn builder(flags: &Flags) -> NsqlookupdBuilder {
    let hostname = NsqdOptions::default().hostname;
    let mut builder = Nsqlookupd::builder()
        .tcp_address(flags.text("tcp-address").unwrap_or("0.0.0.0:4160"))
        .http_address(flags.text("http-address").unwrap_or("0.0.0.0:4161"))
        .broadcast_address(flags.text("broadcast-address").unwrap_or(&hostname));
    if let Some(timeout) = flags.duration("inactive-producer-timeout") {
        builder = builder.inactive_producer_timeout(timeout);
    }
    if let Some(lifetime) = flags.duration("tombstone-lifetime") {
        builder = builder.tombstone_lifetime(lifetime);
    }
    builder
}

/// All of nsqlookupd 1.3.0's.
pub(crate) const FLAGS: &[Flag] = &[
    Flag::new("broadcast-address", Kind::Text, "the host's name", "the host that nsqds are told"),
    Flag::new("config", Kind::Text, "", "a TOML file with the same options"),
    Flag::new("http-address", Kind::Text, "0.0.0.0:4161", "where to listen for HTTP: <addr>:<port>"),
    Flag::new("inactive-producer-timeout", Kind::Duration, "5m0s", "how long after its last ping an nsqd is listed"),
    Flag::new("log-level", Kind::LogLevel, "INFO", "debug, info, warn, error or fatal"),
    Flag::new("log-prefix", Kind::Text, "[nsqlookupd] ", "what each line of the log begins with"),
    Flag::new("tcp-address", Kind::Text, "0.0.0.0:4160", "where to listen for nsqds: <addr>:<port>"),
    Flag::new("tombstone-lifetime", Kind::Duration, "45s", "how long a tombstone hides an nsqd"),
    Flag::new("verbose", Kind::Switch, "false", "has no effect, use --log-level").idle(),
    Flag::new("version", Kind::Switch, "false", "print the version"),
];

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::flags::Parsed;
    use super::*;

    #[test]
    fn has_the_real_nsqlookupds_flags() {
        let help = Command::new(gnsq_testkit::program("nsqlookupd")).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stderr).unwrap();
        let names: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("  -")?.split(' ').next()).collect();
        assert_eq!(FLAGS.iter().map(|flag| flag.name).collect::<Vec<_>>(), names);
    }

    #[test]
    fn every_flag_that_has_an_effect_shows_in_the_options() {
        let arguments = ["--tcp-address=a:1", "-broadcast-address", "b", "--tombstone-lifetime=7s"];
        let flags = Flags::parse(FLAGS, arguments.map(str::to_owned)).unwrap();
        let Parsed::Flags(flags) = flags else { panic!("it is no help") };
        let options = format!("{:?}", builder(&flags));
        for part in
            ["\"a:1\"", "\"0.0.0.0:4161\"", "\"b\"", "tombstone_lifetime: 7s", "inactive_producer_timeout: 300s"]
        {
            assert!(options.contains(part), "{part}: {options}");
        }
    }
}
