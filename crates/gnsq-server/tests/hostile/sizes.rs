//! Lengths that are negative, zero, huge, or not followed by what they promise.

use crate::client::Frame;
use crate::memory::{grew_at_most, resident};
use crate::server::Server;

#[tokio::test]
async fn a_length_that_cannot_be_is_refused_before_its_body_comes() {
    let mut server = Server::start(|nsqd| nsqd.max_msg_size(1000_usize).max_body_size(5000_usize)).await;
    for size in [i32::MIN, -1, 0, 1001, 5001, i32::MAX] {
        let message = match size {
            ..=0 => format!("E_BAD_MESSAGE PUB invalid message body size {size}"),
            _ => format!("E_BAD_MESSAGE PUB message too big {size} > 1000"),
        };
        refused(&server, "PUB t", &[size], &message).await;
        refused(&server, "DPUB t 5", &[size], &message.replace(" PUB ", " DPUB ")).await;
        if size <= 0 || size > 5000 {
            let body = match size {
                ..=0 => format!("E_BAD_BODY IDENTIFY invalid body size {size}"),
                _ => format!("E_BAD_BODY IDENTIFY body too big {size} > 5000"),
            };
            refused(&server, "IDENTIFY", &[size], &body).await;
            refused(&server, "AUTH", &[size], &body.replace("IDENTIFY", "AUTH")).await;
            refused(&server, "MPUB t", &[size], &body.replace("IDENTIFY", "MPUB")).await;
            let count = format!("E_BAD_BODY MPUB invalid message count {size}");
            refused(&server, "MPUB t", &[100, size], &count).await;
        }
        let inner = match size {
            ..=0 => format!("E_BAD_MESSAGE MPUB invalid message(0) body size {size}"),
            _ => format!("E_BAD_MESSAGE MPUB message too big {size} > 1000"),
        };
        refused(&server, "MPUB t", &[100, 1, size], &inner).await;
    }
    assert_eq!(server.nsqd.stats().topic("t").map(|topic| topic.message_count), Some(0));
    server.serves_others().await;
}

async fn refused(server: &Server, line: &str, numbers: &[i32], error: &str) {
    let mut stranger = server.connect().await;
    let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    stranger.send([line.as_bytes(), b"\n", &numbers].concat()).await;
    stranger.refused(error).await;
}

#[tokio::test]
async fn an_mpub_without_end_is_refused_at_the_limit_of_a_body() {
    let mut server = Server::start(|nsqd| nsqd.max_msg_size(1000_usize).max_body_size(5000_usize)).await;
    let mut stranger = server.connect().await;
    let message = [&1000_i32.to_be_bytes()[..], &[b'x'; 1000]].concat();
    stranger
        .send([b"MPUB t\n", &14_i32.to_be_bytes()[..], &900_i32.to_be_bytes(), &message.repeat(900)].concat())
        .await;
    // The rest that is underway may destroy the answer.
    match stranger.frame().await {
        None => {}
        Some(frame) => assert_eq!(frame, Frame::Error("E_BAD_BODY MPUB body too big 5024 > 5000".to_owned())),
    }
    assert_eq!(server.nsqd.stats().topic("t").map(|topic| topic.message_count), Some(0));
    server.serves_others().await;
}

/// A hundred strangers announce 5 MiB each, and send a byte of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_alone_takes_no_memory() {
    let mut server = Server::start_alone(|nsqd| nsqd).await;
    let before = resident();
    let mut strangers = Vec::new();
    for _ in 0..100 {
        let mut stranger = server.connect().await;
        stranger.ok(b"PUB t\n\0\0\0\x01x").await;
        let message = (1024 * 1024_i32).to_be_bytes();
        stranger
            .send([b"MPUB t\n", &(5 * 1024 * 1024_i32).to_be_bytes()[..], &[0, 0, 0, 4], &message, b"x"].concat())
            .await;
        strangers.push(stranger);
    }
    server.serves_others().await;
    grew_at_most(before, 16 * 1024 * 1024);
}
