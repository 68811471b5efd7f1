//! Handlers that never return, block, idle or are stopped.

use std::convert::Infallible;

use gnsq::{Consumer, Message};
use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually};
use tokio::sync::mpsc;

use super::common::{ONE, expect_nothing_sent, id, plain_consumer, ready, serve_end, text, within};

#[tokio::test]
async fn dropping_the_run_stops_its_handlers_and_gives_their_messages_back() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(2).build().unwrap();
    let handle = consumer.handle().clone();
    let (began, mut begins) = mpsc::unbounded_channel();
    let run = tokio::spawn(consumer.run(move |message: Message| {
        began.send(()).unwrap();
        async move {
            let _held = message;
            std::future::pending::<Result<(), Infallible>>().await
        }
    }));
    let mut connection = ready(&peer, 2).await;
    connection.send_message(ONE, 1, 1, b"in hand").await;
    within(begins.recv()).await.unwrap();
    run.abort();
    let mut lines = vec![connection.expect_line().await];
    connection.send_response("CLOSE_WAIT").await;
    lines.extend(serve_end(connection).await);
    assert!(lines.contains(&"CLS".to_owned()) && lines.contains(&format!("REQ {} 0", text(ONE))), "{lines:?}");
    let report = within(handle.finished()).await;
    assert_eq!((report.requeued_unfinished, report.unconfirmed.len()), (0, 0));
}

#[tokio::test]
async fn a_handler_that_never_returns_keeps_nobody_else_from_work() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(5).concurrency(2).build().unwrap();
    let run = tokio::spawn(consumer.run(|message: Message| async move {
        if message.id().0 == *ONE {
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>(())
    }));
    let mut connection = ready(&peer, 5).await;
    connection.send_message(ONE, 1, 1, b"stuck").await;
    for number in 2..20 {
        connection.send_message(&id(number), 1, 1, b"body").await;
        connection.expect_command(&format!("FIN {}", text(&id(number)))).await;
    }
    expect_nothing_sent(&mut connection).await;
    run.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_delays_no_heartbeat() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(5).build().unwrap();
    let handle = consumer.handle().clone();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let run = tokio::spawn(consumer.run(move |_| {
        released.lock().unwrap().recv().unwrap();
        async { Ok::<_, Infallible>(()) }
    }));
    let mut connection = ready(&peer, 5).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    eventually(DEADLINE, "a handler at work", async || {
        (handle.stats().in_flight == 1 && handle.stats().queued == 0).then_some(())
    })
    .await;
    expect_nothing_sent(&mut connection).await;
    release.send(()).unwrap();
    connection.expect_command(&format!("FIN {}", text(ONE))).await;
    run.abort();
}

#[tokio::test]
async fn many_idle_handlers_keep_no_message_away() {
    let peer = ScriptedPeer::bind().await;
    let consumer = Consumer::builder("t", "c").nsqd(peer.address()).max_in_flight(1).concurrency(300).build().unwrap();
    let run = tokio::spawn(consumer.run(|_| async { Ok::<_, Infallible>(()) }));
    let mut connection = ready(&peer, 1).await;
    // One after the other, so that each goes to another handler.
    for number in 0..600 {
        connection.send_message(&id(number), 1, 1, b"body").await;
        let mut line = connection.expect_line().await;
        while line.starts_with("RDY ") {
            line = connection.expect_line().await;
        }
        assert_eq!(line, format!("FIN {}", text(&id(number))));
    }
    run.abort();
}
