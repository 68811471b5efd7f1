//! What a statsd is sent.

use gnsq_testkit::DEADLINE;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::server::{Nsqd, Side};
use crate::stats;

conformance! {
    statsd_is_sent_every_figure_in_its_place,
    the_prefix_of_names_can_be_read,
}

async fn statsd_is_sent_every_figure_in_its_place<S: Side>() {
    let statsd = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = format!("--statsd-address={}", statsd.local_addr().unwrap());
    let nsqd = S::nsqd(&[
        &address,
        // A second of it is left to the network by nsqd.
        "--statsd-interval=1500ms",
        "--statsd-prefix=p",
        "--statsd-udp-packet-size=120",
        "--statsd-exclude-ephemeral=true",
        "--e2e-processing-latency-percentile=0.5,0.999",
    ])
    .await;
    nsqd.act("/topic/create?topic=a").await;
    nsqd.act("/channel/create?topic=a&channel=d%23ephemeral").await;
    nsqd.act("/channel/create?topic=a&channel=c").await;
    nsqd.act("/topic/create?topic=b").await;
    nsqd.publish("a", "hello").await;
    stats::wait_for_channel(&nsqd, "a", "c", &[("depth", 1)]).await;
    let expected = "
        p.topic.a.message_count p.topic.a.message_bytes p.topic.a.depth:0|g p.topic.a.backend_depth:0|g
        p.topic.a.e2e_processing_latency_100:0|g p.topic.a.e2e_processing_latency_50:0|g
        p.topic.a.channel.c.message_count p.topic.a.channel.c.depth:1|g p.topic.a.channel.c.backend_depth:0|g
        p.topic.a.channel.c.in_flight_count:0|g p.topic.a.channel.c.deferred_count:0|g
        p.topic.a.channel.c.requeue_count:0|c p.topic.a.channel.c.timeout_count:0|c p.topic.a.channel.c.clients:0|g
        p.topic.a.channel.c.e2e_processing_latency_100:0|g p.topic.a.channel.c.e2e_processing_latency_50:0|g
        p.topic.b.message_count p.topic.b.message_bytes p.topic.b.depth:0|g p.topic.b.backend_depth:0|g
        p.mem.heap_objects p.mem.heap_idle_bytes p.mem.heap_in_use_bytes p.mem.heap_released_bytes
        p.mem.gc_pause_usec_100 p.mem.gc_pause_usec_99 p.mem.gc_pause_usec_95 p.mem.next_gc_bytes p.mem.gc_runs";
    // Pushes before all was there are passed over; what they counted isn't counted again.
    let (mut messages, mut bytes) = (0, 0);
    loop {
        let lines = push(&statsd).await;
        let count = |name: &str| {
            let found = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_suffix("|c"));
            found.map_or(0, |count| count.parse::<u64>().unwrap())
        };
        messages += count("p.topic.a.channel.c.message_count:");
        bytes += count("p.topic.a.message_bytes:");
        if messages == 0 || !lines.iter().any(|line| line == "p.topic.a.channel.c.depth:1|g") {
            continue;
        }
        let expected: Vec<_> = expected.split_whitespace().collect();
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line == expected || line.split_once(':').is_some_and(|(name, _)| name == expected), "{line}");
            let is_counter = ["message_count", "message_bytes", "gc_runs"].iter().any(|name| expected.ends_with(name));
            let kind = if is_counter || line.contains("_count:0|c") { "|c" } else { "|g" };
            assert!(line.ends_with(kind), "{line}");
        }
        break;
    }
    assert_eq!((messages, bytes), (1, 5));
}

/// The lines of a whole push.
async fn push(statsd: &UdpSocket) -> Vec<String> {
    let mut lines = Vec::new();
    let mut packet = [0; 2048];
    while !lines.last().is_some_and(|line: &String| line.starts_with("p.mem.gc_runs:")) {
        let length = timeout(DEADLINE, statsd.recv(&mut packet)).await.expect("statsd is sent something").unwrap();
        assert!(length <= 120, "{length} bytes");
        let text = std::str::from_utf8(&packet[..length]).unwrap();
        assert!(text.ends_with('\n'), "{text:?}");
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}

async fn the_prefix_of_names_can_be_read<S: Side>() {
    for (flags, prefix) in [
        (&["--broadcast-http-port=77"][..], "nsq.127_0_0_1_77."),
        (&["--broadcast-http-port=77", "--statsd-prefix=%s.a.%s."], "127_0_0_1_77.a.127_0_0_1_77."),
        (&["--statsd-prefix=x"], "x."),
        (&["--statsd-prefix="], ""),
    ] {
        let nsqd = S::nsqd(flags).await;
        let answer = nsqd.http().get("/config/statsd_prefix").await;
        assert_eq!((answer.status, answer.text()), (200, prefix));
    }
}
