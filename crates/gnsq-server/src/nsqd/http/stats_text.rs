//! The statistics as text, for people to read: nsqd's columns to the space.

use std::fmt;
use std::time::Duration;

use super::go;
use crate::nsqd::stats::{ChannelStats, ClientStats, E2eLatency, MemoryStats, Stats, TopicStats};
use crate::version::version_line;

/// Shows as the text.
#[derive(Debug)]
pub(super) struct StatsText<'a> {
    pub(super) stats: &'a Stats,
    pub(super) uptime: Duration,
    /// Seconds since the Unix epoch.
    pub(super) now: i64,
}

impl fmt::Display for StatsText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { health, start_time, topics, memory, producers, .. } = self.stats;
        writeln!(f, "{}", version_line("nsqd"))?;
        writeln!(f, "start_time {}", go::Utc(*start_time))?;
        writeln!(f, "uptime {}", go::Span(self.uptime))?;
        writeln!(f, "\nHealth: {health}")?;
        if let Some(memory) = memory {
            write_memory(f, memory)?;
        }
        f.write_str(if topics.is_empty() { "\nTopics: None\n" } else { "\nTopics:" })?;
        for topic in topics {
            writeln!(f)?;
            self.write_topic(f, topic)?;
        }
        f.write_str(if producers.is_empty() { "\nProducers: None\n" } else { "\nProducers:\n" })?;
        producers.iter().try_for_each(|producer| self.write_client(f, "   ", producer))
    }
}

impl StatsText<'_> {
    fn write_topic(&self, f: &mut fmt::Formatter<'_>, topic: &TopicStats) -> fmt::Result {
        let TopicStats { topic_name, channels, depth, backend_depth, message_count, paused, .. } = topic;
        let latency = LatencyText(&topic.e2e_processing_latency);
        let mark = if *paused { "*P" } else { "  " };
        writeln!(
            f,
            "{mark} [{:15}] depth: {depth:<5} be-depth: {backend_depth:<5} msgs: {message_count:<8} e2e%: {latency}",
            topic_name.as_str()
        )?;
        channels.iter().try_for_each(|channel| self.write_channel(f, channel))
    }

    fn write_channel(&self, f: &mut fmt::Formatter<'_>, channel: &ChannelStats) -> fmt::Result {
        let ChannelStats { channel_name, depth, backend_depth, in_flight_count, deferred_count, clients, .. } = channel;
        let ChannelStats { message_count, requeue_count, timeout_count, paused, .. } = channel;
        let latency = LatencyText(&channel.e2e_processing_latency);
        let mark = if *paused { "*P" } else { "  " };
        writeln!(
            f,
            "   {mark} [{:25}] depth: {depth:<5} be-depth: {backend_depth:<5} inflt: {in_flight_count:<4} \
             def: {deferred_count:<4} re-q: {requeue_count:<5} timeout: {timeout_count:<5} msgs: {message_count:<8} \
             e2e%: {latency}",
            channel_name.as_str()
        )?;
        clients.iter().flatten().try_for_each(|client| self.write_client(f, "        ", client))
    }

    /// Who has published anything is shown as a producer, wherever it is.
    fn write_client(&self, f: &mut fmt::Formatter<'_>, indent: &str, client: &ClientStats) -> fmt::Result {
        let port = client.remote_address.rsplit_once(':').map_or("", |(_, port)| port);
        let mut name = format!("{}:{port}", client.hostname);
        if !client.user_agent.is_empty() {
            name = format!("{name} {}", client.user_agent);
        }
        write!(f, "{indent}[{} {name:21}] ", client.version)?;
        if client.pub_counts.is_empty() {
            let ClientStats { in_flight_count, ready_count, finish_count, requeue_count, message_count, .. } = client;
            write!(
                f,
                "state: {} inflt: {in_flight_count:<4} rdy: {ready_count:<4} fin: {finish_count:<8} \
                 re-q: {requeue_count:<8} msgs: {message_count:<8} ",
                client.state as u8
            )?;
        } else {
            let messages: u64 = client.pub_counts.iter().map(|counted| counted.count).sum();
            let topics: Vec<_> =
                client.pub_counts.iter().map(|counted| format!("{}={}", counted.topic, counted.count)).collect();
            write!(f, "msgs: {messages:<8} topics: {} ", topics.join(","))?;
        }
        let seconds = u64::try_from(self.now - client.connect_ts).unwrap_or(0);
        writeln!(f, "connected: {}", go::Span(Duration::from_secs(seconds)))
    }
}

