//! Strangers at an nsqlookupd.

use std::time::Duration;

use gnsq_server::{Clock, Nsqd, Nsqlookupd};
use gnsq_testkit::{DEADLINE, http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::garbage;
use crate::memory::{grew_at_most, resident};
use crate::server::Place;

/// An nsqlookupd with an nsqd that keeps to the rules.
struct Lookup {
    lookupd: Nsqlookupd,
    nsqd: Nsqd,
    topics: usize,
    _place: Place,
}

impl Lookup {
    async fn start(clock: &Clock, place: Place) -> Self {
        let lookupd = Nsqlookupd::builder().clock(clock.clone()).start().await.unwrap();
        let nsqd = Nsqd::builder().clock(clock.clone()).lookupd(&lookupd).start().await.unwrap();
        Self { lookupd, nsqd, topics: 0, _place: place }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.lookupd.tcp_address()).await.unwrap()
    }

    /// A new topic of the nsqd is found by those who ask.
    async fn serves_others(&mut self) {
        self.topics += 1;
        let topic = format!("t{}", self.topics);
        let path = format!("/topic/create?topic={topic}");
        assert_eq!(http::post(self.nsqd.http_address().parse().unwrap(), &path, "").await.0, 200);
        let is_there = |known: &[gnsq_server::TopicRegistration]| {
            known.iter().any(|known| known.topic == topic && known.producers.len() == 1)
        };
        timeout(DEADLINE, self.lookupd.wait_until(is_there)).await.expect("the topic is registered");
        let asked = http::get(self.lookupd.http_address().parse().unwrap(), &format!("/lookup?topic={topic}")).await;
        assert_eq!(asked.0, 200, "{asked:?}");
    }
}

fn session() -> Vec<u8> {
    let body = br#"{"broadcast_address":"h","hostname":"n","tcp_port":1,"http_port":2,"version":"1.3.0"}"#;
    let size = i32::try_from(body.len()).unwrap().to_be_bytes();
    [b"  V1IDENTIFY\n", &size[..], body, b"REGISTER s c\nPING\nUNREGISTER s c\n"].concat()
}

#[tokio::test]
async fn garbage_anywhere_in_a_session_harms_nobody() {
    let mut lookup = Lookup::start(&Clock::system(), Place::shared().await).await;
    let session = session();
    for (cut, seed) in (0..=session.len()).zip(0..) {
        let mut stranger = lookup.connect().await;
        let _ = stranger.write_all(&[&session[..cut], &garbage(seed)].concat()).await;
        let _ = stranger.shutdown().await;
        let mut answers = Vec::new();
        let _ = timeout(DEADLINE, stranger.read_to_end(&mut answers)).await.expect("nsqlookupd hangs up");
    }
    lookup.serves_others().await;
    let known = lookup.lookupd.registrations();
    assert!(known.iter().all(|topic| topic.topic != "s" || topic.producers.is_empty()), "{known:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_nsqd_that_never_reads_its_answers_is_not_read_either_and_closed() {
    let clock = Clock::manual();
    let mut lookup = Lookup::start(&clock, Place::alone().await).await;
    lookup.serves_others().await;
    let mut stranger = lookup.connect().await;
    let before = resident();
    stranger.write_all(b"  V1").await.unwrap();
    let pings = b"PING\n".repeat(20_000_000);
    let sent = timeout(Duration::from_secs(2), stranger.write_all(&pings)).await;
    assert!(sent.is_err(), "nsqlookupd has read 100 MB, and none of its answers was");
    drop(pings);
    grew_at_most(before, 16 << 20);
    lookup.serves_others().await;
    clock.advance(Duration::from_secs(11));
    // It has hung up when there is an end to what it has sent.
    let mut answers = Vec::new();
    let _ = timeout(DEADLINE, stranger.read_to_end(&mut answers)).await.expect("nsqlookupd hangs up");
    lookup.serves_others().await;
}
