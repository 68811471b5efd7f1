//! The statistics as text, for people to read: nsqd's columns to the space.

use std::fmt;
use std::time::Duration;

use super::go;
use crate::nsqd::stats::{ChannelStats, ClientStats, MemoryStats, Stats, TopicStats};
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
        let mark = if *paused { "*P" } else { "  " };
        writeln!(
            f,
            "{mark} [{:15}] depth: {depth:<5} be-depth: {backend_depth:<5} msgs: {message_count:<8} e2e%: ",
            topic_name.as_str()
        )?;
        channels.iter().try_for_each(|channel| self.write_channel(f, channel))
    }

    fn write_channel(&self, f: &mut fmt::Formatter<'_>, channel: &ChannelStats) -> fmt::Result {
        let ChannelStats { channel_name, depth, backend_depth, in_flight_count, deferred_count, clients, .. } = channel;
        let ChannelStats { message_count, requeue_count, timeout_count, paused, .. } = channel;
        let mark = if *paused { "*P" } else { "  " };
        writeln!(
            f,
            "   {mark} [{:25}] depth: {depth:<5} be-depth: {backend_depth:<5} inflt: {in_flight_count:<4} \
             def: {deferred_count:<4} re-q: {requeue_count:<5} timeout: {timeout_count:<5} msgs: {message_count:<8} \
             e2e%: ",
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

fn write_memory(f: &mut fmt::Formatter<'_>, memory: &MemoryStats) -> fmt::Result {
    writeln!(f, "\nMemory:")?;
    for (name, value) in [
        ("heap_objects", memory.heap_objects),
        ("heap_idle_bytes", memory.heap_idle_bytes),
        ("heap_in_use_bytes", memory.heap_in_use_bytes),
        ("heap_released_bytes", memory.heap_released_bytes),
        ("gc_pause_usec_100", memory.gc_pause_usec_100),
        ("gc_pause_usec_99", memory.gc_pause_usec_99),
        ("gc_pause_usec_95", memory.gc_pause_usec_95),
        ("next_gc_bytes", memory.next_gc_bytes),
        ("gc_total_runs", memory.gc_total_runs),
    ] {
        writeln!(f, "   {name:25}\t{value}")?;
    }
    Ok(())
}