/// The percentiles' values, each in the largest unit of which it has at least one.
struct LatencyText<'a>(&'a E2eLatency);

impl fmt::Display for LatencyText<'_> {
    #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, percentile) in self.0.percentiles.iter().enumerate() {
            let (unit, nanos) = match percentile.value {
                0..1_000 => ("ns", 1.0),
                1_000..1_000_000 => ("us", 1e3),
                1_000_000..1_000_000_000 => ("ms", 1e6),
                _ => ("s", 1e9),
            };
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{:.1}{unit}", percentile.value as f64 / nanos)?;
        }
        Ok(())
    }
}

fn write_memory(f: &mut fmt::Formatter<'_>, memory: &MemoryStats) -> fmt::Result {
    writeln!(f, "\nMemory:")?;
    for (name, value) in memory.gauges().into_iter().chain([("gc_total_runs", memory.gc_total_runs)]) {
        writeln!(f, "   {name:25}\t{value}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        let stats: Stats = serde_json::from_str(json).unwrap();
        let text = StatsText { stats: &stats, uptime: Duration::from_millis(97_500), now: 1_795_335_531 }.to_string();
        let (version, rest) = text.split_once('\n').unwrap();
        assert_eq!(version, version_line("nsqd"));
        rest.to_owned()
    }

    /// What nsqd 1.3.0 showed of this state, less its build.
    #[test]
    fn the_columns_are_nsqds_to_the_space() {
        let client = |identity: &str, state: &str, more: &str| {
            format!(
                r#"{{{identity},"version":"V2",{state},"connect_ts":1795335530,"sample_rate":0,"deflate":false,
                "snappy":false,{more}"tls":false,"tls_cipher_suite":"","tls_version":"","tls_negotiated_protocol":"",
                "tls_negotiated_protocol_is_mutual":false}}"#
            )
        };
        let idle = r#""ready_count":0,"in_flight_count":0,"message_count":0,"finish_count":0,"requeue_count":0"#;
        let long = client(
            r#""client_id":"cid","hostname":"averylonghostname.with.a.domain.example.org","remote_address":"127.0.0.1:45596""#,
            r#""state":3,"ready_count":2500,"in_flight_count":3,"message_count":3,"finish_count":0,"requeue_count":0"#,
            r#""user_agent":"ua/1","#,
        );
        let nameless = client(
            r#""client_id":"","hostname":"","remote_address":"127.0.0.1:45604""#,
            r#""state":3,"ready_count":2500,"in_flight_count":2,"message_count":2,"finish_count":0,"requeue_count":0"#,
            r#""user_agent":"ua/1","#,
        );
        let unix = client(
            r#""client_id":"","hostname":"","remote_address":"@""#,
            &format!(r#""state":4,{idle}"#),
            r#""user_agent":"","#,
        );
        let producer = client(
            r#""client_id":"prod","hostname":"q","remote_address":"127.0.0.1:45644""#,
            &format!(r#""state":0,{idle}"#),
            r#""user_agent":"","pub_counts":[{"topic":"t1","count":1}],"#,
        );
        let elsewhere = client(
            r#""client_id":"","hostname":"127.0.0.1","remote_address":"127.0.0.1:60190""#,
            &format!(r#""state":0,{idle}"#),
            r#""user_agent":"","#,
        );
        let json = format!(
            r#"{{"version":"1.3.0","health":"OK","start_time":1795335434,"topics":[{{"topic_name":
            "averyveryverylongtopicnameindeed_it_is_long_more_than_forty","channels":[],"depth":0,"backend_depth":0,
            "message_count":0,"message_bytes":0,"paused":false,"e2e_processing_latency":{{"count":0,"percentiles":null}}
            }},{{"topic_name":"t1","channels":[{{"channel_name":"c1","depth":0,"backend_depth":0,"in_flight_count":5,
            "deferred_count":0,"message_count":17,"requeue_count":0,"timeout_count":0,"client_count":2,"clients":[{long},
            {nameless}],"paused":false,"e2e_processing_latency":{{"count":0,"percentiles":null}}}},{{"channel_name":"c2",
            "depth":17,"backend_depth":0,"in_flight_count":0,"deferred_count":0,"message_count":17,"requeue_count":0,
            "timeout_count":0,"client_count":1,"clients":[{unix}],"paused":true,"e2e_processing_latency":{{"count":0,
            "percentiles":null}}}}],"depth":3,"backend_depth":0,"message_count":17,"message_bytes":51,"paused":true,
            "e2e_processing_latency":{{"count":0,"percentiles":null}}}}],"producers":[{producer},{elsewhere}]}}"#
        );
        let expected = concat!(
            "start_time 2026-11-22T08:17:14Z\n",
            "uptime 1m37.5s\n",
            "\n",
            "Health: OK\n",
            "\n",
            "Topics:\n",
            "   [averyveryverylongtopicnameindeed_it_is_long_more_than_forty] ",
            "depth: 0     be-depth: 0     msgs: 0        e2e%: \n",
            "\n",
            "*P [t1             ] depth: 3     be-depth: 0     msgs: 17       e2e%: \n",
            "      [c1                       ] depth: 0     be-depth: 0     inflt: 5    def: 0    re-q: 0     ",
            "timeout: 0     msgs: 17       e2e%: \n",
            "        [V2 averylonghostname.with.a.domain.example.org:45596 ua/1] ",
            "state: 3 inflt: 3    rdy: 2500 fin: 0        re-q: 0        msgs: 3        connected: 1s\n",
            "        [V2 :45604 ua/1          ] ",
            "state: 3 inflt: 2    rdy: 2500 fin: 0        re-q: 0        msgs: 2        connected: 1s\n",
            "   *P [c2                       ] depth: 17    be-depth: 0     inflt: 0    def: 0    re-q: 0     ",
            "timeout: 0     msgs: 17       e2e%: \n",
            "        [V2 :                    ] ",
            "state: 4 inflt: 0    rdy: 0    fin: 0        re-q: 0        msgs: 0        connected: 1s\n",
            "\n",
            "Producers:\n",
            "   [V2 q:45644              ] msgs: 1        topics: t1=1 connected: 1s\n",
            "   [V2 127.0.0.1:60190      ] ",
            "state: 0 inflt: 0    rdy: 0    fin: 0        re-q: 0        msgs: 0        connected: 1s\n",
        );
        assert_eq!(text(&json), expected);
    }

    #[test]
    fn latencies_are_shown_in_the_unit_that_they_need() {
        let json = r#"{"count":9,"percentiles":[{"quantile":1,"value":66912345678},{"quantile":0.9,"value":2678541383},
            {"quantile":0.8,"value":511042602},{"quantile":0.7,"value":425712},{"quantile":0.6,"value":1000},
            {"quantile":0.5,"value":0}]}"#;
        let latency: E2eLatency = serde_json::from_str(json).unwrap();
        assert_eq!(LatencyText(&latency).to_string(), "66.9s, 2.7s, 511.0ms, 425.7us, 1.0us, 0.0ns");
        assert_eq!(LatencyText(&E2eLatency::default()).to_string(), "");
    }

    #[test]
    fn an_empty_nsqd_has_none_of_either() {
        let json = r#"{"version":"1.3.0","health":"OK","start_time":1795335434,"topics":[],"memory":{"heap_objects":1463,
            "heap_idle_bytes":0,"heap_in_use_bytes":950272,"heap_released_bytes":0,"gc_pause_usec_100":0,
            "gc_pause_usec_99":0,"gc_pause_usec_95":0,"next_gc_bytes":4194304,"gc_total_runs":0},"producers":null}"#;
        let expected = concat!(
            "start_time 2026-11-22T08:17:14Z\n",
            "uptime 1m37.5s\n",
            "\n",
            "Health: OK\n",
            "\n",
            "Memory:\n",
            "   heap_objects             \t1463\n",
            "   heap_idle_bytes          \t0\n",
            "   heap_in_use_bytes        \t950272\n",
            "   heap_released_bytes      \t0\n",
            "   gc_pause_usec_100        \t0\n",
            "   gc_pause_usec_99         \t0\n",
            "   gc_pause_usec_95         \t0\n",
            "   next_gc_bytes            \t4194304\n",
            "   gc_total_runs            \t0\n",
            "\n",
            "Topics: None\n",
            "\n",
            "Producers: None\n",
        );
        assert_eq!(text(json), expected);
    }
}
