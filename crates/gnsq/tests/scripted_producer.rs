//! A producer against peers that answer, refuse, vanish and keep silent at a word.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::{event, expect_nothing_sent, identified, producer, publishing, reply_with, serve_end, within};
use gnsq::{ConnectionConfig, ConnectionError, Error, ErrorCode, Io, Producer, Routing};
use gnsq_testkit::{DEADLINE, PeerConnection, ScriptedPeer, eventually};
use serde_json::json;
use tokio::task::JoinHandle;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn answers_belong_to_publishes_in_their_order() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().unwrap();
    let mut connection = identified(&peer).await;
    let mut tasks: BTreeMap<String, JoinHandle<gnsq::Result<()>>> =
        (0..20).map(|number| (number.to_string(), publishing(&producer, number.to_string()))).collect();
    let mut order = Vec::new();
    for _ in 0..20 {
        order.push(body(&mut connection).await);
    }
    for _ in 0..5 {
        connection.send_response("OK").await;
    }
    connection.send_error("E_BAD_MESSAGE the sixth").await;
    for confirmed in order.drain(..5) {
        within(tasks.remove(&confirmed).unwrap()).await.unwrap().unwrap();
    }
    let refused = within(tasks.remove(&order.remove(0)).unwrap()).await.unwrap();
    assert!(matches!(refused, Err(Error::Refused { source, .. }) if source.text() == "the sixth"));

    // The others were not carried out, so they come again, each once.
    let mut connection = identified(&peer).await;
    let mut again = BTreeSet::new();
    for _ in 0..order.len() {
        assert!(again.insert(body(&mut connection).await));
        connection.send_response("OK").await;
    }
    assert_eq!(again, order.into_iter().collect());
    expect_nothing_sent(&mut connection).await;
    for task in tasks.into_values() {
        within(task).await.unwrap().unwrap();
    }
    assert_eq!(producer.outstanding(), 0);
}

#[tokio::test]
async fn a_publish_that_nobody_waits_for_takes_its_own_answer() {
    let (producer, mut peer) = connected().await;
    let given_up = publishing(&producer, "given up");
    assert_eq!(body(&mut peer).await, "given up");
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    let waiting = publishing(&producer, "waiting");
    assert_eq!(body(&mut peer).await, "waiting");
    peer.send_response("OK").await;
    expect_nothing_sent(&mut peer).await;
    assert!(!waiting.is_finished());
    assert_eq!(producer.outstanding(), 1);
    peer.send_response("OK").await;
    within(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn each_kind_of_publish_has_its_command() {
    let (producer, mut peer) = connected().await;
    let (first, second, third, ()) = tokio::join!(
        within(producer.publish("t", "one")),
        within(producer.publish_deferred("t", "two", Duration::from_micros(2999))),
        within(producer.multipublish("t", ["three", "four"])),
        async {
            assert_eq!(peer.expect_publish("t").await, b"one");
            peer.expect_command("DPUB t 2").await;
            assert_eq!(peer.expect_body().await, b"two");
            peer.expect_command("MPUB t").await;
            assert_eq!(peer.expect_body().await, b"\0\0\0\x02\0\0\0\x05three\0\0\0\x04four");
            for _ in 0..3 {
                peer.heartbeat().await;
                peer.send_response("OK").await;
                peer.expect_command("NOP").await;
            }
        }
    );
    first.and(second).and(third).unwrap();
}

#[tokio::test]
async fn an_answer_that_is_late_is_not_taken_for_the_next_one() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).publish_timeout(SHORT).build().unwrap();
    let mut connection = identified(&peer).await;
    let error = within(producer.publish("t", "slow")).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { after: SHORT, sent: true }), "{error}");
    assert!(error.outcome_unknown() && error.is_timeout());
    assert_eq!(body(&mut connection).await, "slow");
    // Its answer and the next one's, in one.
    let (published, ()) = tokio::join!(within(producer.publish("t", "quick")), async {
        connection.send_response("OK").await;
        assert_eq!(body(&mut connection).await, "quick");
        connection.send_response("OK").await;
    });
    published.unwrap();
    let error = within(producer.publish("t", "slow again")).await.unwrap_err();
    assert!(error.is_timeout());
}

