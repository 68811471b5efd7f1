//! A consumer against peers that tell exactly what it sends, and when.

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use common::{
    ONE, THREE, TWO, event, expect_nothing_sent, id, plain_consumer, ready, reply_with, serve_end, subscribed,
    subscribed_with, text, until_command, within,
};
use gnsq::{
    BackoffStrategy, ConnectionConfig, ConnectionError, Consumer, ConsumerBuilder, Error, ErrorCode, HandlerError, Io,
    Message, Requeue,
};
use gnsq_testkit::{DEADLINE, PeerConnection, ScriptedPeer, eventually};
use serde_json::json;
use tokio::sync::{mpsc, watch};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_quiet_connection_begins_with_room_for_one_message() {
    let peer = ScriptedPeer::bind().await;
    let _consumer = Consumer::builder("t", "c").nsqd(peer.address()).build().unwrap();
    let mut connection = ready(&peer, 1).await;
    expect_nothing_sent(&mut connection).await;
}

#[tokio::test]
async fn rdy_grows_with_a_backlog_and_stays_within_max_in_flight_over_all_connections() {
    const MOST: u32 = 20;
    let peers = [ScriptedPeer::bind().await, ScriptedPeer::bind().await];
    let consumer = Consumer::builder("t", "c")
        .nsqds(peers.iter().map(ScriptedPeer::address))
        .max_in_flight(MOST)
        .concurrency(4)
        .build()
        .unwrap();
    let run = tokio::spawn(consumer.run(|_| async { Ok::<_, Infallible>(()) }));
    let [first, second] = &peers;
    let (first, second) = tokio::join!(subscribed(first), subscribed(second));
    let mut nsqds = [Nsqd::new(first), Nsqd::new(second)];
    within(async {
        while nsqds.iter().any(|nsqd| nsqd.ready != MOST / 2) {
            let [first, second] = &mut nsqds;
            tokio::select! {
                () = first.step() => {}
                () = second.step() => {}
            }
            if first.ready + second.ready > MOST {
                // What was lowered before the other was raised may not have been read yet.
                tokio::time::sleep(Duration::from_millis(50)).await;
                first.read_what_is_there().await;
                second.read_what_is_there().await;
            }
            assert!(first.ready + second.ready <= MOST, "{} and {}", first.ready, second.ready);
        }
    })
    .await;
    run.abort();
}

#[tokio::test]
async fn rdy_stays_within_the_peers_own_maximum() {
    let peer = ScriptedPeer::bind().await;
    let _consumer = plain_consumer(&[&peer]).max_in_flight(100).build().unwrap();
    let mut connection = subscribed_with(&peer, &reply_with([("max_rdy_count", json!(3))])).await;
    connection.expect_command("RDY 3").await;
    expect_nothing_sent(&mut connection).await;
}

#[tokio::test]
async fn connections_take_turns_where_there_is_not_one_message_for_each() {
    let peers = [ScriptedPeer::bind().await, ScriptedPeer::bind().await];
    let _consumer =
        plain_consumer(&[&peers[0], &peers[1]]).max_in_flight(1).turns(SHORT / 4, SHORT / 2).build().unwrap();
    let (mut first, mut second) = tokio::join!(subscribed(&peers[0]), subscribed(&peers[1]));
    for _ in 0..3 {
        tokio::join!(until_command(&mut first, "RDY 1"), until_command(&mut second, "RDY 1"));
        tokio::join!(until_command(&mut first, "RDY 0"), until_command(&mut second, "RDY 0"));
    }
}

#[tokio::test]
async fn a_failure_stops_all_connections_and_one_probe_decides_when_they_go_on() {
    let (go, outcome) = watch::channel(false);
    let mut pair = Pair::new(|builder| builder.backoff_strategy(Constant(SHORT)).turns(DEADLINE, DEADLINE)).await;
    let consumer = pair.consumer.take().unwrap();
    let handle = consumer.handle().clone();
    let run = tokio::spawn(consumer.run(move |_| {
        let outcome = *outcome.borrow();
        async move { if outcome { Ok(()) } else { Err::<_, HandlerError>("broken".into()) } }
    }));
    let Pair { first, second, .. } = &mut pair;

    first.send_message(ONE, 1, 1, b"body").await;
    first.expect_command(&format!("REQ {} 90000", text(ONE))).await;
    first.expect_command("RDY 0").await;
    second.expect_command("RDY 0").await;

    // A failed probe leads to another wait.
    let probed = either(first, second, "RDY 1").await;
    assert!(handle.stats().backing_off);
    let (probed, other) = if probed == 0 { (&mut *first, &mut *second) } else { (&mut *second, &mut *first) };
    expect_nothing_sent(other).await;
    probed.send_message(TWO, 1, 1, b"body").await;
    probed.expect_command(&format!("REQ {} 90000", text(TWO))).await;
    probed.expect_command("RDY 0").await;
    expect_nothing_sent(other).await;

    go.send(true).unwrap();
    // Two failures, so two good probes.
    for last in [false, true] {
        let probed = either(first, second, "RDY 1").await;
        let (probed, other) = if probed == 0 { (&mut *first, &mut *second) } else { (&mut *second, &mut *first) };
        expect_nothing_sent(other).await;
        probed.send_message(THREE, 1, 1, b"body").await;
        probed.expect_command(&format!("FIN {}", text(THREE))).await;
        if last {
            until_command(probed, "RDY 5").await;
            until_command(other, "RDY 5").await;
        } else {
            probed.expect_command("RDY 0").await;
        }
    }
    eventually(DEADLINE, "the end of backoff", async || (!handle.stats().backing_off).then_some(())).await;
    run.abort();
}

