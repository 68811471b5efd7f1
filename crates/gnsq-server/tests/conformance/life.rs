//! The life of topics and channels: pausing, emptying, deleting, and those that nobody needs any more.

use gnsq_testkit::{DEADLINE, eventually};

use crate::server::{Nsqd, Side};
use crate::state::State;
use crate::stats;
use crate::wire::{Frame, command, mpub};

conformance! {
    a_paused_channel_hands_out_nothing,
    answers_are_taken_while_a_channel_is_paused,
    a_paused_topic_keeps_its_messages,
    an_emptied_channel_has_no_messages,
    an_emptied_topic_leaves_its_channels_alone,
    a_deleted_channel_closes_its_consumers,
    a_deleted_topic_closes_the_consumers_of_its_channels,
    an_ephemeral_channel_goes_with_its_last_consumer,
    an_ephemeral_channel_can_be_made_again_at_once,
    an_ephemeral_topic_goes_with_its_last_channel,
    an_ephemeral_queue_drops_what_is_too_much,
    a_closing_client_answers_what_it_has,
    a_stopped_server_hangs_up,
}

async fn a_paused_channel_hands_out_nothing<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 1\n").await;
    client.stays().await;
    nsqd.act("/channel/pause?topic=t&channel=c").await;
    assert_eq!(stats::channel(&nsqd, "t", "c").await["paused"], true);
    nsqd.publish("t", "x").await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 1), ("in_flight_count", 0)]).await;
    client.stays().await;
    nsqd.act("/channel/unpause?topic=t&channel=c").await;
    assert_eq!(client.message().await.attempts, 1);
    assert_eq!(stats::channel(&nsqd, "t", "c").await["paused"], false);
}

async fn answers_are_taken_while_a_channel_is_paused<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 3\n").await;
    nsqd.http().post("/mpub?topic=t", "a\nb\nc").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(client.message().await.id);
    }
    nsqd.act("/channel/pause?topic=t&channel=c").await;
    client.send(format!("FIN {}\nREQ {} 0\nTOUCH {}\n", ids[0], ids[1], ids[2])).await;
    client.stays().await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 1), ("in_flight_count", 1), ("requeue_count", 1)]).await;
    nsqd.act("/channel/unpause?topic=t&channel=c").await;
    let again = client.message().await;
    assert_eq!((&again.id, again.attempts), (&ids[1], 2));
}

async fn a_paused_topic_keeps_its_messages<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 10\n").await;
    nsqd.act("/topic/pause?topic=t").await;
    assert_eq!(stats::topic(&nsqd, "t").await["paused"], true);
    State::Init.answers(&nsqd, [(command("PUB t", "x"), "OK"), (mpub("t", &["y", "z"]), "OK")]).await;
    nsqd.act("/channel/create?topic=t&channel=new").await;
    let topic = stats::topic(&nsqd, "t").await;
    assert_eq!([&topic["depth"], &topic["message_count"]], [3, 3]);
    nsqd.act("/topic/unpause?topic=t").await;
    for _ in 0..3 {
        client.message().await;
    }
    stats::wait_for_channel(&nsqd, "t", "new", &[("depth", 3)]).await;
    let topic = stats::topic(&nsqd, "t").await;
    assert_eq!((&topic["depth"], &topic["paused"]), (&0.into(), &false.into()));
}

async fn an_emptied_channel_has_no_messages<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 2\n").await;
    nsqd.http().post("/mpub?topic=t", "a\nb\nc\nd").await;
    nsqd.publish("t&defer=60000", "e").await;
    let first = client.message().await.id;
    let second = client.message().await.id;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 2), ("in_flight_count", 2), ("deferred_count", 1)]).await;
    // Or else messages may come while the channel is being emptied.
    client.send("RDY 0\n").await;
    client.stays().await;
    nsqd.act("/channel/empty?topic=t&channel=c").await;
    let channel = stats::channel(&nsqd, "t", "c").await;
    let counts = ["depth", "in_flight_count", "deferred_count", "message_count"];
    assert_eq!(counts.map(|key| channel[key].as_u64().unwrap()), [0, 0, 0, 5]);
    assert_eq!(channel["clients"][0]["in_flight_count"], 0);
    for id in [first, second] {
        client.send(format!("FIN {id}\n")).await;
        client.error(format!("E_FIN_FAILED FIN {id} failed ID not in flight")).await;
    }
    assert_eq!(stats::channel(&nsqd, "t", "c").await["clients"][0]["in_flight_count"], 0);
    nsqd.http().post("/mpub?topic=t", "f\ng\nh").await;
    client.send("RDY 2\n").await;
    client.message().await;
    client.message().await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 1), ("in_flight_count", 2)]).await;
}

