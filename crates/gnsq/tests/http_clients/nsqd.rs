//! Every endpoint of nsqd, for success and for its typical error.

use std::time::Duration;

use gnsq::http::{ClientState, LogLevel, StatsOptions};
use gnsq::{HttpError, NsqdHttpClient};
use gnsq_testkit::{DEADLINE, Nsqd, eventually};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{channel, code, refusal, topic};

async fn start() -> (Nsqd, NsqdHttpClient) {
    let nsqd = Nsqd::start().await;
    let client = NsqdHttpClient::new(nsqd.http_url()).unwrap();
    (nsqd, client)
}

/// A connection that is subscribed and wants one message at a time.
async fn subscribe(nsqd: &Nsqd, topic: &str, channel: &str) -> TcpStream {
    let mut stream = TcpStream::connect(nsqd.tcp_address()).await.unwrap();
    let identify = r#"{"client_id":"subscriber","user_agent":"test/é%"}"#;
    let size = u32::try_from(identify.len()).unwrap().to_be_bytes();
    let subscribe = format!("SUB {topic} {channel}\nRDY 1\n");
    stream
        .write_all(&[b"  V2IDENTIFY\n", &size[..], identify.as_bytes(), subscribe.as_bytes()].concat())
        .await
        .unwrap();
    stream
}

#[tokio::test]
async fn ping_and_info() {
    let (nsqd, client) = start().await;
    client.ping().await.unwrap();
    let info = client.info().await.unwrap();
    assert_eq!(info.version, "1.3.0");
    assert_eq!(info.http_port, Some(nsqd.http_address().port()));
    assert_eq!(info.tcp_port, Some(nsqd.tcp_address().port()));
    assert_eq!(info.broadcast_address, "127.0.0.1");
    assert_eq!(info.max_heartbeat_interval, Duration::from_secs(60));
}

#[tokio::test]
async fn an_address_without_scheme_and_clones_work_alike() {
    let nsqd = Nsqd::start().await;
    let client = NsqdHttpClient::new(nsqd.http_address().to_string()).unwrap();
    client.clone().ping().await.unwrap();
    client.ping().await.unwrap();
}

#[tokio::test]
async fn publish_takes_any_bytes_and_ephemeral_names() {
    let (nsqd, client) = start().await;
    for name in ["plain", "with.dots_and-dashes", "gone#ephemeral"] {
        client.publish(&topic(name), "é%2F\n\0").await.unwrap();
        assert_eq!(nsqd.topic_stats(name).await.unwrap().message_count, 1, "{name}");
    }
    client.publish(&topic("plain"), vec![0xff; 1 << 20]).await.unwrap();
}

#[tokio::test]
async fn publish_refuses_what_nsqd_would() {
    let (_nsqd, client) = start().await;
    let events = topic("events");
    let error = client.publish(&events, "").await.unwrap_err();
    assert!(matches!(&error, HttpError::EmptyMessage { .. }) && !error.is_retryable(), "{error}");
    assert!(client.publish_deferred(&events, "", Duration::ZERO).await.is_err());

    let too_big = client.publish(&events, vec![b'x'; (1 << 20) + 1]).await.unwrap_err();
    assert!(!too_big.outcome_unknown() && !too_big.is_retryable());
    assert!(too_big.to_string().ends_with("413 MSG_TOO_BIG; nsqd's flag -max-msg-size is the limit"), "{too_big}");
}

#[tokio::test]
async fn a_refusal_is_read_even_while_the_body_is_still_being_sent() {
    let (_nsqd, client) = start().await;
    let huge = vec![b'x'; 16 << 20];
    assert_eq!(refusal(client.publish(&topic("events"), huge.clone()).await), code(413, "MSG_TOO_BIG"));
    assert_eq!(refusal(client.multipublish(&topic("events"), [huge]).await), code(413, "BODY_TOO_BIG"));
}

#[tokio::test]
async fn publish_deferred_waits_in_the_channel() {
    let (nsqd, client) = start().await;
    nsqd.create_channel("events", "archive").await;
    client.publish_deferred(&topic("events"), "later", Duration::from_secs(3600)).await.unwrap();
    nsqd.wait_for_channel("events", "archive", |channel| channel.deferred_count == 1).await;

    let too_late = client.publish_deferred(&topic("events"), "never", Duration::from_nanos(3_600_000_000_001)).await;
    assert_eq!(refusal(too_late), code(400, "INVALID_DEFER"));
    let beyond_numbers = client.publish_deferred(&topic("events"), "never", Duration::MAX).await;
    assert_eq!(refusal(beyond_numbers), code(400, "INVALID_DEFER"));
}

#[tokio::test]
async fn multipublish_keeps_each_message_whole() {
    let (nsqd, client) = start().await;
    client.multipublish(&topic("events"), [&b"a\nb"[..], b"\xff\0", "é%".as_bytes()]).await.unwrap();
    assert_eq!(nsqd.topic_stats("events").await.unwrap().message_count, 3);
    client.multipublish(&topic("events"), (0..1000).map(|number| number.to_string())).await.unwrap();
    assert_eq!(nsqd.topic_stats("events").await.unwrap().message_count, 1003);
}