#[tokio::test]
async fn a_requeue_without_backoff_stops_nobody() {
    let mut pair = Pair::new(|builder| builder.backoff_strategy(Constant(SHORT))).await;
    let consumer = pair.consumer.take().unwrap();
    let run = tokio::spawn(consumer.run(|message: Message| async move {
        if message.attempts() == 1 {
            return Err::<(), HandlerError>(Requeue::after(SHORT).without_backoff().into());
        }
        message.requeue_without_backoff(SHORT * 2)?;
        Ok(())
    }));
    pair.first.send_message(ONE, 1, 1, b"body").await;
    pair.first.expect_command(&format!("REQ {} 200", text(ONE))).await;
    pair.first.send_message(ONE, 1, 2, b"body").await;
    pair.first.expect_command(&format!("REQ {} 400", text(ONE))).await;
    expect_nothing_sent(&mut pair.first).await;
    expect_nothing_sent(&mut pair.second).await;
    run.abort();
}

#[tokio::test]
async fn a_late_finish_counts_as_a_failure_where_that_is_chosen() {
    for chosen in [false, true] {
        let mut pair =
            Pair::new(|builder| builder.backoff_strategy(Constant(DEADLINE)).backoff_on_late_finish(chosen)).await;
        let handle = pair.consumer.as_ref().unwrap().handle().clone();
        let mut errors = handle.signals().on_error.subscribe(1);
        pair.first.send_error(&format!("E_FIN_FAILED FIN {} failed ID not in flight", text(ONE))).await;
        let error = event(&mut errors).await.error;
        assert_eq!((error.code(), error.message_id().unwrap().0), (&ErrorCode::FinFailed, *ONE));
        if chosen {
            pair.first.expect_command("RDY 0").await;
            pair.second.expect_command("RDY 0").await;
        }
        expect_nothing_sent(&mut pair.first).await;
        expect_nothing_sent(&mut pair.second).await;
        assert_eq!((handle.stats().too_late, handle.stats().connections), (1, 2));
    }
}

#[tokio::test]
async fn a_pause_takes_no_messages_until_it_is_resumed() {
    let mut pair = Pair::new(|builder| builder).await;
    let handle = pair.consumer.as_ref().unwrap().handle().clone();
    handle.pause();
    assert!(handle.is_paused());
    pair.first.expect_command("RDY 0").await;
    pair.second.expect_command("RDY 0").await;
    handle.resume();
    until_command(&mut pair.first, "RDY 5").await;
    until_command(&mut pair.second, "RDY 5").await;
}

#[tokio::test]
async fn a_consumer_that_is_paused_when_a_connection_comes_takes_nothing_from_it() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(10).build().unwrap();
    consumer.handle().pause();
    let mut connection = subscribed(&peer).await;
    expect_nothing_sent(&mut connection).await;
    consumer.handle().resume();
    connection.expect_command("RDY 10").await;
}

#[tokio::test]
async fn max_in_flight_changes_at_once() {
    let mut pair = Pair::new(|builder| builder).await;
    let handle = pair.consumer.as_ref().unwrap().handle().clone();
    for (most, ready) in [(4, "RDY 2"), (0, "RDY 0"), (60, "RDY 30"), (10, "RDY 5")] {
        handle.set_max_in_flight(most);
        until_command(&mut pair.first, ready).await;
        until_command(&mut pair.second, ready).await;
        assert_eq!(handle.max_in_flight(), most);
    }
}

