//! Ten thousand who do nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use gnsq_server::Nsqlookupd;
use gnsq_testkit::http;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::spawn_blocking;

use crate::memory::{grew_at_most, resident};
use crate::server::{Place, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_take_little_and_harm_nobody() {
    let mut server = Server::start_alone(|nsqd| nsqd).await;
    let count = connections_at_most();
    let before = resident();
    // Some are silent, some have said hello, some have subscribed.
    let idle = connect(server.tcp(), count, &[b"", b"  V2", b"  V2SUB t c#ephemeral\nRDY 1\n"], b"  V2?\n").await;
    server.serves_others().await;
    grew_at_most(before, count * A_CONNECTION);
    drop(idle);
    server.serves_others().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_to_http_take_little_and_harm_nobody() {
    let mut server = Server::start_alone(|nsqd| nsqd).await;
    let count = connections_at_most().min(AT_MOST);
    let before = resident();
    let idle = connect(
        server.http(),
        count,
        &[b"", b"GET /ping HTT", b"POST /pub?topic=t HTTP/1.1\r\nContent-Length: 9\r\n\r\n"],
        b"GET /ping HTTP/1.1\r\n\r\n",
    )
    .await;
    server.serves_others().await;
    grew_at_most(before, count * A_HTTP_CONNECTION);
    drop(idle);
    server.serves_others().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_nsqds_take_little_of_an_nsqlookupd() {
    let _place = Place::alone().await;
    let lookupd = Nsqlookupd::start().await.unwrap();
    let count = connections_at_most().min(AT_MOST);
    let before = resident();
    let idle =
        connect(lookupd.tcp_address().parse().unwrap(), count, &[b"", b"  V1", b"  V1PING\n"], b"  V1PING\n").await;
    let asked = http::get(lookupd.http_address().parse().unwrap(), "/nodes").await;
    assert_eq!(asked, (200, r#"{"producers":[]}"#.to_owned()));
    grew_at_most(before, count * A_CONNECTION);
    drop(idle);
}

/// The system takes them in while the server is busy, and doesn't make them wait.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_thousand_who_come_at_once_are_all_taken_in() {
    let mut server = Server::start_alone(|nsqd| nsqd).await;
    let allowed: usize = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    // Nothing of the server runs meanwhile: it has this thread only.
    let connect =
        |_| TcpStream::connect_timeout(&server.tcp(), gnsq_testkit::DEADLINE).expect("room in the listener's queue");
    let all: Vec<_> = (0..1000.min(allowed).min(connections_at_most())).map(connect).collect();
    server.serves_others().await;
    drop(all);
}

/// Ten thousand, or as many as the process may have with both ends.
#[allow(clippy::print_stdout, reason = "a test says what it could not do")]
fn connections_at_most() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits });
    let descriptors = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |count| usize::try_from(count).unwrap());
    let count = (descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2).min(10_000);
    if count < 10_000 {
        println!("{descriptors} descriptors are allowed, which is enough for {count} connections and not for 10000");
    }
    count
}

/// Connects so many, who say this and that. `question` is something that the server answers.
async fn connect(
    address: SocketAddr,
    count: usize,
    said: &'static [&'static [u8]],
    question: &'static [u8],
) -> Vec<TcpStream> {
    let say = move |words: &[u8]| {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(words).unwrap();
        connection
    };
    let connect_all = move || {
        let mut connections = Vec::new();
        while connections.len() < count {
            connections.extend(
                said.iter().cycle().take(BETWEEN_QUESTIONS.min(count - connections.len())).map(|words| say(words)),
            );
            // When it is answered, the server has taken in all who came before. Who comes too early is made to wait for
            // a second and more by the system.
            say(question).read_exact(&mut [0; 1]).unwrap();
        }
        connections
    };
    spawn_blocking(connect_all).await.unwrap()
}

/// Fewer than a listener's backlog has room for.
const BETWEEN_QUESTIONS: usize = 300;
/// Those who behave find room too, where 10,000 are allowed.
const AT_MOST: usize = 9_990;
/// What else is open in the process.
const OTHER_DESCRIPTORS: usize = 300;
/// Bytes that an idle connection may take.
const A_CONNECTION: usize = 16 * 1024;
/// The same of HTTP.
const A_HTTP_CONNECTION: usize = 32 * 1024;
