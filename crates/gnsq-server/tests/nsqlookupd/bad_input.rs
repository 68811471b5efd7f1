//! Strangers: nothing they send takes more than its bound, or anything from others.

use std::fmt::Write;
use std::time::Duration;

use gnsq_server::{Clock, Nsqlookupd};
use gnsq_testkit::http;
use tokio::net::TcpStream;

use crate::peer::{Peer, identify, identity};
use crate::{tcp, web};

#[tokio::test]
async fn an_endless_line_is_refused() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let mut peer = Peer::connect(tcp(&lookupd)).await;
    peer.send(b"  V1").await;
    peer.send(b"x".repeat(100_000)).await;
    assert_eq!(peer.replies().await, ["E_INVALID a command line has more than 16384 bytes"]);
}

#[tokio::test]
async fn a_length_over_the_limit_or_under_zero_is_refused_at_once() {
    let lookupd = Nsqlookupd::builder().max_body_size(200).start().await.unwrap();
    for (size, error) in [
        (201, "E_BAD_BODY IDENTIFY body too big 201 > 200"),
        (i32::MAX, "E_BAD_BODY IDENTIFY body too big 2147483647 > 200"),
        (-1, "E_BAD_BODY IDENTIFY invalid body size -1"),
        (i32::MIN, "E_BAD_BODY IDENTIFY invalid body size -2147483648"),
    ] {
        let mut peer = Peer::connect(tcp(&lookupd)).await;
        peer.send([b"  V1IDENTIFY\n", &size.to_be_bytes()[..]].concat()).await;
        assert_eq!(peer.replies().await, [error]);
    }
    let body = "x".repeat(201);
    let (status, answer) = http::post(web(&lookupd), "/topic/create?topic=t", body).await;
    assert_eq!((status, answer.as_str()), (413, r#"{"message":"BODY_TOO_BIG"}"#));
}

#[tokio::test]
async fn commands_cut_at_any_byte_are_answered_alike() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let input = [b"  V1", &identify(&identity(1, 2))[..], b"REGISTER t c\nPING\nFOO\n"].concat();
    for cut in 0..=input.len() {
        let mut peer = Peer::connect(tcp(&lookupd)).await;
        peer.send(&input[..cut]).await;
        tokio::task::yield_now().await;
        peer.send(&input[cut..]).await;
        let replies = peer.replies().await;
        assert_eq!(replies[1..], ["OK", "OK", "E_INVALID invalid command FOO"], "cut at {cut}");
    }
}

#[tokio::test]
async fn random_bytes_do_no_harm() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let mut good = Peer::nsqd(tcp(&lookupd), 1, 2).await;
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = b"  V1".to_vec();
        let count = random.usize(..5000);
        bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(count));
        bytes.extend(b"\n\n");
        for address in [tcp(&lookupd), web(&lookupd)] {
            let mut peer = TcpStream::connect(address).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut peer, &bytes).await.unwrap();
        }
        good.command("REGISTER t").await;
    }
    assert_eq!(http::get(web(&lookupd), "/ping").await.1, "OK");
}

#[tokio::test]
async fn a_flood_of_registrations_is_refused_beyond_the_limit() {
    let lookupd = Nsqlookupd::builder().max_registrations(100).start().await.unwrap();
    let mut good = Peer::nsqd(tcp(&lookupd), 1, 2).await;
    good.command("REGISTER good c").await;
    let mut flood = Peer::nsqd(tcp(&lookupd), 3, 4).await;
    let mut lines = String::new();
    for n in 0..1000 {
        writeln!(lines, "REGISTER t{n} c").unwrap();
    }
    flood.send(lines).await;
    let replies = flood.replies().await;
    let (last, ok) = replies.split_last().unwrap();
    assert_eq!(ok, ["OK"; 24]);
    assert!(last.starts_with("E_INVALID there are 100 registrations already"), "{last}");
    // What the flood has left makes room for what others have.
    good.command("REGISTER good d").await;
    for n in 0..20 {
        good.command(&format!("REGISTER good{n} c")).await;
    }
    let registered = lookupd.registrations();
    assert!(registered.iter().any(|topic| topic.topic == "good" && topic.channels == ["c", "d"]));
}

#[tokio::test]
async fn names_created_over_http_are_refused_beyond_the_limit() {
    let lookupd = Nsqlookupd::builder().max_registrations(3).start().await.unwrap();
    let mut good = Peer::nsqd(tcp(&lookupd), 1, 2).await;
    good.command("REGISTER good").await;
    assert_eq!(http::post(web(&lookupd), "/topic/create?topic=a", "").await.0, 200);
    let (status, answer) = http::post(web(&lookupd), "/channel/create?topic=b&channel=c", "").await;
    assert_eq!((status, answer.as_str()), (503, r#"{"message":"TOO_MANY_REGISTRATIONS"}"#));
}

#[tokio::test]
async fn idle_connections_leave_others_alone_and_are_closed_in_time() {
    let clock = Clock::manual();
    let lookupd = Nsqlookupd::builder().clock(clock.clone()).max_connections(IDLE + 1).start().await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(Peer::connect(tcp(&lookupd)).await);
    }
    let mut good = Peer::nsqd(tcp(&lookupd), 1, 2).await;
    good.command("REGISTER t").await;
    // One too many is closed.
    assert!(Peer::connect(tcp(&lookupd)).await.replies().await.is_empty());
    clock.advance(Duration::from_secs(500));
    good.command("PING").await;
    clock.advance(Duration::from_secs(200));
    for idle in idle {
        assert!(idle.replies().await.is_empty());
    }
    good.command("PING").await;
}

/// As many as fit into the 1024 descriptors that a process may have by default; both ends are here.
const IDLE: usize = 400;
