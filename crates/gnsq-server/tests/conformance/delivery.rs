//! Who gets which messages: channels, consumers, readiness, sampling.

use std::collections::BTreeSet;

use crate::server::{Nsqd, Side};
use crate::stats;
use crate::wire::{Client, command, mpub};

conformance! {
    each_channel_gets_each_message_under_the_same_id,
    the_first_channel_gets_what_waited_in_the_topic,
    consumers_of_a_channel_share_its_messages,
    nothing_comes_without_readiness,
    readiness_can_be_taken_back,
    sampling_drops_for_good,
    ids_are_unique_within_a_topic,
    unread_messages_stay_when_a_consumer_leaves,
    messages_come_whatever_the_output_buffer,
}

async fn take(client: &mut Client, count: usize) -> Vec<crate::wire::Message> {
    let mut messages = Vec::new();
    for _ in 0..count {
        let message = client.message().await;
        client.send(format!("FIN {}\n", message.id)).await;
        messages.push(message);
    }
    messages
}

async fn each_channel_gets_each_message_under_the_same_id<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut one = nsqd.subscriber("t", "one").await;
    let mut other = nsqd.subscriber("t", "other").await;
    for client in [&mut one, &mut other] {
        client.send("RDY 10\n").await;
    }
    nsqd.http().post("/mpub?topic=t", "a\nb\nc").await;
    let sorted = |mut messages: Vec<crate::wire::Message>| {
        messages.sort_by(|a, b| a.body.cmp(&b.body));
        messages
    };
    let messages = sorted(take(&mut one, 3).await);
    assert_eq!(messages, sorted(take(&mut other, 3).await));
    assert_eq!(messages.iter().map(|message| message.body.as_str()).collect::<String>(), "abc");
    // A requeue in one channel is none in the other.
    nsqd.publish("t", "d").await;
    let message = one.message().await;
    one.send(format!("REQ {} 0\n", message.id)).await;
    assert_eq!(one.message().await.attempts, 2);
    assert_eq!(other.message().await.attempts, 1);
}

async fn the_first_channel_gets_what_waited_in_the_topic<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut producer = nsqd.connect().await;
    producer.send(mpub("t", &["1", "2", "3"])).await;
    producer.ok().await;
    let topic = stats::topic(&nsqd, "t").await;
    assert_eq!([&topic["depth"], &topic["message_count"]], [3, 3]);
    let mut first = nsqd.subscriber("t", "first").await;
    stats::wait_for_channel(&nsqd, "t", "first", &[("depth", 3), ("message_count", 3)]).await;
    assert_eq!(stats::topic(&nsqd, "t").await["depth"], 0);
    let mut second = nsqd.subscriber("t", "second").await;
    nsqd.publish("t", "4").await;
    first.send("RDY 10\n").await;
    second.send("RDY 10\n").await;
    let bodies: BTreeSet<_> = take(&mut first, 4).await.into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, ["1", "2", "3", "4"].map(String::from).into());
    assert_eq!(take(&mut second, 1).await[0].body, "4");
    assert_eq!(stats::channel(&nsqd, "t", "second").await["message_count"], 1);
}

async fn consumers_of_a_channel_share_its_messages<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut one = nsqd.subscriber("t", "c").await;
    let mut other = nsqd.subscriber("t", "c").await;
    for client in [&mut one, &mut other] {
        client.send("RDY 1\n").await;
    }
    nsqd.http().post("/mpub?topic=t", "a\nb\nc").await;
    // Each has room for one, and gets it.
    let first = one.message().await;
    let second = other.message().await;
    assert_ne!(first.body, second.body);
    one.send(format!("FIN {}\n", first.id)).await;
    let third = one.message().await;
    let bodies = BTreeSet::from([first.body, second.body, third.body]);
    assert_eq!(bodies, ["a", "b", "c"].map(String::from).into());
}

async fn nothing_comes_without_readiness<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    nsqd.publish("t", "x").await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 1), ("in_flight_count", 0)]).await;
    client.stays().await;
    client.send("RDY 1\n").await;
    client.message().await;
}

async fn readiness_can_be_taken_back<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 1\n").await;
    nsqd.publish("t", "x").await;
    let id = client.message().await.id;
    client.send(format!("RDY 0\nFIN {id}\n")).await;
    client.stays().await;
    nsqd.publish("t", "y").await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 1), ("in_flight_count", 0)]).await;
    client.stays().await;
}

async fn sampling_drops_for_good<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.connect().await;
    client.send(command("IDENTIFY", r#"{"sample_rate":50}"#)).await;
    client.ok().await;
    client.send("SUB t c\nRDY 2500\n").await;
    client.ok().await;
    nsqd.http().post("/mpub?topic=t", "x\n".repeat(1000)).await;
    nsqd.publish("t", "last").await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 0), ("message_count", 1001)]).await;
    let channel = stats::channel(&nsqd, "t", "c").await;
    let in_flight = channel["in_flight_count"].as_u64().unwrap();
    // 51 of 100 are expected; a chance of 10^-18 is left beyond these bounds.
    assert!((370..=650).contains(&in_flight), "{in_flight} in flight");
    assert_eq!([&channel["requeue_count"], &channel["timeout_count"], &channel["deferred_count"]], [0, 0, 0]);
    assert_eq!(channel["clients"][0]["sample_rate"], 50);
    take(&mut client, usize::try_from(in_flight).unwrap()).await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 0), ("in_flight_count", 0)]).await;
}

async fn ids_are_unique_within_a_topic<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 2500\n").await;
    nsqd.http().post("/mpub?topic=t", "x\n".repeat(2000)).await;
    let ids: BTreeSet<_> = take(&mut client, 2000).await.into_iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), 2000);
}

async fn unread_messages_stay_when_a_consumer_leaves<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let client = nsqd.subscriber("t", "c").await;
    drop(client);
    stats::wait_for_channel(&nsqd, "t", "c", &[("client_count", 0)]).await;
    nsqd.publish("t", "x").await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 1)]).await;
    let mut next = nsqd.subscriber("t", "c").await;
    next.send("RDY 1\n").await;
    assert_eq!(next.message().await.attempts, 1);
}

async fn messages_come_whatever_the_output_buffer<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for (size, time) in [(-1, 0), (-1, -1), (64, 25), (64, -1), (65536, 30_000)] {
        let mut client = nsqd.connect().await;
        let identify = format!(r#"{{"output_buffer_size":{size},"output_buffer_timeout":{time}}}"#);
        client.send(command("IDENTIFY", identify)).await;
        client.ok().await;
        client.send("SUB t c\n").await;
        client.ok().await;
        // As many as are ready for, so that nothing has to be waited for with the buffer full or empty.
        client.send("RDY 3\n").await;
        nsqd.http().post("/mpub?topic=t", [&*"x".repeat(1000), "y", "z"].join("\n")).await;
        take(&mut client, 3).await;
        client.end_sending().await;
        client.end().await;
        stats::wait_for_channel(&nsqd, "t", "c", &[("client_count", 0), ("in_flight_count", 0), ("depth", 0)]).await;
    }
}