#[tokio::test]
async fn a_publish_that_found_no_room_in_time_was_not_sent() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).publish_timeout(SHORT).max_outstanding(1).build().unwrap();
    let mut connection = identified(&peer).await;
    within(producer.ready()).await.unwrap();
    let (first, second) = tokio::join!(within(producer.publish("t", "first")), within(producer.publish("t", "second")));
    assert!(matches!(first, Err(Error::Timeout { sent: true, .. })), "{first:?}");
    // The first one's end may have made room just in time, and then it is its turn to be sent or not.
    let error = second.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(body(&mut connection).await, "first");
    if error.outcome_unknown() {
        assert_eq!(body(&mut connection).await, "second");
    }
    expect_nothing_sent(&mut connection).await;
}

#[tokio::test]
async fn what_was_not_carried_out_goes_to_another_nsqd_once() {
    for (code, oldest_goes_on) in [
        ("E_PUB_FAILED", true),
        ("E_MPUB_FAILED", false),
        ("E_DPUB_FAILED", true),
        ("E_PUT_FAILED", true),
        ("E_AUTH_FAILED", true),
        ("E_BAD_TOPIC", false),
        ("E_BAD_MESSAGE", false),
        ("E_BAD_BODY", false),
        ("E_INVALID", false),
        ("E_UNAUTHORIZED", false),
        ("E_AUTH_FIRST", false),
        ("E_AUTH_ERROR", false),
    ] {
        let mut pair = Pair::new(|builder| builder.routing(Routing::FirstHealthy)).await;
        let tasks = pair.publish_to_first(3).await;
        pair.first.send_error(&format!("{code} why")).await;

        let expected = if oldest_goes_on { &["0", "1", "2"][..] } else { &["1", "2"] };
        let mut seen = BTreeSet::new();
        for _ in expected {
            assert!(seen.insert(body(&mut pair.second).await), "{code}");
            pair.second.send_response("OK").await;
        }
        assert_eq!(seen, expected.iter().map(ToString::to_string).collect(), "{code}");
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(within(task).await.unwrap());
        }
        if oldest_goes_on {
            outcomes.remove(0).unwrap();
        } else {
            let error = outcomes.remove(0).unwrap_err();
            assert!(matches!(&error, Error::Refused { source, .. } if source.code().as_str() == code), "{error}");
            assert_eq!(error.outcome_unknown(), code == "E_MPUB_FAILED");
        }
        assert!(outcomes.iter().all(Result::is_ok), "{code}: {outcomes:?}");
        expect_nothing_sent(&mut pair.second).await;
    }
}

#[tokio::test]
async fn what_is_unknown_goes_nowhere_unless_that_was_chosen() {
    for retry in [false, true] {
        let mut pair = Pair::new(|builder| builder.routing(Routing::FirstHealthy).retry_unknown(retry)).await;
        let tasks = pair.publish_to_first(2).await;
        pair.first.close().await;
        if retry {
            let mut seen = BTreeSet::new();
            for _ in 0..2 {
                assert!(seen.insert(body(&mut pair.second).await));
                pair.second.send_response("OK").await;
            }
        }
        for task in tasks {
            match within(task).await.unwrap() {
                Ok(()) => assert!(retry),
                Err(error) => assert!(!retry && error.outcome_unknown(), "{error}"),
            }
        }
        expect_nothing_sent(&mut pair.second).await;
    }
}

#[tokio::test]
async fn an_answer_that_fits_nothing_leaves_the_outcome_unknown() {
    let (producer, mut peer) = connected().await;
    let publish = publishing(&producer, "body");
    body(&mut peer).await;
    peer.send_response("WHAT").await;
    let error = within(publish).await.unwrap().unwrap_err();
    assert!(error.outcome_unknown(), "{error}");
}

#[tokio::test]
async fn an_error_that_is_not_fatal_takes_no_answer_away() {
    let (producer, mut peer) = connected().await;
    let publish = publishing(&producer, "body");
    body(&mut peer).await;
    peer.send_error("E_TOUCH_FAILED TOUCH 0000000000000001 failed ID not in flight").await;
    expect_nothing_sent(&mut peer).await;
    assert!(!publish.is_finished());
    peer.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
}

