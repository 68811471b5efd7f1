//! Sends the statistics to a statsd, as often as it is told to.

use std::fmt::{self, Write};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};

use super::broker::Broker;
use super::options::NsqdOptions;
use super::stats::{ChannelStats, E2eLatency, MemoryStats, Stats, StatsFilter, TopicStats};
use crate::error::StartError;

/// The way to a statsd.
#[derive(Debug)]
pub(super) struct Statsd {
    socket: UdpSocket,
}

/// The lines of one push, in nsqd's order.
struct Lines {
    prefix: String,
    packets: Packets,
}

/// Text in packets that no line is divided between.
struct Packets {
    /// In bytes. A line that is longer has a packet for itself.
    max_size: usize,
    full: Vec<String>,
    last: String,
}

impl Statsd {
    /// Looks its host up; nothing, if there is none to send to.
    ///
    /// # Errors
    ///
    /// When there is no such host.
    pub(super) async fn new(options: &NsqdOptions) -> Result<Option<Self>, StartError> {
        let Some(address) = options.statsd_address.as_ref().filter(|address| !address.is_empty()) else {
            return Ok(None);
        };
        let socket = connect(address).await.map_err(|error| StartError::Option {
            option: "statsd_address",
            reason: format!("can't send to {address}: {error}"),
        })?;
        Ok(Some(Self { socket }))
    }

    /// Sends what has become of the broker at each interval, for ever.
    pub(super) fn run(self, broker: Arc<Broker>) -> impl Future<Output = ()> + Send + 'static {
        let interval = broker.options().statsd_interval;
        let mut next = broker.clock().now().after(interval);
        async move {
            let mut before = None;
            let mut is_well = true;
            loop {
                broker.clock().sleep_until(Some(next)).await;
                let now = broker.clock().now();
                next = next.after(interval);
                if next <= now {
                    // What was missed is not made up for.
                    next = now.after(interval);
                }
                let stats = broker.stats(&StatsFilter { clients: false, ..StatsFilter::default() });
                let sent = self.send(packets(&broker, before.as_ref(), &stats)).await;
                before = Some(stats);
                match sent {
                    Err(error) if is_well => {
                        let statsd = broker.options().statsd_address.as_deref();
                        tracing::warn!(statsd, %error, "statistics can't be sent; trying again at each interval");
                        is_well = false;
                    }
                    Err(_) => {}
                    Ok(()) => is_well = true,
                }
            }
        }
    }

    /// All packets, of which the receiver can take some in between: they would be lost if they came all at once.
    async fn send(&self, packets: Vec<String>) -> io::Result<()> {
        let mut result = Ok(());
        for (index, packet) in packets.iter().enumerate() {
            if index > 0 && index % BURST == 0 {
                tokio::time::sleep(PAUSE).await;
            }
            // That one is refused says nothing of the next.
            if let Err(error) = self.socket.send(packet.as_bytes()).await {
                result = Err(error);
            }
        }
        result
    }
}

/// What each name begins with.
pub(super) fn prefix(broker: &Broker) -> String {
    let options = broker.options();
    let (host, port) = (&options.broadcast_address, broker.broadcast_http_port());
    let host = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut prefix = options.statsd_prefix.replace("%s", &host.replace(['.', ':'], "_"));
    if !prefix.is_empty() && !prefix.ends_with('.') {
        prefix.push('.');
    }
    prefix
}

