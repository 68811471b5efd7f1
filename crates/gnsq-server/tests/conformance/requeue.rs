//! REQ, DPUB and `defer`: messages that come later.

use std::time::{Duration, Instant};

use crate::server::{Nsqd, Side};
use crate::stats;
use crate::wire::command;

conformance! {
    a_requeue_without_delay_comes_at_once,
    a_requeue_with_delay_waits_for_it,
    a_delay_beyond_the_maximum_is_lowered,
    a_deferred_message_waits_for_its_time,
    the_delay_begins_with_the_first_channel,
    a_message_deferred_in_several_channels_comes_in_each,
    a_requeued_message_may_go_to_another,
}

async fn a_requeue_without_delay_comes_at_once<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 1\n").await;
    nsqd.publish("t", "x").await;
    let first = client.message().await;
    for attempts in 2..=5 {
        client.send(format!("REQ {} 0\n", first.id)).await;
        let again = client.message().await;
        assert_eq!((&again.id, again.attempts, again.timestamp), (&first.id, attempts, first.timestamp));
    }
    let channel = stats::channel(&nsqd, "t", "c").await;
    let counts = ["requeue_count", "timeout_count", "in_flight_count", "deferred_count", "message_count"];
    assert_eq!(counts.map(|key| channel[key].as_u64().unwrap()), [4, 0, 1, 0, 1]);
    let client = &channel["clients"][0];
    assert_eq!([&client["requeue_count"], &client["message_count"], &client["finish_count"]], [4, 5, 0]);
}

async fn a_requeue_with_delay_waits_for_it<S: Side>() {
    let nsqd = S::nsqd_with("t", "c", &[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 1\n").await;
    nsqd.publish("t", "x").await;
    let id = client.message().await.id;
    let start = Instant::now();
    client.send(format!("REQ {id} 500\n")).await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("deferred_count", 1), ("in_flight_count", 0), ("depth", 0)]).await;
    client.send(format!("FIN {id}\n")).await;
    client.error(format!("E_FIN_FAILED FIN {id} failed ID not in flight")).await;
    let again = client.message().await;
    assert!(start.elapsed() > Duration::from_millis(490), "came after {:?}", start.elapsed());
    assert_eq!((again.id, again.attempts), (id, 2));
    let channel = stats::channel(&nsqd, "t", "c").await;
    assert_eq!([&channel["requeue_count"], &channel["deferred_count"], &channel["timeout_count"]], [1, 0, 0]);
}

async fn a_delay_beyond_the_maximum_is_lowered<S: Side>() {
    let nsqd = S::nsqd_with("t", "c", &["--max-req-timeout=300ms"]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 1\n").await;
    nsqd.publish("t", "x").await;
    for attempts in 1..=2 {
        let message = client.message().await;
        assert_eq!(message.attempts, attempts);
        client.send(format!("REQ {} 99999999\n", message.id)).await;
    }
    assert_eq!(client.message().await.attempts, 3);
}

async fn a_deferred_message_waits_for_its_time<S: Side>() {
    let nsqd = S::nsqd_with("t", "c", &[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 10\n").await;
    let start = Instant::now();
    client.send(command("DPUB t 800", "late")).await;
    client.ok().await;
    nsqd.publish("t&defer=400", "early").await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("deferred_count", 2), ("depth", 0), ("message_count", 2)]).await;
    nsqd.publish("t&defer=0", "now").await;
    for (body, delay) in [("now", 0), ("early", 390), ("late", 790)] {
        let message = client.message().await;
        assert_eq!((message.body.as_str(), message.attempts), (body, 1));
        assert!(start.elapsed() >= Duration::from_millis(delay), "{body} came after {:?}", start.elapsed());
    }
    let channel = stats::channel(&nsqd, "t", "c").await;
    assert_eq!([&channel["requeue_count"], &channel["deferred_count"]], [0, 0]);
}

async fn the_delay_begins_with_the_first_channel<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    nsqd.publish("t&defer=300", "x").await;
    stats::wait_for_topic(&nsqd, "t", &[("depth", 1)]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let start = Instant::now();
    nsqd.act("/channel/create?topic=t&channel=c").await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("deferred_count", 1), ("depth", 0)]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 1\n").await;
    assert_eq!(client.message().await.attempts, 1);
    assert!(start.elapsed() > Duration::from_millis(290), "came after {:?}", start.elapsed());
}

async fn a_message_deferred_in_several_channels_comes_in_each<S: Side>() {
    let nsqd = S::nsqd_with("t", "c", &[]).await;
    nsqd.act("/channel/create?topic=t&channel=d").await;
    nsqd.publish("t&defer=300", "x").await;
    for channel in ["c", "d"] {
        stats::wait_for_channel(&nsqd, "t", channel, &[("message_count", 1)]).await;
        let mut client = nsqd.subscriber("t", channel).await;
        client.send("RDY 1\n").await;
        assert_eq!(client.message().await.attempts, 1);
    }
}

async fn a_requeued_message_may_go_to_another<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut one = nsqd.subscriber("t", "c").await;
    one.send("RDY 1\n").await;
    nsqd.publish("t", "x").await;
    let id = one.message().await.id;
    let mut other = nsqd.subscriber("t", "c").await;
    other.send("RDY 1\n").await;
    other.stays().await;
    one.send(format!("RDY 0\nREQ {id} 0\n")).await;
    let again = other.message().await;
    assert_eq!((again.id, again.attempts), (id, 2));
}
