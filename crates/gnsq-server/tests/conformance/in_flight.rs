//! A message in the hands of a consumer: its deadline, touches, and what becomes of it without an answer.

use std::time::{Duration, Instant};

use crate::server::{Nsqd, Side};
use crate::stats;
use crate::wire::{Client, command};

conformance! {
    a_message_comes_with_its_time_and_first_attempt,
    a_message_that_is_not_answered_comes_again_to_the_same_connection,
    the_client_sets_its_own_timeout,
    a_touch_gives_the_message_its_time_anew,
    touches_end_at_the_servers_maximum,
    a_dead_clients_messages_wait_for_their_timeout,
    a_message_that_timed_out_can_not_be_answered,
    finishing_frees_the_place_of_a_message,
}

/// Subscribes to `t`/`c` with RDY 1 after IDENTIFY.
async fn consumer(nsqd: &impl Nsqd, identify: &str) -> Client {
    let mut client = nsqd.connect().await;
    client.send(command("IDENTIFY", identify)).await;
    client.ok().await;
    client.send("SUB t c\nRDY 1\n").await;
    client.ok().await;
    client
}

async fn a_message_comes_with_its_time_and_first_attempt<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = consumer(&nsqd, "{}").await;
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let before = now();
    nsqd.publish("t", "x").await;
    let message = client.message().await;
    let timestamp = u128::try_from(message.timestamp).unwrap();
    assert!((before..=now()).contains(&timestamp));
    assert_eq!((message.attempts, message.body.as_str()), (1, "x"));
    client.send(format!("FIN {}\n", message.id)).await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("in_flight_count", 0), ("depth", 0), ("message_count", 1)]).await;
    let channel = stats::channel(&nsqd, "t", "c").await;
    let client = &channel["clients"][0];
    let counts = ["message_count", "finish_count", "requeue_count", "in_flight_count", "ready_count", "state"];
    assert_eq!(counts.map(|key| client[key].as_u64().unwrap()), [1, 1, 0, 0, 1, 3]);
}

async fn a_message_that_is_not_answered_comes_again_to_the_same_connection<S: Side>() {
    let nsqd = S::nsqd_with("t", "c", &["--msg-timeout=200ms"]).await;
    let mut client = consumer(&nsqd, "{}").await;
    nsqd.publish("t", "x").await;
    let first = client.message().await;
    let start = Instant::now();
    for attempts in 2..=4 {
        let again = client.message().await;
        assert_eq!(again.attempts, attempts);
        assert_eq!((&again.id, again.timestamp, &again.body), (&first.id, first.timestamp, &first.body));
    }
    assert!(start.elapsed() > Duration::from_millis(590), "three timeouts took {:?}", start.elapsed());
    client.send(format!("FIN {}\n", first.id)).await;
    client.stays().await;
    let channel = stats::channel(&nsqd, "t", "c").await;
    let counts = ["timeout_count", "requeue_count", "in_flight_count", "depth", "message_count"];
    assert_eq!(counts.map(|key| channel[key].as_u64().unwrap()), [3, 0, 0, 0, 1]);
}