/// What has become of `before`.
fn packets(broker: &Broker, before: Option<&Stats>, stats: &Stats) -> Vec<String> {
    let options = broker.options();
    let packets = Packets { max_size: options.statsd_udp_packet_size, full: Vec::new(), last: String::new() };
    let mut lines = Lines { prefix: prefix(broker), packets };
    let is_told = |is_ephemeral: bool| !(is_ephemeral && options.statsd_exclude_ephemeral);
    for topic in stats.topics.iter().filter(|topic| is_told(topic.topic_name.is_ephemeral())) {
        let before = before.and_then(|before| {
            let found = before.topics.binary_search_by(|one| one.topic_name.cmp(&topic.topic_name));
            found.ok().map(|index| &before.topics[index])
        });
        lines.topic(before, topic);
        for channel in topic.channels.iter().filter(|channel| is_told(channel.channel_name.is_ephemeral())) {
            let before = before.and_then(|before| {
                let found = before.channels.binary_search_by(|one| one.channel_name.cmp(&channel.channel_name));
                found.ok().map(|index| &before.channels[index])
            });
            lines.channel(topic, before, channel);
        }
    }
    if let Some(memory) = stats.memory.as_ref().filter(|_| options.statsd_mem_stats) {
        lines.memory(before.and_then(|before| before.memory.as_ref()), memory);
    }
    lines.packets.finish()
}

impl Lines {
    fn topic(&mut self, before: Option<&TopicStats>, topic: &TopicStats) {
        let subject = format!("topic.{}", topic.topic_name);
        self.count(&subject, "message_count", before.map(|before| before.message_count), topic.message_count);
        self.count(&subject, "message_bytes", before.map(|before| before.message_bytes), topic.message_bytes);
        self.gauge(&subject, "depth", topic.depth);
        self.gauge(&subject, "backend_depth", topic.backend_depth);
        self.latency(&subject, &topic.e2e_processing_latency);
    }

    fn channel(&mut self, topic: &TopicStats, before: Option<&ChannelStats>, channel: &ChannelStats) {
        let subject = format!("topic.{}.channel.{}", topic.topic_name, channel.channel_name);
        self.count(&subject, "message_count", before.map(|before| before.message_count), channel.message_count);
        self.gauge(&subject, "depth", channel.depth);
        self.gauge(&subject, "backend_depth", channel.backend_depth);
        self.gauge(&subject, "in_flight_count", channel.in_flight_count);
        self.gauge(&subject, "deferred_count", channel.deferred_count);
        self.count(&subject, "requeue_count", before.map(|before| before.requeue_count), channel.requeue_count);
        self.count(&subject, "timeout_count", before.map(|before| before.timeout_count), channel.timeout_count);
        self.gauge(&subject, "clients", channel.client_count);
        self.latency(&subject, &channel.e2e_processing_latency);
    }

    fn memory(&mut self, before: Option<&MemoryStats>, memory: &MemoryStats) {
        for (name, value) in memory.gauges() {
            self.gauge("mem", name, value);
        }
        self.count("mem", "gc_runs", before.map(|before| before.gc_total_runs), memory.gc_total_runs);
    }

    /// 0.99 is called 99, and so is 0.994.
    fn latency(&mut self, subject: &str, latency: &E2eLatency) {
        for percentile in &latency.percentiles {
            let name = format!("e2e_processing_latency_{:.0}", percentile.quantile * 100.0);
            self.gauge(subject, &name, percentile.value);
        }
    }

    fn gauge(&mut self, subject: &str, name: &str, value: u64) {
        self.packets.add(format_args!("{}{subject}.{name}:{value}|g\n", self.prefix));
    }

    /// What has come since `before`. What counts less than before has begun anew.
    fn count(&mut self, subject: &str, name: &str, before: Option<u64>, value: u64) {
        let more = value.checked_sub(before.unwrap_or(0)).unwrap_or(value);
        self.packets.add(format_args!("{}{subject}.{name}:{more}|c\n", self.prefix));
    }
}

impl Packets {
    fn add(&mut self, line: fmt::Arguments<'_>) {
        let end = self.last.len();
        // Writing to a string can't fail.
        let _ = self.last.write_fmt(line);
        if self.last.len() > self.max_size && end > 0 {
            let line = self.last.split_off(end);
            self.full.push(std::mem::replace(&mut self.last, line));
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.last.is_empty() {
            self.full.push(self.last);
        }
        self.full
    }
}

async fn connect(address: &str) -> io::Result<UdpSocket> {
    let mut found = lookup_host(address).await?;
    let to = found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no such host"))?;
    let from: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(from).await?;
    socket.connect(to).await?;
    Ok(socket)
}

/// How many packets go without a pause: a socket's usual buffer takes more.
const BURST: usize = 32;
/// In the time of the network, which no manual clock moves.
const PAUSE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use gnsq_proto::{ChannelName, TopicName};

