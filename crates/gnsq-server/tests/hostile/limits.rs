//! Publishing into an nsqd that is full.

use gnsq_testkit::http;

use crate::client::{Client, Frame, command, messages};
use crate::server::Server;

#[tokio::test]
async fn beyond_max_messages_publishing_is_refused_and_all_that_was_accepted_is_delivered() {
    let mut server = Server::start(|nsqd| nsqd.max_messages(100_usize)).await;
    let accepted = fill(&server).await;
    assert_eq!(accepted, 100);
    let full = "100 messages are kept already, the most that max_messages allows";
    everything_is_refused(&server, full).await;
    assert_eq!(deliver(&server, accepted).await, accepted);
    server.serves_others().await;
}

#[tokio::test]
async fn beyond_max_bytes_publishing_is_refused_and_all_that_was_accepted_is_delivered() {
    let mut server = Server::start(|nsqd| nsqd.max_bytes(100_000_usize)).await;
    let accepted = fill(&server).await;
    assert!(accepted > 100);
    // What is left may be room for a small one.
    let mut filler = server.connect().await;
    let mut small = 0;
    loop {
        filler.send(command("PUB t", "s")).await;
        match filler.frame().await {
            Some(Frame::Response(_)) => small += 1,
            refused => {
                let full = "the bytes of the messages that are kept would exceed max_bytes (100000)";
                assert_eq!(refused, Some(Frame::Error(format!("E_PUB_FAILED PUB failed {full}"))));
                everything_is_refused(&server, full).await;
                break;
            }
        }
    }
    assert_eq!(deliver(&server, accepted + small).await, accepted + small);
    server.serves_others().await;
}

/// Publishes in every way until each is refused; returns how many messages were accepted.
async fn fill(server: &Server) -> usize {
    let body = [b'x'; 200];
    let batch = messages(&[&body[..]; 7]);
    let mut accepted = 0;
    let mut ways = vec![(command("MPUB t", batch), 7), (command("DPUB t 1", body), 1), (command("PUB t", body), 1)];
    while !ways.is_empty() {
        let mut client = server.connect().await;
        let mut left = Vec::new();
        for (way, count) in ways {
            client.send(&way).await;
            match client.frame().await {
                Some(Frame::Response(_)) => {
                    accepted += count;
                    left.push((way, count));
                }
                Some(Frame::Error(text)) => {
                    assert!(text.contains("PUB_FAILED "), "{text}");
                    client = server.connect().await;
                }
                other => panic!("{other:?}"),
            }
        }
        ways = left;
    }
    accepted
}

async fn everything_is_refused(server: &Server, full: &str) {
    for (line, error) in [
        (command("PUB t", "m"), format!("E_PUB_FAILED PUB failed {full}")),
        (command("DPUB t 100", "m"), format!("E_DPUB_FAILED DPUB failed {full}")),
        (command("MPUB t", messages(&[b"m", b"m"])), format!("E_MPUB_FAILED MPUB failed {full}")),
        (command("PUB another", "m"), format!("E_PUB_FAILED PUB failed {full}")),
    ] {
        let mut stranger = server.connect().await;
        stranger.send(line).await;
        stranger.refused(&error).await;
    }
    for (path, body) in [("/pub?topic=t", "m"), ("/mpub?topic=t", "m\nm"), ("/pub?topic=another", "m")] {
        let answer = http::post(server.http(), path, body).await;
        assert_eq!(answer, (503, format!(r#"{{"message":"{full}"}}"#)), "{path}");
    }
}

/// Consumes until there is no more; returns how many messages there were.
async fn deliver(server: &Server, expected: usize) -> usize {
    let mut consumer: Client = server.connect().await;
    consumer.ok("SUB t c\n").await;
    consumer.send("RDY 50\n").await;
    for _ in 0..expected {
        let (id, _) = consumer.message().await;
        consumer.send(format!("FIN {id}\n")).await;
    }
    // The answer of a command behind the last FIN shows that it is done.
    consumer.ok(command("PUB t", "last")).await;
    let (_, body) = consumer.message().await;
    assert_eq!(body, b"last");
    let stats = server.nsqd.stats();
    let channel = stats.topic("t").unwrap().channel("c").unwrap();
    assert_eq!((channel.depth, channel.in_flight_count, channel.deferred_count), (0, 1, 0));
    usize::try_from(channel.message_count).unwrap() - 1
}