#[tokio::test]
async fn a_full_connection_is_starved() {
    let peer = ScriptedPeer::bind().await;
    let mut consumer = plain_consumer(&[&peer]).max_in_flight(2).build().unwrap();
    let handle = consumer.handle().clone();
    let mut connection = ready(&peer, 2).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    let message = within(consumer.recv()).await.unwrap();
    assert!(!handle.is_starved());
    connection.send_message(TWO, 1, 1, b"body").await;
    eventually(DEADLINE, "two messages", async || (handle.total_in_flight() == 2).then_some(())).await;
    assert!(handle.is_starved());
    assert_eq!(handle.total_ready(), 2);
    message.finish().unwrap();
    connection.expect_command(&format!("FIN {}", text(ONE))).await;
}

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

#[tokio::test]
async fn whatever_ends_a_connection_the_consumer_comes_back() {
    for fault in [Fault::Fatal, Fault::Garbage, Fault::Closed, Fault::Reset, Fault::HalfFrame, Fault::Silent] {
        let peer = ScriptedPeer::bind().await;
        let config = ConnectionConfig::new().heartbeat_interval(Duration::from_secs(1));
        let mut consumer =
            plain_consumer(&[&peer]).connection(config).low_latency(false).max_in_flight(3).build().unwrap();
        let mut closes = consumer.handle().signals().on_close.subscribe(8);
        let mut errors = consumer.handle().signals().on_error.subscribe(8);
        let mut connection = ready(&peer, 3).await;
        connection.send_message(ONE, 1, 1, b"body").await;
        let orphan = within(consumer.recv()).await.unwrap();
        let _kept_open = fault.strike(connection).await;

        let cause = event(&mut closes).await.cause;
        match fault {
            Fault::Fatal => {
                assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::Invalid);
                assert!(matches!(&cause, Error::Connection { source: ConnectionError::Server(_), .. }), "{cause}");
            }
            Fault::Garbage => {
                assert!(matches!(&cause, Error::Connection { source: ConnectionError::Frame(_), .. }), "{cause}");
            }
            Fault::Silent => {
                assert!(matches!(&cause, Error::Connection { source: ConnectionError::Silent(_), .. }), "{cause}");
            }
            Fault::Closed | Fault::Reset | Fault::HalfFrame => assert!(matches!(&cause, Error::Io { .. }), "{cause}"),
        }
        assert!(orphan.finish().is_err());

        let mut connection = ready(&peer, 3).await;
        connection.send_message(TWO, 1, 1, b"body").await;
        within(consumer.recv()).await.unwrap().finish().unwrap();
        connection.expect_command(&format!("FIN {}", text(TWO))).await;
    }
}

#[tokio::test]
async fn a_consumer_that_is_refused_tries_again() {
    let peer = ScriptedPeer::bind().await;
    let config = ConnectionConfig::new().answer_timeout(Duration::from_secs(2)).write_timeout(SHORT);
    let consumer = plain_consumer(&[&peer]).connection(config).low_latency(false).max_in_flight(3).build().unwrap();
    let mut errors = consumer.handle().signals().on_error.subscribe(8);

    let mut connection = peer.accept().await;
    connection.expect_magic().await;
    connection.expect_identify().await;
    connection.send_error("E_BAD_BODY IDENTIFY is refused").await;
    assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::BadBody);

    let mut connection = peer.accept().await;
    connection.expect_magic().await;
    connection.expect_identify().await;
    connection.send_response("no json").await;

    let mut connection = peer.accept().await;
    connection.handshake_with(&reply_with([("auth_required", json!(true))])).await;
    connection.expect_closed().await;

    let mut connection = peer.accept().await;
    connection.handshake().await;
    connection.expect_command("SUB t c").await;
    connection.send_error("E_SUB_FAILED SUB failed").await;
    assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::SubFailed);

    // No answer at all, to IDENTIFY and then to SUB.
    let _silent = peer.accept().await;
    let mut connection = peer.accept().await;
    connection.handshake().await;
    connection.expect_command("SUB t c").await;

    ready(&peer, 3).await;
}

#[tokio::test]
async fn each_refusal_is_told_once() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).build().unwrap();
    let mut errors = consumer.handle().signals().on_error.subscribe(8);
    for number in 0..3 {
        let mut connection = peer.accept().await;
        connection.expect_magic().await;
        connection.expect_identify().await;
        connection.send_error(&format!("E_BAD_BODY {number}")).await;
        assert_eq!(event(&mut errors).await.error.text(), number.to_string());
    }
}

#[tokio::test]
async fn a_server_without_negotiation_will_do() {
    let peer = ScriptedPeer::bind().await;
    let mut consumer = plain_consumer(&[&peer]).max_in_flight(10).build().unwrap();
    let mut connection = peer.accept().await;
    connection.expect_magic().await;
    connection.expect_identify().await;
    connection.send_response("OK").await;
    connection.expect_subscribe("t", "c").await;
    connection.expect_command("RDY 10").await;
    connection.send_message(ONE, 1, 1, b"body").await;
    within(consumer.recv()).await.unwrap().finish().unwrap();
    connection.expect_command(&format!("FIN {}", text(ONE))).await;
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

/// What can end a connection.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Fatal,
    Garbage,
    Closed,
    Reset,
    HalfFrame,
    Silent,
}