    use super::*;
    use crate::clock::Clock;

    const SECOND: Duration = Duration::from_secs(1);

    fn options() -> NsqdOptions {
        NsqdOptions { clock: Clock::manual(), broadcast_address: "my.host".to_owned(), ..NsqdOptions::default() }
    }

    fn everything(broker: &Broker) -> Stats {
        broker.stats(&StatsFilter::default())
    }

    fn publish(broker: &Arc<Broker>, topic: &str, channel: &str) {
        let topic = broker.topic_or_create(&TopicName::new(topic).unwrap()).unwrap();
        topic.channel_or_create(&ChannelName::new(channel).unwrap()).unwrap();
        topic.publish(broker.now(), b"abc", None).unwrap();
    }

    #[test]
    fn the_prefix_names_the_host() {
        for (broadcast, prefix_option, prefix) in [
            ("my.host", "nsq.%s", "nsq.my_host_4150."),
            ("::1", "%sx", "[__1]_4150x."),
            ("h", "a.%s.b.%s.", "a.h_4150.b.h_4150."),
            ("h", "x", "x."),
            ("h", "", ""),
        ] {
            let options = NsqdOptions {
                broadcast_address: broadcast.to_owned(),
                statsd_prefix: prefix_option.to_owned(),
                ..options()
            };
            assert_eq!(super::prefix(&Broker::alone(options)), prefix);
        }
    }

