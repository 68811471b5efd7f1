//! Floods of topics, channels and connections.

use gnsq_testkit::http;

use crate::client::{Client, command, messages};
use crate::server::Server;

#[tokio::test]
async fn beyond_max_topics_new_ones_are_refused_and_the_others_go_on() {
    let mut server = Server::start(|nsqd| nsqd.max_topics(10_usize)).await;
    let mut flood = server.connect().await;
    // One is the good client's.
    for number in 0..9 {
        flood.ok(command(&format!("PUB t{number}"), "m")).await;
    }
    let full = "there are 10 topics already, the most that max_topics allows";
    for (line, error) in [
        (command("PUB new", "m"), format!("E_PUB_FAILED PUB failed {full}")),
        (command("DPUB new 100", "m"), format!("E_DPUB_FAILED DPUB failed {full}")),
        (command("MPUB new", messages(&[b"m"])), format!("E_MPUB_FAILED MPUB failed {full}")),
        (b"SUB new c\n".to_vec(), format!("E_SUB_FAILED SUB failed {full}")),
    ] {
        let mut stranger = server.connect().await;
        stranger.send(line).await;
        stranger.refused(&error).await;
    }
    for path in ["/topic/create?topic=new", "/pub?topic=new", "/mpub?topic=new"] {
        let (status, answer) = http::post(server.http(), path, "m").await;
        assert_eq!((status, answer), (503, format!(r#"{{"message":"{full}"}}"#)), "{path}");
    }
    assert_eq!(server.nsqd.stats().topics.len(), 10);
    flood.ok(command("PUB t8", "m")).await;
    server.serves_others().await;
    // Room is room again.
    assert_eq!(http::post(server.http(), "/topic/delete?topic=t0", "").await.0, 200);
    flood.ok(command("PUB new", "m")).await;
}

#[tokio::test]
async fn beyond_max_channels_new_ones_are_refused_and_the_others_go_on() {
    let mut server = Server::start(|nsqd| nsqd.max_channels(10_usize)).await;
    let mut consumers = Vec::new();
    for number in 0..9 {
        let mut consumer = server.connect().await;
        consumer.ok(format!("SUB t c{number}\n")).await;
        consumer.send("RDY 1\n").await;
        consumers.push(consumer);
    }
    let full = "there are 10 channels already, the most that max_channels allows";
    for topic in ["t", "good", "new"] {
        let mut stranger = server.connect().await;
        stranger.send(format!("SUB {topic} new\n")).await;
        stranger.refused(&format!("E_SUB_FAILED SUB failed {full}")).await;
    }
    let created = http::post(server.http(), "/channel/create?topic=t&channel=new", "").await;
    assert_eq!(created, (503, format!(r#"{{"message":"{full}"}}"#)));
    server.connect().await.ok(command("PUB t", "m")).await;
    for consumer in &mut consumers {
        assert_eq!(consumer.message().await.1, b"m");
    }
    server.serves_others().await;
}

#[tokio::test]
async fn beyond_max_channel_consumers_one_is_refused() {
    let mut server = Server::start(|nsqd| nsqd.max_channel_consumers(2_usize)).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut consumer = server.connect().await;
        consumer.ok("SUB t c\n").await;
        held.push(consumer);
    }
    for _ in 0..5 {
        let mut stranger = server.connect().await;
        stranger.send("SUB t c\n").await;
        stranger.refused("E_SUB_FAILED SUB failed consumers for t:c exceeds limit of 2").await;
    }
    server.serves_others().await;
}

#[tokio::test]
async fn beyond_max_connections_one_is_closed_and_the_others_go_on() {
    // The good client, its second connection, and eight more.
    let mut server = Server::start(|nsqd| nsqd.max_connections(10_usize)).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect().await;
        client.ok(command("PUB t", "m")).await;
        held.push(client);
    }
    server.serves_others().await;
    held.push(Client::open(server.tcp()).await);
    for _ in 0..20 {
        Client::open(server.tcp()).await.hung_up().await;
    }
    for client in &mut held[..8] {
        client.ok(command("PUB t", "m")).await;
    }
    drop(held);
    // As soon as nsqd has noticed that they are gone.
    let admitted = async || {
        let mut client = server.connect().await;
        client.send(command("PUB t", "m")).await;
        client.frame().await
    };
    gnsq_testkit::eventually(gnsq_testkit::DEADLINE, "room for another connection", admitted).await;
    server.serves_others().await;
}