impl Fault {
    async fn strike(self, mut connection: PeerConnection) -> Option<PeerConnection> {
        match self {
            Self::Fatal => connection.send_error("E_INVALID why").await,
            Self::Garbage => connection.send_raw(b"HTTP/1.1 200 OK\r\n\r\n").await,
            Self::HalfFrame => {
                connection.send_raw(b"\0\0\0\x06\0").await;
                connection.close().await;
                return None;
            }
            Self::Closed => {
                connection.close().await;
                return None;
            }
            Self::Reset => {
                connection.reset();
                return None;
            }
            Self::Silent => {}
        }
        Some(connection)
    }
}

/// Waits as long whatever has happened.
#[derive(Debug)]
struct Constant(Duration);

impl BackoffStrategy for Constant {
    fn wait(&self, _level: u32, _rng: &mut fastrand::Rng) -> Duration {
        self.0
    }
}

#[derive(Debug)]
struct Panics;

impl BackoffStrategy for Panics {
    fn wait(&self, _level: u32, _rng: &mut fastrand::Rng) -> Duration {
        panic!("not a good strategy")
    }
}

/// A consumer with two connections, each of which has RDY 5.
struct Pair {
    consumer: Option<Consumer>,
    first: PeerConnection,
    second: PeerConnection,
}

impl Pair {
    async fn new(configure: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder) -> Self {
        let peers = [ScriptedPeer::bind().await, ScriptedPeer::bind().await];
        let consumer =
            configure(plain_consumer(&[&peers[0], &peers[1]]).max_in_flight(10)).build().expect("the options are good");
        let (mut first, mut second) = tokio::join!(subscribed(&peers[0]), subscribed(&peers[1]));
        tokio::join!(until_command(&mut first, "RDY 5"), until_command(&mut second, "RDY 5"));
        Self { consumer: Some(consumer), first, second }
    }
}

/// Which of the two got this command; the other has got nothing so far.
async fn either(first: &mut PeerConnection, second: &mut PeerConnection, command: &str) -> usize {
    tokio::select! {
        line = first.expect_line() => { assert_eq!(line, command); 0 }
        line = second.expect_line() => { assert_eq!(line, command); 1 }
    }
}

/// nsqd with an endless backlog: sends as many messages as RDY allows.
struct Nsqd {
    connection: PeerConnection,
    ready: u32,
    in_flight: u32,
    sent: usize,
}

impl Nsqd {
    fn new(connection: PeerConnection) -> Self {
        Self { connection, ready: 0, in_flight: 0, sent: 0 }
    }

    /// Cancel safe up to a message that is sent in part, which is too short for that.
    async fn step(&mut self) {
        let line = self.connection.expect_line().await;
        self.take(&line);
        let mut bytes = Vec::new();
        while self.in_flight < self.ready {
            self.in_flight += 1;
            self.sent += 1;
            bytes.extend(frame(2, &[&[0; 9], &[1][..], &id(self.sent), b"body"].concat()));
        }
        if !bytes.is_empty() {
            self.connection.send_raw(&bytes).await;
        }
    }

    async fn read_what_is_there(&mut self) {
        while let Ok(line) = tokio::time::timeout(Duration::from_millis(1), self.connection.expect_line()).await {
            self.take(&line);
        }
    }

    fn take(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("RDY", ready)) => self.ready = ready.parse().expect("RDY has a number"),
            Some(("FIN", _)) => self.in_flight -= 1,
            _ => panic!("{line} came"),
        }
    }
}

fn frame(kind: u8, data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len() + 4).expect("it is short");
    [&size.to_be_bytes()[..], &[0, 0, 0, kind], data].concat()
}

#[tokio::test]
async fn a_connection_that_follows_a_closed_one_and_hears_nothing_is_renewed_once() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(5).build().unwrap();
    let handle = consumer.handle().clone();
    let run = tokio::spawn(consumer.run(|_| async { Ok::<_, std::io::Error>(()) }));
    ready(&peer, 5).await.close().await;
    // It may have subscribed to a channel of a topic that was being deleted.
    let mut second = ready(&peer, 5).await;
    second.expect_command("CLS").await;
    second.send_response("CLOSE_WAIT").await;
    serve_end(second).await;
    let third = ready(&peer, 5).await;
    let shutdown = tokio::spawn(async move { handle.shutdown().await });
    common::serve_shutdown(third).await;
    within(shutdown).await.unwrap();
    within(run).await.unwrap();
}