    #[test]
    fn the_lines_are_nsqds() {
        let broker = Broker::alone(NsqdOptions {
            statsd_udp_packet_size: 10_000,
            e2e_processing_latency_percentiles: vec![0.333, 0.999],
            ..options()
        });
        publish(&broker, "t.1", "c");
        let expected = "
            topic.t.1.message_count:1|c topic.t.1.message_bytes:3|c topic.t.1.depth:0|g topic.t.1.backend_depth:0|g
            topic.t.1.e2e_processing_latency_100:0|g topic.t.1.e2e_processing_latency_33:0|g
            topic.t.1.channel.c.message_count:1|c topic.t.1.channel.c.depth:1|g topic.t.1.channel.c.backend_depth:0|g
            topic.t.1.channel.c.in_flight_count:0|g topic.t.1.channel.c.deferred_count:0|g
            topic.t.1.channel.c.requeue_count:0|c topic.t.1.channel.c.timeout_count:0|c topic.t.1.channel.c.clients:0|g
            topic.t.1.channel.c.e2e_processing_latency_100:0|g topic.t.1.channel.c.e2e_processing_latency_33:0|g
            mem.heap_objects:1|g mem.heap_idle_bytes:0|g mem.heap_in_use_bytes:67|g mem.heap_released_bytes:0|g
            mem.gc_pause_usec_100:0|g mem.gc_pause_usec_99:0|g mem.gc_pause_usec_95:0|g mem.next_gc_bytes:0|g
            mem.gc_runs:0|c";
        let packets = packets(&broker, None, &everything(&broker));
        let lines: Vec<_> =
            packets.concat().lines().map(|line| line.strip_prefix("nsq.my_host_4150.").unwrap().to_owned()).collect();
        assert_eq!(lines, expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!((packets.len(), packets[0].ends_with("|c\n")), (1, true));
    }

    #[test]
    fn counters_count_from_the_last_time() {
        let broker = Broker::alone(NsqdOptions { statsd_prefix: String::new(), statsd_mem_stats: false, ..options() });
        for _ in 0..3 {
            publish(&broker, "t", "c");
        }
        let first = everything(&broker);
        publish(&broker, "t", "c");
        let second = everything(&broker);
        broker.delete_topic("t");
        publish(&broker, "t", "c");
        let third = everything(&broker);
        for (before, stats, count) in
            [(None, &first, 3), (Some(&first), &second, 1), (Some(&second), &second, 0), (Some(&second), &third, 1)]
        {
            let text = packets(&broker, before, stats).concat();
            assert!(text.starts_with(&format!("topic.t.message_count:{count}|c\n")), "{text}");
            assert!(text.contains(&format!("topic.t.channel.c.message_count:{count}|c\n")), "{text}");
        }
    }

    #[test]
    fn what_is_ephemeral_can_be_left_out() {
        let subjects = |exclude| {
            let broker = Broker::alone(NsqdOptions {
                statsd_prefix: String::new(),
                statsd_mem_stats: false,
                statsd_exclude_ephemeral: exclude,
                ..options()
            });
            for (topic, channel) in [("e#ephemeral", "c"), ("t", "c"), ("t", "d#ephemeral")] {
                publish(&broker, topic, channel);
            }
            let text = packets(&broker, None, &everything(&broker)).concat();
            let subjects = text.lines().filter_map(|line| line.split_once(".backend_depth"));
            subjects.map(|(subject, _)| subject.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(subjects(true), ["topic.t", "topic.t.channel.c"]);
        assert_eq!(
            subjects(false),
            [
                "topic.e#ephemeral",
                "topic.e#ephemeral.channel.c",
                "topic.t",
                "topic.t.channel.c",
                "topic.t.channel.d#ephemeral"
            ]
        );
    }

    #[test]
    fn no_line_is_divided() {
        let mut packets = Packets { max_size: 8, full: Vec::new(), last: String::new() };
        for line in ["1234\n", "12\n", "1\n", "12345678\n", "123456\n"] {
            packets.add(format_args!("{line}"));
        }
        assert_eq!(packets.finish(), ["1234\n12\n", "1\n", "12345678\n", "123456\n"]);
    }

    #[tokio::test]
    async fn each_interval_of_the_clock_brings_a_push() {
        let statsd = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let options = NsqdOptions {
            statsd_address: Some(statsd.local_addr().unwrap().to_string()),
            statsd_interval: 60 * SECOND,
            statsd_mem_stats: false,
            ..options()
        };
        let clock = options.clock.clone();
        let sender = Statsd::new(&options).await.unwrap().unwrap();
        let broker = Broker::alone(options);
        publish(&broker, "t", "c");
        let task = tokio::spawn(sender.run(broker.clone()));
        let receive = async || {
            let mut packet = vec![0; 1024];
            let mut text = String::new();
            while !text.ends_with(".clients:0|g\n") {
                let received = statsd.recv(&mut packet);
                let length = tokio::time::timeout(30 * SECOND, received).await.expect("there is a push").unwrap();
                assert!(length <= 508);
                text += std::str::from_utf8(&packet[..length]).unwrap();
            }
            text
        };
        clock.advance(59 * SECOND);
        publish(&broker, "t", "c");
        clock.advance(SECOND);
        assert!(receive().await.starts_with("nsq.my_host_4150.topic.t.message_count:2|c\n"));
        publish(&broker, "t", "c");
        clock.advance(60 * SECOND);
        assert!(receive().await.starts_with("nsq.my_host_4150.topic.t.message_count:1|c\n"));
        task.abort();
    }

    #[tokio::test]
    async fn a_host_that_is_not_there_is_refused_at_the_start() {
        for address in ["nope", "127.0.0.1", "127.0.0.1:x", "no host:1"] {
            let options = NsqdOptions { statsd_address: Some(address.to_owned()), ..options() };
            let error = Statsd::new(&options).await.unwrap_err().to_string();
            assert!(error.starts_with(&format!("statsd_address: can't send to {address}: ")), "{error}");
        }
        for address in [None, Some(String::new())] {
            assert!(Statsd::new(&NsqdOptions { statsd_address: address, ..options() }).await.unwrap().is_none());
        }
    }
}
