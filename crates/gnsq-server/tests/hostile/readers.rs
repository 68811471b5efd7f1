//! Clients that read nothing, and clients that vanish.

use std::time::Duration;

use gnsq_server::{Clock, Nsqd};
use gnsq_testkit::{DEADLINE, eventually};

use crate::client::{Client, command, messages};
use crate::memory::{grew_at_most, resident};
use crate::server::Server;

const MIB: usize = 1024 * 1024;

/// 100 MB are there for it, and it takes none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_never_reads_takes_little_memory_and_is_closed_at_its_write_deadline() {
    let clock = Clock::manual();
    let mut server = Server::start_alone(|nsqd| nsqd.clock(clock.clone())).await;
    let mut producer = server.connect().await;
    for _ in 0..25 {
        producer.ok(command("MPUB t", messages(&[&vec![b'x'; MIB][..]; 4]))).await;
    }
    let before = resident();
    let mut stranger = server.connect().await;
    stranger.send("SUB t c\nRDY 2500\n").await;
    let stuck_at = stuck(&server.nsqd).await;
    assert!(stuck_at < 100, "the sockets are too large for this test");
    grew_at_most(before, 16 * MIB);
    server.serves_others().await;
    closed_within_a_heartbeat_interval(&mut server, &clock, "t").await;
    // All of it is there for the next one when the time of those that were underway is over.
    clock.advance(Duration::from_secs(30));
    server.serves_others().await;
    clock.advance(Duration::from_secs(30));
    let mut next = server.connect().await;
    next.ok("SUB t c\n").await;
    next.send("RDY 1\n").await;
    for _ in 0..100 {
        let (id, body) = next.message().await;
        assert_eq!(body.len(), MIB);
        next.send(format!("FIN {id}\n")).await;
    }
    server.serves_others().await;
}

/// Each command has an answer that is longer than itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_its_answers_is_not_read_either() {
    let clock = Clock::manual();
    let mut server = Server::start_alone(|nsqd| nsqd.clock(clock.clone())).await;
    let mut stranger = server.connect().await;
    stranger.send("SUB t c\n").await;
    let before = resident();
    let touches = b"TOUCH 0123456789abcdef\n".repeat(10_000);
    let sent = stranger.send_until_stuck(&touches, 200 * MIB).await;
    assert!(sent < 200 * MIB, "nsqd has read {sent} bytes, and none of its answers was");
    grew_at_most(before, 16 * MIB);
    server.serves_others().await;
    closed_within_a_heartbeat_interval(&mut server, &clock, "t").await;
    server.serves_others().await;
}

#[tokio::test]
async fn what_a_consumer_held_that_vanished_is_given_to_another() {
    let clock = Clock::manual();
    let mut server = Server::start(|nsqd| nsqd.clock(clock.clone())).await;
    let mut other = server.connect().await;
    other.ok("SUB t c\n").await;
    for _ in 0..10 {
        let mut stranger = server.connect().await;
        stranger.ok("SUB t c\n").await;
        stranger.send("RDY 1\n").await;
        other.ok(command("PUB t", "m")).await;
        stranger.message().await;
        drop(stranger);
        consumers(&server.nsqd, "t", 1).await;
    }
    server.serves_others().await;
    for _ in 0..2 {
        clock.advance(Duration::from_secs(30));
        other.send("NOP\n").await;
        server.serves_others().await;
    }
    other.send("RDY 10\n").await;
    for _ in 0..10 {
        let (id, body) = other.message().await;
        assert_eq!(body, b"m");
        other.send(format!("FIN {id}\n")).await;
    }
    server.serves_others().await;
}

#[tokio::test]
async fn those_who_subscribe_and_vanish_leave_nothing_behind() {
    let mut server = Server::start(|nsqd| nsqd).await;
    for round in 0..200 {
        let mut stranger = server.connect().await;
        stranger.send(format!("SUB t{round}#ephemeral c#ephemeral\nRDY 2500\n")).await;
        stranger.send(command(&format!("PUB t{round}#ephemeral"), "m")).await;
        // At any moment of it.
        if round % 2 == 0 {
            stranger.frame().await;
        }
    }
    eventually(DEADLINE, "the end of what is ephemeral", async || {
        (server.nsqd.stats().topics.len() == 1).then_some(())
    })
    .await;
    assert_eq!(server.nsqd.stats().memory.unwrap().heap_objects, 0);
    server.serves_others().await;
}

/// Waits until nsqd sends the channel's only client no more; returns how many messages it has sent.
async fn stuck(nsqd: &Nsqd) -> u64 {
    let mut last = 0;
    eventually(DEADLINE, "a client that takes no more", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let stats = nsqd.stats();
        let now = stats.topic("t")?.channel("c")?.in_flight_count;
        let stands = now > 0 && now == last;
        last = now;
        stands.then_some(now)
    })
    .await
}

/// The write deadline is the heartbeat interval, 30 seconds, since the client has taken the last byte. What is later than
/// a minute would be the read deadline.
async fn closed_within_a_heartbeat_interval(server: &mut Server, clock: &Clock, topic: &str) {
    clock.advance(Duration::from_secs(29));
    server.serves_others().await;
    assert_eq!(server.nsqd.stats().topic(topic).unwrap().channel("c").unwrap().client_count, 1);
    clock.advance(Duration::from_secs(1));
    consumers(&server.nsqd, topic, 0).await;
}

async fn consumers(nsqd: &Nsqd, topic: &str, count: u64) {
    eventually(DEADLINE, "another number of consumers", async || {
        let stats = nsqd.stats();
        (stats.topic(topic)?.channel("c")?.client_count == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_sends_a_byte_at_a_time_is_served_like_others() {
    let mut server = Server::start(|nsqd| nsqd).await;
    let mut slow = Client::open(server.tcp()).await;
    for byte in [&b"  V2"[..], &command("PUB t", "m"), b"SUB t c\nRDY 1\n"].concat() {
        slow.send([byte]).await;
        tokio::task::yield_now().await;
    }
    slow.ok("").await;
    slow.ok("").await;
    assert_eq!(slow.message().await.1, b"m");
    server.serves_others().await;
}