#[tokio::test]
async fn no_more_than_max_outstanding_are_on_their_way() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).max_outstanding(2).build().unwrap();
    let mut connection = identified(&peer).await;
    let tasks: Vec<_> = (0..5).map(|number| publishing(&producer, number.to_string())).collect();
    for on_the_way in [2, 1, 1, 1] {
        for _ in 0..on_the_way {
            body(&mut connection).await;
        }
        expect_nothing_sent(&mut connection).await;
        assert_eq!(producer.outstanding(), 2);
        connection.send_response("OK").await;
    }
    connection.send_response("OK").await;
    for task in tasks {
        within(task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn no_more_than_max_outstanding_bytes_are_on_their_way() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).max_outstanding_bytes(100).build().unwrap();
    let mut connection = identified(&peer).await;
    // The third is larger than all the room there is.
    let tasks = [60, 60, 500, 1].map(|size| {
        let producer = producer.clone();
        async move { producer.publish("t", vec![b'x'; size]).await }
    });
    let (outcomes, ()) = tokio::join!(within(futures_util::future::join_all(tasks)), async {
        for size in [60, 60, 500] {
            assert_eq!(connection.expect_publish("t").await.len(), size);
            expect_nothing_sent(&mut connection).await;
            connection.send_response("OK").await;
        }
        assert_eq!(connection.expect_publish("t").await.len(), 1);
        connection.send_response("OK").await;
    });
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(producer.outstanding(), 0);
}

#[tokio::test]
async fn who_gives_up_waiting_for_room_leaves_no_trace() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).max_outstanding(2).max_outstanding_bytes(10).build().unwrap();
    let mut connection = identified(&peer).await;
    let first = publishing(&producer, "1234567890");
    body(&mut connection).await;
    let given_up = publishing(&producer, "never sent");
    eventually(DEADLINE, "the second to wait", async || (producer.outstanding() == 2).then_some(())).await;
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    assert_eq!(producer.outstanding(), 1);
    connection.send_response("OK").await;
    within(first).await.unwrap().unwrap();
    let next = publishing(&producer, "next");
    assert_eq!(body(&mut connection).await, "next");
    connection.send_response("OK").await;
    within(next).await.unwrap().unwrap();
}

#[tokio::test]
async fn without_a_connection_the_last_failure_is_told() {
    let address = {
        let peer = ScriptedPeer::bind().await;
        peer.address()
    };
    let producer = Producer::builder().nsqd(address).publish_timeout(SHORT * 5).build().unwrap();
    for error in [within(producer.publish("t", "body")).await.unwrap_err(), within(producer.ready()).await.unwrap_err()]
    {
        let Error::NoConnections { last: Some(last), .. } = &error else { panic!("{error}") };
        assert!(matches!(**last, Error::Connect { .. }), "{error}");
        assert!(error.is_retryable() && error.is_timeout() && !error.outcome_unknown());
    }
    assert_eq!((producer.connections(), producer.outstanding()), (0, 0));
}

#[tokio::test]
async fn an_nsqd_that_cannot_be_used_is_no_connection() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).publish_timeout(Duration::from_secs(2)).build().unwrap();
    let publish = publishing(&producer, "body");
    let mut connection = peer.accept().await;
    connection.handshake_with(&reply_with([("auth_required", json!(true))])).await;
    connection.expect_closed().await;
    let _silent = peer.accept().await;
    let error = within(publish).await.unwrap().unwrap_err();
    let Error::NoConnections { last: Some(last), .. } = &error else { panic!("{error}") };
    assert!(matches!(**last, Error::AuthRequired { .. }), "{error}");
}

#[tokio::test]
async fn a_server_without_negotiation_will_do() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().unwrap();
    let publish = publishing(&producer, "body");
    let mut connection = peer.accept().await;
    connection.expect_magic().await;
    connection.expect_identify().await;
    connection.send_response("OK").await;
    assert_eq!(body(&mut connection).await, "body");
    connection.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
}

#[tokio::test]
async fn closing_waits_for_answers_and_refuses_what_comes_after() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).max_outstanding(1).build().unwrap();
    let mut connection = identified(&peer).await;
    let outstanding = publishing(&producer, "outstanding");
    body(&mut connection).await;
    let waiting = publishing(&producer, "waiting for room");
    tokio::task::yield_now().await;
    let closing = tokio::spawn({
        let producer = producer.clone();
        async move { producer.close().await }
    });
    assert!(matches!(within(waiting).await.unwrap(), Err(Error::Closed)));
    expect_nothing_sent(&mut connection).await;
    assert!(!closing.is_finished());
    connection.send_response("OK").await;
    within(outstanding).await.unwrap().unwrap();
    assert!(serve_end(connection).await.is_empty());
    within(closing).await.unwrap();
    assert!(matches!(within(producer.publish("t", "late")).await, Err(Error::Closed)));
    assert!(matches!(within(producer.ready()).await, Err(Error::Closed)));
    assert_eq!((producer.connections(), producer.outstanding()), (0, 0));
    within(producer.close()).await;
}

