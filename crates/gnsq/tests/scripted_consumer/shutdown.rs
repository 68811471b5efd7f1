//! A shutdown from CLS to its report, whatever the peer does.

use std::time::Duration;

use gnsq::{ConnectionConfig, Message};
use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually};
use tokio::sync::{mpsc, watch};

use super::common::{self, ONE, TWO, id, plain_consumer, ready, serve_end, text, until_command, within};
use super::{Pair, SHORT, frame};

#[tokio::test]
async fn a_shutdown_closes_then_gives_back_then_waits_then_requeues_and_tells_how_it_went() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer])
        .max_in_flight(10)
        .concurrency(2)
        .shutdown_timeout(Duration::from_secs(4))
        .build()
        .unwrap();
    let handle = consumer.handle().clone();
    let (go, gone) = watch::channel(false);
    let (began, mut begins) = mpsc::unbounded_channel();
    let run = tokio::spawn(consumer.run(move |message: Message| {
        let mut gone = gone.clone();
        began.send(()).unwrap();
        async move {
            if message.id().0 == *TWO {
                std::future::pending::<()>().await;
            }
            gone.wait_for(|gone| *gone).await.map(drop)
        }
    }));
    let mut connection = ready(&peer, 10).await;
    for number in 1..=5 {
        connection.send_message(&id(number), 1, 1, b"body").await;
    }
    for _ in 0..2 {
        within(begins.recv()).await.unwrap();
    }
    eventually(DEADLINE, "three queued", async || (handle.stats().queued == 3).then_some(())).await;

    let shutdown = tokio::spawn({
        let handle = handle.clone();
        async move { handle.shutdown().await }
    });
    connection.expect_command("CLS").await;
    for number in 3..=5 {
        connection.expect_command(&format!("REQ {} 0", text(&id(number)))).await;
    }
    // On its way when CLS was sent.
    connection.send_message(&id(6), 1, 1, b"body").await;
    connection.send_response("CLOSE_WAIT").await;
    until_command(&mut connection, &format!("REQ {} 0", text(&id(6)))).await;
    go.send(true).unwrap();
    connection.expect_command(&format!("FIN {}", text(ONE))).await;
    connection.heartbeat().await;
    connection.expect_command("NOP").await;
    assert_eq!(serve_end(connection).await, [format!("REQ {} 0", text(TWO))]);

    let report = within(shutdown).await.unwrap();
    assert_eq!(
        (report.requeued_unstarted, report.finished, report.requeued_unfinished, report.unconfirmed.len()),
        (4, 1, 1, 0),
        "{report:?}"
    );
    assert!(report.took >= Duration::from_secs(4));
    assert_eq!(within(run).await.unwrap(), report);
    assert_eq!(within(handle.shutdown()).await, report);
    assert_eq!(handle.stats().connections, 0);
}

#[tokio::test]
async fn a_shutdown_with_nothing_in_hand_waits_only_for_the_peer() {
    let mut pair = Pair::new(|builder| builder).await;
    let handle = pair.consumer.as_ref().unwrap().handle().clone();
    let Pair { first, second, .. } = pair;
    let (report, (), ()) =
        tokio::join!(within(handle.shutdown()), common::serve_shutdown(first), common::serve_shutdown(second));
    assert_eq!((report.unconfirmed.len(), report.requeued_unstarted, report.requeued_unfinished), (0, 0, 0));
    assert!(within(pair.consumer.as_mut().unwrap().recv()).await.is_none());
}

#[tokio::test]
async fn a_message_behind_close_wait_goes_back() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(1).build().unwrap();
    let mut connection = ready(&peer, 1).await;
    let (report, lines) = tokio::join!(within(consumer.handle().shutdown()), async {
        connection.expect_command("CLS").await;
        let mut bytes = frame(0, b"CLOSE_WAIT");
        bytes.extend(frame(2, &[&[0; 9], &[1][..], ONE, b"late"].concat()));
        connection.send_raw(&bytes).await;
        serve_end(connection).await
    });
    assert!(lines.contains(&format!("REQ {} 0", text(ONE))), "{lines:?}");
    assert_eq!((report.requeued_unstarted, report.unconfirmed.len()), (1, 0));
}

#[tokio::test]
async fn a_shutdown_ends_though_the_peer_neither_confirms_nor_closes() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer])
        .max_in_flight(1)
        .shutdown_timeout(SHORT)
        .connection(ConnectionConfig::new().write_timeout(SHORT))
        .build()
        .unwrap();
    let mut connection = ready(&peer, 1).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    let report = within(consumer.handle().shutdown()).await;
    assert_eq!(report.unconfirmed, [peer.address().into()]);
    assert_eq!((report.requeued_unstarted, report.requeued_unfinished), (1, 0));
    connection.expect_command("CLS").await;
    until_command(&mut connection, &format!("REQ {} 0", text(ONE))).await;
}

#[tokio::test]
async fn a_shutdown_ends_though_no_peer_can_be_reached() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).build().unwrap();
    // It accepts, and says nothing.
    let _connection = peer.accept().await;
    let report = within(consumer.handle().shutdown()).await;
    assert!(report.unconfirmed.is_empty());
}
