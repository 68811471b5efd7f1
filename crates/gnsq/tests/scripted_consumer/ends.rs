//! The ends of a consumer that nobody shuts down, and what they leave.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use gnsq::{BackoffStrategy, HandlerError, Io};
use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually};

use super::common::{self, ONE, plain_consumer, ready, serve_end, text, until_command, within};

#[tokio::test]
async fn dropping_a_consumer_shuts_it_down() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(2).build().unwrap();
    let handle = consumer.handle().clone();
    let mut connection = ready(&peer, 2).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    eventually(DEADLINE, "a message", async || (handle.stats().queued == 1).then_some(())).await;
    drop(consumer);
    connection.expect_command("CLS").await;
    until_command(&mut connection, &format!("REQ {} 0", text(ONE))).await;
    connection.send_response("CLOSE_WAIT").await;
    serve_end(connection).await;
    assert_eq!(within(handle.finished()).await.requeued_unstarted, 1);
}

#[tokio::test]
async fn a_consumer_ends_with_the_runtime_of_its_io() {
    for running in [false, true] {
        let peer = ScriptedPeer::bind().await;
        let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut consumer =
            plain_consumer(&[&peer]).max_in_flight(1).io(Io::Runtime(io.handle().clone())).build().unwrap();
        let handle = consumer.handle().clone();
        let _connection = ready(&peer, 1).await;
        if running {
            let run = tokio::spawn(consumer.run(|_| async { Ok::<_, Infallible>(()) }));
            io.shutdown_background();
            within(run).await.unwrap();
        } else {
            let waiting = tokio::spawn(async move { consumer.recv().await.is_none() });
            io.shutdown_background();
            assert!(within(waiting).await.unwrap());
        }
        within(handle.shutdown()).await;
    }
}

#[tokio::test]
async fn a_consumer_ends_with_a_strategy_that_panics() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(1).backoff_strategy(Panics).build().unwrap();
    let run = tokio::spawn(consumer.run(|_| async { Err::<(), HandlerError>("broken".into()) }));
    let mut connection = ready(&peer, 1).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    until_command(&mut connection, &format!("REQ {} 90000", text(ONE))).await;
    serve_end(connection).await;
    within(run).await.unwrap();
}

#[tokio::test]
async fn nothing_of_a_consumer_is_left_when_its_users_are_gone() {
    let alive = Arc::new(());
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(1).build().unwrap();
    let witness = alive.clone();
    consumer.handle().signals().on_message.connect(move |_| drop(witness.clone())).forget();
    let mut connection = ready(&peer, 1).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    drop(consumer);
    common::serve_shutdown(connection).await;
    eventually(DEADLINE, "the memory to be freed", async || (Arc::strong_count(&alive) == 1).then_some(())).await;
}

#[derive(Debug)]
struct Panics;

impl BackoffStrategy for Panics {
    fn wait(&self, _level: u32, _rng: &mut fastrand::Rng) -> Duration {
        panic!("not a good strategy")
    }
}