#[tokio::test]
async fn closing_ends_a_wait_for_a_connection() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().unwrap();
    let publish = publishing(&producer, "body");
    let _silent = peer.accept().await;
    assert!(!publish.is_finished());
    within(producer.close()).await;
    assert!(matches!(within(publish).await.unwrap(), Err(Error::Closed)));
}

#[tokio::test]
async fn closing_takes_no_longer_than_a_publish_may() {
    let peer = ScriptedPeer::bind().await;
    let config = ConnectionConfig::new().write_timeout(SHORT);
    let producer = producer(&[&peer]).connection(config).publish_timeout(Duration::from_secs(1)).build().unwrap();
    let mut connection = identified(&peer).await;
    let publish = publishing(&producer, "never answered");
    body(&mut connection).await;
    within(producer.close()).await;
    assert!(within(publish).await.unwrap().unwrap_err().outcome_unknown());
}

#[tokio::test]
async fn the_last_clone_takes_the_connections_with_it() {
    let (producer, peer) = connected().await;
    let clone = producer.clone();
    drop(producer);
    assert_eq!(clone.connections(), 1);
    drop(clone);
    peer.expect_closed().await;
}

#[tokio::test]
async fn round_robin_takes_them_in_turn() {
    let mut pair = Pair::new(|builder| builder).await;
    for _ in 0..3 {
        let mut seen = [0, 0];
        for _ in 0..2 {
            let publish = publishing(&pair.producer, "body");
            tokio::select! {
                _ = pair.first.expect_line() => {
                    seen[0] += 1;
                    pair.first.expect_body().await;
                    pair.first.send_response("OK").await;
                }
                _ = pair.second.expect_line() => {
                    seen[1] += 1;
                    pair.second.expect_body().await;
                    pair.second.send_response("OK").await;
                }
            }
            within(publish).await.unwrap().unwrap();
        }
        assert_eq!(seen, [1, 1]);
    }
}

#[tokio::test]
async fn first_healthy_keeps_to_the_first_as_long_as_it_is_there() {
    let mut pair = Pair::new(|builder| builder.routing(Routing::FirstHealthy)).await;
    for number in 0..3 {
        pair.confirm_on_first(number).await;
    }
    pair.first.reset();
    // Once its end is known, the spare has its turn.
    eventually(DEADLINE, "the end to be known", async || (pair.producer.connections() == 1).then_some(())).await;
    let publish = publishing(&pair.producer, "spare");
    assert_eq!(body(&mut pair.second).await, "spare");
    pair.second.send_response("OK").await;
    within(publish).await.unwrap().unwrap();

    pair.first = identified(&pair.peers[0]).await;
    eventually(DEADLINE, "its return", async || (pair.producer.connections() == 2).then_some(())).await;
    pair.confirm_on_first(9).await;
    expect_nothing_sent(&mut pair.second).await;
}

