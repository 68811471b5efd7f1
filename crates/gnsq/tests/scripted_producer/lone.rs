//! A lone publish leaves on the thread that makes it; what it can't send there, the connection's task does.
//!
//! Here that task runs only when the test lets it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_util::future::join_all;
use gnsq::{Address, Error, Io, Producer};
use gnsq_testkit::{PeerConnection, ScriptedPeer};
use tokio::runtime::{Builder, Runtime};

use super::batching::messages;
use super::common::{identified, producer, publishing, running, still, within};
use super::{SHORT, body};

/// A producer that has published one message alone. Its runtime, `io`, stands still.
struct Lone {
    io: Runtime,
    others: Runtime,
    producer: Producer,
    peer: ScriptedPeer,
    connection: PeerConnection,
}

impl Lone {
    fn new() -> Self {
        let (io, others) = (still(), Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
        let peer = others.block_on(ScriptedPeer::bind());
        let producer = producer(&[&peer]).io(Io::Runtime(io.handle().clone())).build().unwrap();
        let (io, connection) = running(io, || {
            others.block_on(async {
                let mut connection = identified(&peer).await;
                let publish = publishing(&producer, "0");
                assert_eq!(body(&mut connection).await, "0");
                connection.send_response("OK").await;
                within(publish).await.unwrap().unwrap();
                connection
            })
        });
        Self { io, others, producer, peer, connection }
    }
}

/// Begins it on this thread, outside of any runtime.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn it_leaves_at_once_and_once() {
    let Lone { io, others, producer, mut connection, .. } = Lone::new();
    let mut publish = pin!(producer.publish("t", "1"));
    assert!(poll(publish.as_mut()).is_pending());
    assert_eq!(others.block_on(body(&mut connection)), "1");
    others.block_on(connection.send_response("OK"));
    assert!(poll(publish.as_mut()).is_pending(), "nobody has read the answer yet");
    let (_io, ()) = running(io, || {
        others.block_on(within(publish)).unwrap();
        // The next bytes are the next publish's.
        let _entered = others.enter();
        let next = publishing(&producer, "2");
        assert_eq!(others.block_on(body(&mut connection)), "2");
        next.abort();
    });
}

#[test]
fn what_comes_while_it_is_under_way_goes_out_behind_it_and_together() {
    let Lone { io, others, producer, mut connection, .. } = Lone::new();
    let mut publishes: Vec<_> = ["1", "2", "3"].map(|text| Box::pin(producer.publish("t", text))).into();
    assert!(publishes.iter_mut().all(|publish| poll(publish.as_mut()).is_pending()));
    assert_eq!(others.block_on(body(&mut connection)), "1");
    let nothing = others.block_on(async { tokio::time::timeout(SHORT, connection.expect_line()).await });
    assert!(nothing.is_err(), "the others wait for the task: {nothing:?}");
    let (io, ()) = running(io, || {
        others.block_on(async {
            connection.expect_command("MPUB t").await;
            assert_eq!(messages(&connection.expect_body().await), ["2", "3"]);
            connection.send_response("OK").await;
            connection.send_response("OK").await;
            for outcome in within(join_all(publishes)).await {
                outcome.unwrap();
            }
        });
    });
    // It may be the first of several again, which the task would gather.
    let mut publish = pin!(producer.publish("t", "4"));
    assert!(poll(publish.as_mut()).is_pending());
    let nothing = others.block_on(async { tokio::time::timeout(SHORT, connection.expect_line()).await });
    assert!(nothing.is_err(), "it waits for the task: {nothing:?}");
    let (_io, ()) = running(io, || assert_eq!(others.block_on(body(&mut connection)), "4"));
}

#[test]
fn one_whose_connection_is_gone_goes_elsewhere() {
    let Lone { io, others, producer, peer, connection } = Lone::new();
    connection.reset();
    let mut publish = pin!(producer.publish("t", "1"));
    assert!(poll(publish.as_mut()).is_pending(), "its task will tell");
    let (_io, ()) = running(io, || {
        others.block_on(async {
            let answer = async {
                let mut connection = identified(&peer).await;
                assert_eq!(body(&mut connection).await, "1");
                connection.send_response("OK").await;
                connection
            };
            let (outcome, _connection) = within(async { tokio::join!(publish, answer) }).await;
            outcome.unwrap();
        });
    });
}

#[test]
fn one_whose_runtime_is_dropped_is_told_so() {
    let Lone { io, others, producer, mut connection, .. } = Lone::new();
    let mut publish = pin!(producer.publish("t", "1"));
    assert!(poll(publish.as_mut()).is_pending());
    assert_eq!(others.block_on(body(&mut connection)), "1");
    drop(io);
    let outcome = others.block_on(within(publish));
    assert!(matches!(outcome, Err(Error::Lost { sent: true, .. })), "{outcome:?}");
}

#[test]
fn what_the_socket_does_not_take_at_once_follows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nsqd");
    let nsqd = UnixListener::bind(&path).unwrap();
    let io = still();
    let producer = Producer::builder().nsqd(Address::unix(&path)).io(Io::Runtime(io.handle().clone())).build().unwrap();
    let (io, mut nsqd) = running(io, || {
        let mut nsqd = nsqd.accept().unwrap().0;
        expect_start(&mut nsqd, b"  V2IDENTIFY\n");
        expect_body(&mut nsqd);
        answer_ok(&mut nsqd);
        let lone = thread::spawn({
            let producer = producer.clone();
            move || still().block_on(producer.publish("t", "0"))
        });
        expect_start(&mut nsqd, b"PUB t\n");
        assert_eq!(expect_body(&mut nsqd), b"0");
        answer_ok(&mut nsqd);
        lone.join().unwrap().unwrap();
        nsqd
    });
    // More than a socket between two processes holds, and few enough to be sent here.
    let body = vec![b'x'; 250_000];
    let mut publish = pin!(producer.publish("t", body.clone()));
    assert!(poll(publish.as_mut()).is_pending());
    expect_start(&mut nsqd, b"PUB t\n");
    let mut taken = vec![0; 4 + body.len()];
    nsqd.set_nonblocking(true).unwrap();
    let mut count = 0;
    while let Ok(more) = nsqd.read(&mut taken[count..])
        && more > 0
    {
        count += more;
    }
    assert!((1..taken.len()).contains(&count), "{count} bytes came: the test needs a smaller socket");
    nsqd.set_nonblocking(false).unwrap();
    let (_io, ()) = running(io, || {
        nsqd.read_exact(&mut taken[count..]).unwrap();
        assert!(taken.ends_with(&body));
        answer_ok(&mut nsqd);
        still().block_on(within(publish)).unwrap();
    });
}

fn expect_start(nsqd: &mut UnixStream, expected: &[u8]) {
    let mut start = vec![0; expected.len()];
    nsqd.read_exact(&mut start).unwrap();
    assert_eq!(start.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

fn expect_body(nsqd: &mut UnixStream) -> Vec<u8> {
    let mut size = [0; 4];
    nsqd.read_exact(&mut size).unwrap();
    let mut body = vec![0; u32::from_be_bytes(size) as usize];
    nsqd.read_exact(&mut body).unwrap();
    body
}

fn answer_ok(nsqd: &mut UnixStream) {
    nsqd.write_all(b"\0\0\0\x06\0\0\0\0OK").unwrap();
}
