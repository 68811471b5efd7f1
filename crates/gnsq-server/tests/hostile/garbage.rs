//! What is no command, and commands that end early.

use std::time::Duration;

use gnsq_server::Clock;

use crate::client::{Client, Frame, command, garbage, messages};
use crate::server::Server;

/// Every command that a client may begin with, one after the other.
fn session() -> Vec<u8> {
    [
        b"  V2".to_vec(),
        command("IDENTIFY", r#"{"client_id":"stranger","heartbeat_interval":30000}"#),
        b"NOP\n".to_vec(),
        command("PUB t", "one"),
        command("DPUB t 1000", "two"),
        command("MPUB t", messages(&[b"three", b"four"])),
        b"SUB t c\nRDY 1\nFIN 0123456789abcdef\nREQ 0123456789abcdef 0\nTOUCH 0123456789abcdef\nCLS\n".to_vec(),
    ]
    .concat()
}

#[tokio::test]
async fn a_session_that_ends_anywhere_harms_nobody() {
    let mut server = Server::start(|nsqd| nsqd).await;
    let session = session();
    for cut in 0..=session.len() {
        let mut stranger = Client::open(server.tcp()).await;
        stranger.send(&session[..cut]).await;
        stranger.end_sending().await;
        // Answers, perhaps an error about what is missing, and the end.
        while stranger.frame().await.is_some() {}
    }
    server.serves_others().await;
}

#[tokio::test]
async fn garbage_anywhere_ends_a_session_and_harms_nobody() {
    let mut server = Server::start(|nsqd| nsqd).await;
    let session = session();
    for (cut, seed) in (0..=session.len()).zip(0..) {
        let mut stranger = Client::open(server.tcp()).await;
        stranger.send([&session[..cut], &garbage(seed), b"\n\n"].concat()).await;
        stranger.end_sending().await;
        let mut last = None;
        while let Some(frame) = stranger.frame().await {
            assert!(!matches!(&last, Some(Frame::Error(text)) if is_fatal(text)), "{frame:?} behind {last:?}");
            last = Some(frame);
        }
        if seed % 50 == 0 {
            server.serves_others().await;
        }
    }
    server.serves_others().await;
}

#[tokio::test]
async fn who_speaks_something_else_is_told_so() {
    let mut server = Server::start(|nsqd| nsqd).await;
    for hello in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"  V1", b"\x16\x03\x01\x02\x00\x01", b"\0\0\0\0", b"SSH-2.0-x\r\n"] {
        let mut stranger = Client::open(server.tcp()).await;
        stranger.send(hello).await;
        stranger.refused("E_BAD_PROTOCOL").await;
    }
    server.serves_others().await;
}

#[tokio::test]
async fn an_endless_line_is_cut_off_without_a_word() {
    let mut server = Server::start(|nsqd| nsqd).await;
    for start in ["", "PUB ", "SUB t ", "FIN ", "RDY 1"] {
        let mut stranger = server.connect().await;
        stranger.send([start.as_bytes(), &vec![b'x'; 100_000]].concat()).await;
        stranger.hung_up().await;
    }
    server.serves_others().await;
}

#[tokio::test]
async fn half_a_command_and_silence_ends_at_the_read_deadline() {
    let clock = Clock::manual();
    let mut server = Server::start(|nsqd| nsqd.clock(clock.clone())).await;
    let mut silent = Vec::new();
    for half in [
        "",
        "  V",
        "  V2",
        "  V2IDENT",
        "  V2PUB t\n\0\0",
        "  V2PUB t\n\0\0\0\x05ab",
        "  V2MPUB t\n\0\0\0\x09\0\0\0\x01",
    ] {
        let mut stranger = Client::open(server.tcp()).await;
        stranger.send(half).await;
        silent.push(stranger);
    }
    // nsqd has them all: the last who came is answered.
    server.serves_others().await;
    clock.advance(Duration::from_secs(59));
    server.serves_others().await;
    assert!(silent.iter().all(Client::is_connected));
    clock.advance(Duration::from_secs(1));
    for stranger in silent {
        stranger.hung_up().await;
    }
    server.serves_others().await;
}

fn is_fatal(error: &str) -> bool {
    !["E_FIN_FAILED", "E_REQ_FAILED", "E_TOUCH_FAILED"].iter().any(|code| error.starts_with(code))
}