#[tokio::test]
async fn an_nsqd_that_failed_is_left_out_until_it_answers_again() {
    let mut pair = Pair::new(|builder| builder).await;
    pair.first.reset();
    eventually(DEADLINE, "the end to be known", async || (pair.producer.connections() == 1).then_some(())).await;
    // It takes connections, but doesn't answer.
    let mut first = pair.peers[0].accept().await;
    for number in 0..4 {
        let publish = publishing(&pair.producer, number.to_string());
        assert_eq!(body(&mut pair.second).await, number.to_string());
        pair.second.send_response("OK").await;
        within(publish).await.unwrap().unwrap();
    }
    first.handshake().await;
    eventually(DEADLINE, "its return", async || (pair.producer.connections() == 2).then_some(())).await;
    let tasks = [publishing(&pair.producer, "a"), publishing(&pair.producer, "b")];
    body(&mut first).await;
    body(&mut pair.second).await;
    first.send_response("OK").await;
    pair.second.send_response("OK").await;
    for task in tasks {
        within(task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_publish_waits_for_the_next_connection() {
    let (producer, peer, listener) = connected_with_listener().await;
    peer.reset();
    eventually(DEADLINE, "the end to be known", async || (producer.connections() == 0).then_some(())).await;
    let publish = publishing(&producer, "patient");
    let mut connection = identified(&listener).await;
    assert_eq!(body(&mut connection).await, "patient");
    connection.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_silent_nsqd_is_left_and_connected_to_again() {
    let peer = ScriptedPeer::bind().await;
    let config = ConnectionConfig::new().heartbeat_interval(Duration::from_secs(1));
    let producer = producer(&[&peer]).connection(config).build().unwrap();
    let mut closes = producer.signals().on_close.subscribe(1);
    let _silent = identified(&peer).await;
    assert!(matches!(event(&mut closes).await.cause, Error::Connection { source: ConnectionError::Silent(_), .. }));
    identified(&peer).await;
}

#[tokio::test]
async fn a_publish_ends_though_the_runtime_of_its_io_has() {
    let peer = ScriptedPeer::bind().await;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let builder = producer(&[&peer]).publish_timeout(Duration::from_secs(2)).io(Io::Runtime(io.handle().clone()));
    let producer = builder.build().unwrap();
    let mut connection = identified(&peer).await;
    let publish = publishing(&producer, "body");
    body(&mut connection).await;
    io.shutdown_background();
    assert!(within(publish).await.unwrap().unwrap_err().outcome_unknown());
    assert!(matches!(within(producer.publish("t", "late")).await, Err(Error::NoConnections { .. })));
    within(producer.close()).await;
}

#[tokio::test]
async fn nothing_of_a_producer_is_left_when_its_users_are_gone() {
    let alive = Arc::new(());
    let peer = ScriptedPeer::bind().await;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let producer = producer(&[&peer]).io(Io::Runtime(io.handle().clone())).build().unwrap();
    let witness = alive.clone();
    producer.signals().on_close.connect(move |_| drop(witness.clone())).forget();
    let _connection = identified(&peer).await;
    within(producer.ready()).await.unwrap();
    io.shutdown_background();
    drop(producer);
    eventually(DEADLINE, "the memory to be freed", async || (Arc::strong_count(&alive) == 1).then_some(())).await;
}

#[tokio::test]
async fn a_refusal_is_told_by_its_signal() {
    let (producer, mut peer) = connected().await;
    let mut errors = producer.signals().on_error.subscribe(1);
    let publish = publishing(&producer, "body");
    body(&mut peer).await;
    peer.send_error("E_BAD_TOPIC PUB topic name is not valid").await;
    assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::BadTopic);
    assert!(matches!(within(publish).await.unwrap(), Err(Error::Refused { .. })));
}

async fn connected() -> (Producer, PeerConnection) {
    let (producer, connection, _) = connected_with_listener().await;
    (producer, connection)
}

async fn connected_with_listener() -> (Producer, PeerConnection, ScriptedPeer) {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().expect("the options are good");
    let connection = identified(&peer).await;
    within(producer.ready()).await.expect("it goes well");
    (producer, connection, peer)
}

/// The message of the next PUB, as text.
async fn body(connection: &mut PeerConnection) -> String {
    String::from_utf8(connection.expect_publish("t").await).expect("it goes well")
}

/// A producer with two connections.
struct Pair {
    producer: Producer,
    peers: [ScriptedPeer; 2],
    first: PeerConnection,
    second: PeerConnection,
}

impl Pair {
    async fn new(configure: impl FnOnce(gnsq::ProducerBuilder) -> gnsq::ProducerBuilder) -> Self {
        let peers = [ScriptedPeer::bind().await, ScriptedPeer::bind().await];
        let producer = configure(producer(&[&peers[0], &peers[1]])).build().expect("the options are good");
        let (first, second) = tokio::join!(identified(&peers[0]), identified(&peers[1]));
        eventually(DEADLINE, "two connections", async || (producer.connections() == 2).then_some(())).await;
        Self { producer, peers, first, second }
    }

    /// Publishes "0", "1" and so on, up to the first peer's having read them.
    async fn publish_to_first(&mut self, count: usize) -> Vec<JoinHandle<gnsq::Result<()>>> {
        let mut tasks = Vec::new();
        for number in 0..count {
            tasks.push(publishing(&self.producer, number.to_string()));
            assert_eq!(body(&mut self.first).await, number.to_string());
        }
        tasks
    }

    async fn confirm_on_first(&mut self, number: u32) {
        let publish = publishing(&self.producer, number.to_string());
        assert_eq!(body(&mut self.first).await, number.to_string());
        self.first.send_response("OK").await;
        within(publish).await.expect("it goes well").expect("it goes well");
    }
}