async fn an_emptied_topic_leaves_its_channels_alone<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    nsqd.act("/topic/create?topic=t").await;
    nsqd.act("/channel/create?topic=t&channel=c").await;
    nsqd.publish("t", "in the channel").await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 1)]).await;
    nsqd.act("/topic/pause?topic=t").await;
    nsqd.publish("t", "in the topic").await;
    stats::wait_for_topic(&nsqd, "t", &[("depth", 1)]).await;
    nsqd.act("/topic/empty?topic=t").await;
    let topic = stats::topic(&nsqd, "t").await;
    assert_eq!([&topic["depth"], &topic["message_count"], &topic["channels"][0]["depth"]], [0, 2, 1]);
}

async fn a_deleted_channel_closes_its_consumers<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    let mut other = nsqd.subscriber("t", "other").await;
    client.send("RDY 1\n").await;
    nsqd.publish("t", "x").await;
    client.message().await;
    nsqd.act("/channel/delete?topic=t&channel=c").await;
    client.end().await;
    other.stays().await;
    assert!(stats::channel(&nsqd, "t", "c").await.is_null());
    let again = nsqd.subscriber("t", "c").await;
    assert_eq!(stats::channel(&nsqd, "t", "c").await["message_count"], 0);
    drop(again);
}

async fn a_deleted_topic_closes_the_consumers_of_its_channels<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut clients = [nsqd.subscriber("t", "c").await, nsqd.subscriber("t", "d#ephemeral").await];
    let mut producer = nsqd.connect().await;
    producer.send(command("PUB t", "x")).await;
    producer.ok().await;
    nsqd.act("/topic/delete?topic=t").await;
    for client in &mut clients {
        client.end().await;
    }
    assert!(stats::topic(&nsqd, "t").await.is_null());
    producer.send(command("PUB t", "y")).await;
    producer.ok().await;
    let topic = stats::topic(&nsqd, "t").await;
    assert_eq!((&topic["message_count"], &topic["channels"]), (&1.into(), &serde_json::json!([])));
}

async fn an_ephemeral_channel_goes_with_its_last_consumer<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let one = nsqd.subscriber("t", "c#ephemeral").await;
    let other = nsqd.subscriber("t", "c#ephemeral").await;
    drop(one);
    stats::wait_for_channel(&nsqd, "t", "c#ephemeral", &[("client_count", 1)]).await;
    drop(other);
    eventually(DEADLINE, "the channel to go", async || {
        stats::channel(&nsqd, "t", "c#ephemeral").await.is_null().then_some(())
    })
    .await;
    assert_eq!(stats::topic(&nsqd, "t").await["channels"], serde_json::json!([]));
    // One that never had a consumer stays.
    nsqd.act("/channel/create?topic=t&channel=d%23ephemeral").await;
    nsqd.publish("t", "x").await;
    stats::wait_for_channel(&nsqd, "t", "d#ephemeral", &[("depth", 1)]).await;
    let mut client = nsqd.subscriber("t", "d#ephemeral").await;
    client.send("RDY 1\n").await;
    client.message().await;
}

async fn an_ephemeral_channel_can_be_made_again_at_once<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut made = 0;
    while made < 20 {
        let mut client = nsqd.connect().await;
        client.send("SUB t c#ephemeral\n").await;
        match client.frame().await {
            // The one before is on its way out.
            Frame::Error(error) => {
                assert_eq!(error.to_string(), "E_SUB_FAILED SUB failed exiting");
                client.end().await;
            }
            other => {
                assert_eq!(other, Frame::Response("OK".to_owned()));
                made += 1;
                client.end_sending().await;
                client.end().await;
            }
        }
    }
}