async fn the_client_sets_its_own_timeout<S: Side>() {
    let nsqd = S::nsqd_with("t", "c", &["--msg-timeout=1h", "--max-msg-timeout=2h"]).await;
    let mut client = consumer(&nsqd, r#"{"msg_timeout":1000}"#).await;
    nsqd.publish("t", "x").await;
    let first = client.message().await;
    let start = Instant::now();
    let again = client.message().await;
    assert!(start.elapsed() > Duration::from_millis(950), "timed out after {:?}", start.elapsed());
    assert_eq!((again.id, again.attempts), (first.id, 2));
}

async fn a_touch_gives_the_message_its_time_anew<S: Side>() {
    let nsqd = S::nsqd_with("t", "c", &["--msg-timeout=1s"]).await;
    let mut client = consumer(&nsqd, "{}").await;
    nsqd.publish("t", "x").await;
    loop {
        let message = client.message().await;
        let received = Instant::now();
        tokio::time::sleep(Duration::from_millis(600)).await;
        let touched = Instant::now();
        if received.elapsed() > Duration::from_millis(900) {
            // Too late on a busy machine: it comes again.
            continue;
        }
        client.send(format!("TOUCH {}\n", message.id)).await;
        assert_eq!(client.message().await.attempts, message.attempts + 1);
        assert!(touched.elapsed() > Duration::from_millis(990), "timed out {:?} after a touch", touched.elapsed());
        break;
    }
}

async fn touches_end_at_the_servers_maximum<S: Side>() {
    let nsqd = S::nsqd_with("t", "c", &["--msg-timeout=600ms", "--max-msg-timeout=1s"]).await;
    let mut client = consumer(&nsqd, "{}").await;
    nsqd.publish("t", "x").await;
    let id = client.message().await.id;
    let start = Instant::now();
    // A touch that comes too late is told so, and the message comes again in between.
    let mut attempts = 1;
    while attempts == 1 {
        client.send(format!("TOUCH {id}\n")).await;
        if stats::channel(&nsqd, "t", "c").await["timeout_count"] == 1 {
            attempts = loop {
                if let crate::wire::Frame::Message(message) = client.frame().await {
                    break message.attempts;
                }
            };
        }
        assert!(start.elapsed() < gnsq_testkit::DEADLINE, "touches never end");
    }
    assert_eq!(attempts, 2);
    assert!(start.elapsed() > Duration::from_millis(950), "timed out after {:?}", start.elapsed());
}

async fn a_dead_clients_messages_wait_for_their_timeout<S: Side>() {
    let nsqd = S::nsqd_with("t", "c", &["--msg-timeout=1s"]).await;
    let mut client = consumer(&nsqd, "{}").await;
    nsqd.publish("t", "x").await;
    let id = client.message().await.id;
    let start = Instant::now();
    drop(client);
    let mut next = consumer(&nsqd, "{}").await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("client_count", 1)]).await;
    let channel = stats::channel(&nsqd, "t", "c").await;
    if start.elapsed() < Duration::from_millis(900) {
        assert_eq!([&channel["in_flight_count"], &channel["depth"]], [1, 0]);
    }
    let again = next.message().await;
    assert_eq!((again.id, again.attempts), (id, 2));
    assert!(start.elapsed() > Duration::from_millis(900), "requeued after {:?}", start.elapsed());
    assert_eq!(stats::channel(&nsqd, "t", "c").await["timeout_count"], 1);
}

async fn a_message_that_timed_out_can_not_be_answered<S: Side>() {
    let nsqd = S::nsqd_with("t", "c", &["--msg-timeout=200ms"]).await;
    let mut slow = consumer(&nsqd, "{}").await;
    nsqd.publish("t", "x").await;
    let id = slow.message().await.id;
    slow.send("RDY 0\n").await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 1), ("in_flight_count", 0)]).await;
    for verb in ["FIN", "REQ", "TOUCH"] {
        slow.send(format!("{verb} {id} 0\n")).await;
        slow.error(format!("E_{verb}_FAILED {verb} {id} failed ID not in flight")).await;
    }
    let mut other = consumer(&nsqd, r#"{"msg_timeout":60000}"#).await;
    assert_eq!(other.message().await.attempts, 2);
    for verb in ["FIN", "REQ", "TOUCH"] {
        slow.send(format!("{verb} {id} 0\n")).await;
        slow.error(format!("E_{verb}_FAILED {verb} {id} failed client does not own message")).await;
    }
    slow.stays().await;
}

async fn finishing_frees_the_place_of_a_message<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    for body in ["1", "2", "3", "4"] {
        nsqd.publish("t", body).await;
    }
    // RDY isn't used up: it bounds what is in flight.
    client.send("RDY 2\n").await;
    let first = client.message().await;
    let second = client.message().await;
    assert_eq!(stats::channel(&nsqd, "t", "c").await["in_flight_count"], 2);
    client.send(format!("FIN {}\n", first.id)).await;
    let third = client.message().await;
    assert_eq!(stats::channel(&nsqd, "t", "c").await["in_flight_count"], 2);
    client.send(format!("FIN {}\nFIN {}\n", second.id, third.id)).await;
    assert_eq!(client.message().await.body.len(), 1);
    stats::wait_for_channel(&nsqd, "t", "c", &[("in_flight_count", 1), ("depth", 0)]).await;
}