#[tokio::test]
async fn multipublish_refuses_what_nsqd_would() {
    let (_nsqd, client) = start().await;
    let events = topic("events");
    assert!(matches!(client.multipublish(&events, [""; 0]).await, Err(HttpError::EmptyBatch { .. })));
    assert!(matches!(client.multipublish(&events, ["a", ""]).await, Err(HttpError::EmptyMessage { index: 1, .. })));
    let one_too_big = vec![b'x'; (1 << 20) + 1];
    assert_eq!(refusal(client.multipublish(&events, [one_too_big]).await), code(413, "BAD_MESSAGE"));
    let all_too_big = vec![vec![b'x'; 1 << 20]; 5];
    assert_eq!(refusal(client.multipublish(&events, all_too_big).await), code(413, "BODY_TOO_BIG"));
}

#[tokio::test]
async fn topics_are_made_emptied_and_deleted() {
    let (nsqd, client) = start().await;
    let events = topic("events#ephemeral");
    client.create_topic(&events).await.unwrap();
    client.create_topic(&events).await.unwrap();
    client.publish(&events, "a").await.unwrap();
    assert_eq!(nsqd.topic_stats("events#ephemeral").await.unwrap().depth, 1);
    client.empty_topic(&events).await.unwrap();
    assert_eq!(nsqd.topic_stats("events#ephemeral").await.unwrap().depth, 0);
    client.delete_topic(&events).await.unwrap();
    assert_eq!(nsqd.topic_stats("events#ephemeral").await, None);
}

#[tokio::test]
async fn channels_are_made_emptied_and_deleted() {
    let (nsqd, client) = start().await;
    let (events, archive) = (topic("events"), channel("archive"));
    client.create_topic(&events).await.unwrap();
    client.create_channel(&events, &archive).await.unwrap();
    client.publish(&events, "a").await.unwrap();
    nsqd.wait_for_channel("events", "archive", |channel| channel.depth == 1).await;
    client.empty_channel(&events, &archive).await.unwrap();
    assert_eq!(nsqd.channel_stats("events", "archive").await.unwrap().depth, 0);
    client.delete_channel(&events, &archive).await.unwrap();
    assert_eq!(nsqd.channel_stats("events", "archive").await, None);
}

#[tokio::test]
async fn pauses_are_seen_in_the_statistics() {
    let (_nsqd, client) = start().await;
    let (events, archive) = (topic("events"), channel("archive"));
    client.create_topic(&events).await.unwrap();
    client.create_channel(&events, &archive).await.unwrap();
    let paused = async || {
        let stats = client.stats(&StatsOptions::new()).await.unwrap();
        (stats.topics[0].paused, stats.topics[0].channels[0].paused)
    };
    assert_eq!(paused().await, (false, false));
    client.pause_topic(&events).await.unwrap();
    assert_eq!(paused().await, (true, false));
    client.pause_channel(&events, &archive).await.unwrap();
    client.unpause_topic(&events).await.unwrap();
    assert_eq!(paused().await, (false, true));
    client.unpause_channel(&events, &archive).await.unwrap();
    assert_eq!(paused().await, (false, false));
}

#[tokio::test]
async fn what_is_missing_is_told() {
    let (_nsqd, client) = start().await;
    let (there, missing, any) = (topic("there"), topic("missing"), channel("any"));
    client.create_topic(&there).await.unwrap();

    let no_topic = code(404, "TOPIC_NOT_FOUND");
    assert_eq!(refusal(client.delete_topic(&missing).await), no_topic);
    assert_eq!(refusal(client.empty_topic(&missing).await), no_topic);
    assert_eq!(refusal(client.pause_topic(&missing).await), no_topic);
    assert_eq!(refusal(client.unpause_topic(&missing).await), no_topic);
    assert_eq!(refusal(client.create_channel(&missing, &any).await), no_topic);
    assert_eq!(refusal(client.delete_channel(&missing, &any).await), no_topic);

    let no_channel = code(404, "CHANNEL_NOT_FOUND");
    assert_eq!(refusal(client.delete_channel(&there, &any).await), no_channel);
    assert_eq!(refusal(client.empty_channel(&there, &any).await), no_channel);
    assert_eq!(refusal(client.pause_channel(&there, &any).await), no_channel);
    assert_eq!(refusal(client.unpause_channel(&there, &any).await), no_channel);

    let error = client.delete_topic(&missing).await.unwrap_err();
    assert!(error.is_not_found() && !error.is_retryable() && !error.outcome_unknown());
    assert!(error.to_string().contains("/topic/delete?topic=missing answered 404 TOPIC_NOT_FOUND"), "{error}");
}

