//! How connections end, and what keeps them from ending.

use gnsq_proto::Frame;

use super::{Peer, SECOND, Server, command};

async fn expect_heartbeat(peer: &mut Peer) {
    peer.expect("_heartbeat_").await;
}

#[tokio::test]
async fn one_who_says_nothing_has_the_time_of_two_heartbeats() {
    let server = Server::new();
    let (silent, mut slow) = (server.connect_silently(), server.connect_silently());
    slow.send("  V").await;
    server.pass(SECOND * 59).await;
    assert!(!silent.task.is_finished() && !slow.task.is_finished());
    server.pass(SECOND).await;
    silent.expect_end().await;
    slow.expect_end().await;
}

#[tokio::test]
async fn heartbeats_follow_the_clock_and_any_command_answers_them() {
    let server = Server::new();
    let mut peer = server.connect().await;
    peer.send(command("IDENTIFY", br#"{"heartbeat_interval":5000}"#)).await;
    peer.expect("OK").await;
    for _ in 0..5 {
        server.pass(SECOND * 5).await;
        expect_heartbeat(&mut peer).await;
        peer.send("NOP\nPUB t#ephemeral\n\0\0\0\x01x").await;
        peer.expect("OK").await;
    }
    server.pass(SECOND * 5).await;
    expect_heartbeat(&mut peer).await;
    // Half a command is none.
    peer.send("NO").await;
    server.pass(SECOND * 5).await;
    peer.expect_end().await;
}

#[tokio::test]
async fn without_heartbeats_a_silent_client_stays() {
    let server = Server::new();
    let mut peer = server.connect().await;
    peer.send(command("IDENTIFY", br#"{"heartbeat_interval":-1}"#)).await;
    peer.expect("OK").await;
    server.pass(SECOND * 100_000).await;
    peer.send("PUB t\n\0\0\0\x01x").await;
    peer.expect("OK").await;
}

#[tokio::test]
async fn heartbeats_come_also_while_a_message_is_held() {
    let server = Server::new();
    let mut peer = server.subscribe().await;
    peer.send("RDY 1\nPUB t\n\0\0\0\x01x").await;
    peer.expect("OK").await;
    assert_eq!(peer.message().await, b"x");
    server.pass(SECOND * 30).await;
    expect_heartbeat(&mut peer).await;
}

#[tokio::test]
async fn a_client_leaves_nothing_behind_but_what_it_holds() {
    let server = Server::new();
    let mut peer = server.subscribe().await;
    peer.send("RDY 1\nPUB t\n\0\0\0\x01x").await;
    peer.expect("OK").await;
    peer.message().await;
    assert_eq!(server.broker.clients().len(), 1);
    let Peer { socket, task, .. } = peer;
    drop(socket);
    task.await.unwrap();
    assert_eq!(server.broker.clients().len(), 0);
    let channel = server.broker.topic("t").unwrap().channel("c").unwrap();
    let state = channel.state();
    assert_eq!((state.consumers.len(), state.in_flight.len()), (0, 1));
}

#[tokio::test]
async fn the_end_of_a_channel_is_the_end_of_its_clients() {
    let server = Server::new();
    let (subscribed, mut other) = (server.subscribe().await, server.connect().await);
    server.broker.topic("t").unwrap().delete_channel("c");
    subscribed.expect_end().await;
    other.send("PUB t\n\0\0\0\x01x").await;
    other.expect("OK").await;
}

#[tokio::test]
async fn a_server_that_stops_hangs_up() {
    let server = Server::new();
    let peers = [server.connect_silently(), server.connect().await, server.subscribe().await];
    server.stop.cancel();
    for peer in peers {
        peer.expect_end().await;
    }
}

#[tokio::test]
async fn what_was_said_before_an_error_is_done_and_nothing_behind_it() {
    let server = Server::new();
    let mut peer = server.connect().await;
    let publish = "PUB t\n\0\0\0\x01x";
    peer.send(format!("{publish}{publish}FOO\n{publish}")).await;
    peer.expect("OK").await;
    peer.expect("OK").await;
    peer.expect_error("E_INVALID invalid command FOO").await;
    peer.expect_end().await;
    assert_eq!(server.broker.topic("t").unwrap().snapshot().message_count, 2);
}

#[tokio::test]
async fn a_client_that_closes_its_side_is_answered_first() {
    let server = Server::new();
    let mut peer = server.connect().await;
    peer.send("PUB t\n\0\0\0\x01xPUB t\n\0\0\0\x05abc").await;
    tokio::io::AsyncWriteExt::shutdown(&mut peer.socket).await.unwrap();
    peer.expect("OK").await;
    peer.expect_error("E_BAD_MESSAGE PUB failed to read message body").await;
    peer.expect_end().await;
}

#[tokio::test]
async fn limits_are_told_as_a_failed_publish() {
    let server = Server::with(|options| {
        options.max_messages = 2;
        options.max_topics = 1;
    });
    for (sent, text) in [
        (
            "PUB t\n\0\0\0\x01x",
            "E_PUB_FAILED PUB failed 2 messages are kept already, the most that max_messages allows",
        ),
        (
            "MPUB t\n\0\0\0\x09\0\0\0\x01\0\0\0\x01x",
            "E_MPUB_FAILED MPUB failed 2 messages are kept already, the most that max_messages allows",
        ),
        (
            "DPUB t 5\n\0\0\0\x01x",
            "E_DPUB_FAILED DPUB failed 2 messages are kept already, the most that max_messages allows",
        ),
        ("PUB u\n\0\0\0\x01x", "E_PUB_FAILED PUB failed there are 1 topics already, the most that max_topics allows"),
        ("SUB u c\n", "E_SUB_FAILED SUB failed there are 1 topics already, the most that max_topics allows"),
    ] {
        let mut peer = server.connect().await;
        if server.broker.topic("t").is_none() {
            peer.send("MPUB t\n\0\0\0\x0e\0\0\0\x02\0\0\0\x01x\0\0\0\x01y").await;
            peer.expect("OK").await;
        }
        peer.send(sent).await;
        peer.expect_error(text).await;
        peer.expect_end().await;
    }
}

#[tokio::test]
async fn publishing_goes_on_when_the_topic_is_deleted() {
    let server = Server::new();
    let mut peer = server.connect().await;
    for _ in 0..3 {
        peer.send("PUB t\n\0\0\0\x01xMPUB t\n\0\0\0\x09\0\0\0\x01\0\0\0\x01x").await;
        peer.expect("OK").await;
        peer.expect("OK").await;
        assert_eq!(server.broker.topic("t").unwrap().snapshot().message_count, 2);
        assert!(server.broker.delete_topic("t"));
    }
    let counts = server.broker.clients()[0].published();
    assert_eq!(counts.iter().map(|(topic, count)| (topic.as_str(), *count)).collect::<Vec<_>>(), [("t", 6)]);
}

#[tokio::test]
async fn a_hundred_topics_in_turn_are_told_apart() {
    let server = Server::new();
    let mut peer = server.connect().await;
    // More than a connection remembers.
    for _ in 0..3 {
        for topic in 0..300 {
            peer.send(command(&format!("PUB t{topic}"), b"x")).await;
            peer.expect("OK").await;
        }
    }
    for topic in 0..300 {
        assert_eq!(server.broker.topic(&format!("t{topic}")).unwrap().snapshot().message_count, 3);
    }
    assert!(server.broker.clients()[0].published().iter().all(|(_, count)| *count == 3));
    assert_eq!(peer.received.len(), 0);
    drop(peer);
}

#[tokio::test]
async fn a_line_that_does_not_end_is_no_reason_for_a_word() {
    let server = Server::new();
    let mut peer = server.connect().await;
    peer.send(vec![b'x'; 16 * 1024]).await;
    peer.expect_end().await;
}

#[tokio::test]
async fn another_hello_is_refused() {
    let server = Server::new();
    let mut peer = server.connect_silently();
    peer.send("GET / HTTP/1.1\r\n\r\n").await;
    assert!(matches!(peer.frame().await, Some(Frame::Error(error)) if error.to_wire() == "E_BAD_PROTOCOL"));
    peer.expect_end().await;
}
