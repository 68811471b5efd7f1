//! What is sent and read, and when no more is.

use std::time::Duration;

use gnsq_proto::Frame;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use super::{SECOND, Server, command};

/// As large as the message of a flood, in bytes.
const LARGE: usize = 100_000;

#[tokio::test]
async fn a_dialogue_is_the_same_however_it_is_cut() {
    let dialogue = [
        &command("IDENTIFY", br#"{"client_id":"me"}"#)[..],
        b"NOP\r\nSUB t c\n",
        &command("PUB t", b"one\n"),
        &command("MPUB t", b"\0\0\0\x02\0\0\0\x03two\0\0\0\x05three"),
        &command("DPUB t 0", b"four"),
        b"FIN 0123456789abcdef\nRDY 10\n",
    ]
    .concat();
    let expect = async |server: &Server, cut: &[usize]| {
        let mut peer = server.connect().await;
        let mut rest = &dialogue[..];
        for size in cut.iter().cycle() {
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            peer.send(piece).await;
            // So that the piece is read before the next one comes.
            tokio::task::yield_now().await;
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        for _ in 0..5 {
            peer.expect("OK").await;
        }
        peer.expect_error("E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight").await;
        for body in ["one\n", "two", "three", "four"] {
            assert_eq!(peer.message().await, body.as_bytes(), "in pieces of {cut:?}");
        }
        server.broker.delete_topic("t");
        peer.expect_end().await;
    };
    let server = Server::new();
    expect(&server, &[1]).await;
    for cut in 1..=dialogue.len() {
        expect(&server, &[cut, dialogue.len()]).await;
    }
}

#[tokio::test]
async fn a_client_that_never_reads_is_sent_a_bounded_amount_and_let_go() {
    let server = Server::new();
    let mut publisher = server.connect().await;
    for _ in 0..100 {
        publisher.send(command("PUB t", &vec![b'x'; LARGE])).await;
        publisher.expect("OK").await;
    }
    let mut stuck = server.subscribe().await;
    stuck.send("RDY 2500\n").await;
    let channel = server.broker.topic("t").unwrap().channel("c").unwrap();
    while channel.state().in_flight.len() == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    server.pass(SECOND * 29).await;
    let sent = channel.state().in_flight.len();
    // What the sockets hold differs from system to system, and is a megabyte at the most.
    assert!(sent < 20, "{sent} messages of {LARGE} bytes were taken for one who reads none");
    assert!(!stuck.task.is_finished());
    publisher.send("NOP\n").await;
    server.pass(SECOND * 2).await;
    assert!(stuck.task.await.is_ok());
    assert!(!publisher.task.is_finished());
    assert_eq!(channel.state().consumers.len(), 0);
}

#[tokio::test]
async fn the_commands_of_one_who_reads_no_answers_are_read_no_more() {
    let server = Server::new();
    let mut peer = server.connect().await;
    let command = command("PUB t", b"x").repeat(1000);
    let mut sent = 0;
    while timeout(SECOND / 2, peer.socket.write_all(&command)).await.is_ok() {
        sent += 1000;
        assert!(sent < 1_000_000, "the answers to a million commands are kept");
    }
    let done = server.broker.topic("t").unwrap().snapshot().message_count;
    for _ in 0..done {
        peer.expect("OK").await;
    }
    // Whoever reads again is read again.
    timeout(SECOND * 10, peer.frame()).await.unwrap();
}

#[tokio::test]
async fn one_who_reads_slowly_gets_everything() {
    let server = Server::new();
    let mut publisher = server.connect().await;
    for number in 0..50_u8 {
        publisher.send(command("PUB t", &vec![number; LARGE])).await;
        publisher.expect("OK").await;
    }
    let mut slow = server.subscribe().await;
    slow.send("RDY 2500\n").await;
    for number in 0..50_u8 {
        server.pass(SECOND / 2).await;
        assert_eq!(slow.message().await, vec![number; LARGE]);
    }
}

#[tokio::test]
async fn an_answer_to_a_message_makes_room_for_the_next() {
    let server = Server::new();
    let mut peer = server.subscribe().await;
    for _ in 0..20 {
        peer.send(command("PUB t", b"x")).await;
        peer.expect("OK").await;
    }
    peer.send("RDY 1\n").await;
    for _ in 0..20 {
        let Some(Frame::Message(message)) = peer.frame().await else { panic!("no message") };
        peer.send(format!("FIN {}\n", message.id)).await;
    }
    peer.send("CLS\n").await;
    peer.expect("CLOSE_WAIT").await;
}

#[tokio::test]
async fn a_message_comes_back_when_its_time_is_over() {
    let server = Server::new();
    let alarms = {
        let broker = server.broker.clone();
        tokio::spawn(async move { broker.shared().alarms.run(broker.clock()).await })
    };
    let mut peer = server.connect().await;
    peer.send(command("IDENTIFY", br#"{"msg_timeout":1000}"#)).await;
    peer.expect("OK").await;
    // Only the first one sets how messages are delivered.
    peer.send(command("IDENTIFY", br#"{"msg_timeout":2000}"#)).await;
    peer.expect("OK").await;
    peer.send("SUB t c\nRDY 1\nPUB t\n\0\0\0\x01x").await;
    peer.expect("OK").await;
    peer.expect("OK").await;
    peer.message().await;
    server.pass(SECOND).await;
    assert_eq!(peer.message().await, b"x");
    alarms.abort();
}

#[tokio::test]
async fn the_largest_body_is_read_in_steps() {
    let server = Server::new();
    let mut peer = server.connect().await;
    let body = vec![b'x'; 1024 * 1024];
    peer.send(command("PUB t", &body)).await;
    peer.expect("OK").await;
    let mpub = [&[0, 0, 0, 5][..], &[&[0, 0x0f, 0, 0][..], &body[..0x000f_0000]].concat().repeat(5)].concat();
    peer.send(command("MPUB t", &mpub)).await;
    peer.expect("OK").await;
    assert_eq!(server.broker.topic("t").unwrap().snapshot().message_count, 6);
}