#[tokio::test]
async fn statistics_come_with_and_without_clients_and_memory() {
    let (nsqd, client) = start().await;
    let _subscriber = subscribe(&nsqd, "events", "archive").await;
    client.publish(&topic("events"), "a").await.unwrap();
    nsqd.wait_for_channel("events", "archive", |channel| channel.in_flight_count == 1).await;

    let all = client.stats(&StatsOptions::default()).await.unwrap();
    assert_eq!((all.version.as_str(), all.health.as_str()), ("1.3.0", "OK"));
    assert!(all.memory.is_some_and(|memory| memory.heap_in_use_bytes > 0));
    let archive = &all.topics[0].channels[0];
    assert_eq!((archive.in_flight_count, archive.client_count), (1, 1));
    let subscriber = &archive.clients[0];
    assert_eq!((subscriber.client_id.as_str(), subscriber.user_agent.as_str()), ("subscriber", "test/é%"));
    assert_eq!((subscriber.state, subscriber.ready_count), (ClientState::Subscribed, 1));

    let lean = client.stats(&StatsOptions::new().include_clients(false).include_mem(false)).await.unwrap();
    assert_eq!(lean.memory, None);
    let archive = &lean.topics[0].channels[0];
    assert_eq!((archive.client_count, archive.clients.len()), (1, 0));
}

#[tokio::test]
async fn statistics_tell_of_connections_that_publish() {
    let (nsqd, client) = start().await;
    let mut publisher = TcpStream::connect(nsqd.tcp_address()).await.unwrap();
    publisher.write_all(b"  V2PUB events\n\0\0\0\x01a").await.unwrap();
    let options = StatsOptions::new().topic(topic("events"));
    let producers = eventually(DEADLINE, "the publish to be counted", async || {
        let stats = client.stats(&options).await.unwrap();
        (!stats.producers.is_empty()).then_some(stats.producers)
    })
    .await;
    assert_eq!(producers[0].state, ClientState::Init);
    assert_eq!((producers[0].pub_counts[0].topic.as_str(), producers[0].pub_counts[0].count), ("events", 1));
}

#[tokio::test]
async fn statistics_are_narrowed_to_a_topic_and_a_channel() {
    let (nsqd, client) = start().await;
    for channel in ["archive#ephemeral", "metrics"] {
        nsqd.create_channel("events", channel).await;
    }
    nsqd.create_topic("others").await;

    let events = StatsOptions::new().topic(topic("events"));
    let stats = client.stats(&events).await.unwrap();
    assert_eq!((stats.topics.len(), stats.topics[0].channels.len()), (1, 2));
    let stats = client.stats(&events.clone().channel(channel("archive#ephemeral"))).await.unwrap();
    assert_eq!(stats.topics[0].channels.len(), 1);
    assert_eq!(stats.topics[0].channels[0].channel_name, channel("archive#ephemeral"));
    assert!(client.stats(&StatsOptions::new().topic(topic("missing"))).await.unwrap().topics.is_empty());

    let text = client.stats_text(&events).await.unwrap();
    assert!(text.starts_with("nsqd v1.3.0") && text.contains("metrics") && !text.contains("others"), "{text}");
}

#[tokio::test]
async fn settings_are_read_and_set() {
    let (_nsqd, client) = start().await;
    assert_eq!(client.config("max_msg_size").await.unwrap(), "1048576");
    assert_eq!(client.config("broadcast_address").await.unwrap(), "127.0.0.1");

    for level in [LogLevel::Debug, LogLevel::Warn, LogLevel::Error, LogLevel::Fatal, LogLevel::Info] {
        client.set_log_level(level).await.unwrap();
        assert_eq!(client.log_level().await.unwrap(), level);
    }
    assert_eq!(client.set_config("log_level", "debug").await.unwrap(), "1");

    assert_eq!(client.nsqlookupd_tcp_addresses().await.unwrap(), [""; 0]);
    client.set_nsqlookupd_tcp_addresses(["127.0.0.1:1", "[::1]:2"]).await.unwrap();
    assert_eq!(client.nsqlookupd_tcp_addresses().await.unwrap(), ["127.0.0.1:1", "[::1]:2"]);
    client.set_nsqlookupd_tcp_addresses([""; 0]).await.unwrap();
    assert_eq!(client.nsqlookupd_tcp_addresses().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused() {
    let (_nsqd, client) = start().await;
    assert_eq!(refusal(client.config("é%?#").await), code(400, "INVALID_OPTION"));
    assert_eq!(refusal(client.set_config("max_msg_size", "1").await), code(400, "INVALID_OPTION"));
    assert_eq!(refusal(client.set_config("log_level", "é%").await), code(400, "INVALID_VALUE"));
    assert_eq!(refusal(client.set_config("nsqlookupd_tcp_addresses", "no JSON").await), code(400, "INVALID_VALUE"));
}

#[tokio::test]
async fn any_other_endpoint_can_be_read() {
    let (nsqd, client) = start().await;
    nsqd.create_topic("events").await;
    let json = client.get("/stats", &[("format", "json"), ("topic", "é%&=")]).await.unwrap();
    assert!(json.starts_with(b"{\"version\":\"1.3.0\"") && !json.windows(6).any(|window| window == b"events"));
    assert!(client.get("debug/pprof/cmdline", &[]).await.unwrap().windows(4).any(|window| window == b"nsqd"));
    let error = client.get("missing", &[]).await.unwrap_err();
    assert!(!error.is_not_found(), "the endpoint is missing, not a topic: {error}");
    assert!(error.to_string().contains("404 NOT_FOUND; is this the right kind of server"), "{error}");
}