async fn an_ephemeral_topic_goes_with_its_last_channel<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    nsqd.publish("t%23ephemeral", "x").await;
    assert_eq!(stats::topic(&nsqd, "t#ephemeral").await["depth"], 1);
    let client = nsqd.subscriber("t#ephemeral", "c#ephemeral").await;
    drop(client);
    eventually(DEADLINE, "the topic to go", async || stats::topic(&nsqd, "t#ephemeral").await.is_null().then_some(()))
        .await;
    nsqd.act("/topic/create?topic=t%23ephemeral").await;
    nsqd.act("/channel/create?topic=t%23ephemeral&channel=c").await;
    nsqd.act("/channel/create?topic=t%23ephemeral&channel=d").await;
    nsqd.act("/channel/delete?topic=t%23ephemeral&channel=c").await;
    assert!(!stats::topic(&nsqd, "t#ephemeral").await.is_null());
    nsqd.act("/channel/delete?topic=t%23ephemeral&channel=d").await;
    eventually(DEADLINE, "the topic to go", async || stats::topic(&nsqd, "t#ephemeral").await.is_null().then_some(()))
        .await;
}

async fn an_ephemeral_queue_drops_what_is_too_much<S: Side>() {
    let nsqd = S::nsqd(&["--mem-queue-size=3"]).await;
    nsqd.act("/topic/create?topic=t").await;
    nsqd.act("/channel/create?topic=t&channel=c%23ephemeral").await;
    for count in 1..=5 {
        nsqd.publish("t", &count.to_string()).await;
        // Too many at a time would overflow the topic's queue as well, to the disk of the real one.
        stats::wait_for_channel(&nsqd, "t", "c#ephemeral", &[("message_count", count), ("depth", count.min(3))]).await;
    }
    let mut client = nsqd.subscriber("t", "c#ephemeral").await;
    client.send("RDY 10\n").await;
    for body in ["1", "2", "3"] {
        assert_eq!(client.message().await.body, body);
    }
    stats::wait_for_channel(&nsqd, "t", "c#ephemeral", &[("depth", 0), ("in_flight_count", 3)]).await;

    for body in ["1", "2", "3", "4", "5"] {
        nsqd.publish("e%23ephemeral", body).await;
    }
    let topic = stats::topic(&nsqd, "e#ephemeral").await;
    assert_eq!([&topic["depth"], &topic["message_count"]], [3, 5]);
}

async fn a_closing_client_answers_what_it_has<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 3\n").await;
    nsqd.http().post("/mpub?topic=t", "a\nb\nc").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(client.message().await.id);
    }
    client.send("CLS\n").await;
    client.expect("CLOSE_WAIT").await;
    let seen = &stats::channel(&nsqd, "t", "c").await["clients"][0];
    assert_eq!([&seen["state"], &seen["ready_count"], &seen["in_flight_count"]], [4, 0, 3]);
    client.send(format!("RDY 5\nTOUCH {}\nFIN {}\nREQ {} 0\n", ids[0], ids[0], ids[1])).await;
    client.stays().await;
    // What was given back and what is new goes to others.
    nsqd.publish("t", "d").await;
    stats::wait_for_channel(&nsqd, "t", "c", &[("depth", 2), ("in_flight_count", 1)]).await;
    let mut other = nsqd.subscriber("t", "c").await;
    other.send("RDY 2\n").await;
    other.message().await;
    other.message().await;
    client.stays().await;
}

async fn a_stopped_server_hangs_up<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut idle = nsqd.connect().await;
    idle.stays().await;
    let mut consumer = nsqd.subscriber("t", "c").await;
    let address = nsqd.tcp_address();
    nsqd.stop().await;
    idle.end().await;
    consumer.end().await;
    let crate::server::Address::Tcp(address) = address else { panic!("not on a port") };
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
