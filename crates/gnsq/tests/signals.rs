//! What the signals tell, to whom, and what their receivers may do.

mod common;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    ONE, THREE, TWO, client, event, expect_nothing_sent, identified, plain_consumer, producer, publishing, ready,
    serve_shutdown, subscribed_client, text, until_command, within,
};
use futures_util::StreamExt;
use gnsq::{ConnectionConfig, ConsumerHandle, Error, ErrorCode, HandlerError, Message, Signals};
use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually, identify_reply};

#[tokio::test]
async fn a_consumer_tells_what_happens_in_order() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer])
        .max_in_flight(5)
        .max_attempts(2)
        .requeue_delay(Duration::from_secs(1))
        .build()
        .unwrap();
    let handle = consumer.handle().clone();
    let log = Log::of(handle.signals());
    let run = tokio::spawn(consumer.run(|message: Message| async move {
        if message.id().0 == *TWO { Err::<(), HandlerError>("broken".into()) } else { Ok(()) }
    }));
    let mut connection = ready(&peer, 5).await;
    for (id, attempts) in [(ONE, 1), (TWO, 2), (THREE, 3)] {
        connection.send_message(id, 7, attempts, b"body").await;
        connection.expect_line().await;
    }
    connection.send_error("E_FIN_FAILED FIN 0000000000000003 failed ID not in flight").await;
    expect_nothing_sent(&mut connection).await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(connection));
    within(run).await.unwrap();
    let address = peer.address();
    assert_eq!(
        log.lines(),
        [
            "response {}".to_owned(),
            "response OK".to_owned(),
            "message 0000000000000001 7 1 body".to_owned(),
            "finish 0000000000000001".to_owned(),
            "message 0000000000000002 7 2 body".to_owned(),
            "exception 0000000000000002 broken".to_owned(),
            "requeue 0000000000000002 2s true".to_owned(),
            "message 0000000000000003 7 3 body".to_owned(),
            "giving up 0000000000000003".to_owned(),
            "finish 0000000000000003".to_owned(),
            "error E_FIN_FAILED 0000000000000003".to_owned(),
            "response CLOSE_WAIT".to_owned(),
            format!("close {address} the client is closed"),
        ]
    );
}

#[tokio::test]
async fn a_client_tells_what_happens_in_order() {
    let (client, mut peer) = subscribed_client(ConnectionConfig::new(), &identify_reply(), 5).await;
    let log = Log::of(client.signals());
    peer.send_message(ONE, 7, 1, b"body").await;
    peer.send_message(TWO, 7, 1, b"body").await;
    peer.send_message(THREE, 7, 1, b"body").await;
    within(client.recv()).await.unwrap().finish().unwrap();
    within(client.recv()).await.unwrap().requeue(Duration::from_secs(1)).unwrap();
    drop(within(client.recv()).await.unwrap());
    for _ in 0..3 {
        peer.expect_line().await;
    }
    let (published, ()) = tokio::join!(within(client.publish("t", "body")), async {
        peer.expect_publish("t").await;
        peer.send_response("OK").await;
    });
    published.unwrap();
    peer.send_error("E_INVALID why").await;
    within(client.closed()).await;
    let log = {
        // The three messages may have come in one read or in several.
        let mut lines = log.lines();
        lines.sort_by_key(|line| !line.starts_with("message"));
        lines
    };
    assert_eq!(log[..3], [ONE, TWO, THREE].map(|id| format!("message {} 7 1 body", text(id))));
    assert_eq!(log[3], "finish 0000000000000001");
    assert_eq!(log[4], "requeue 0000000000000002 1s true");
    assert_eq!(log[5], "requeue 0000000000000003 0ns false");
    assert_eq!(log[6..8], ["response OK", "error E_INVALID -"]);
    assert!(log[8].starts_with("close ") && log[8].ends_with("nsqd ended the connection: E_INVALID: why"), "{log:?}");
    assert_eq!(log.len(), 9);
}

#[tokio::test]
async fn a_producer_tells_of_answers_errors_and_ends() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().unwrap();
    let mut responses = producer.signals().on_response.subscribe(8);
    let mut errors = producer.signals().on_error.subscribe(8);
    let mut closes = producer.signals().on_close.subscribe(8);
    let mut connection = identified(&peer).await;
    assert!(event(&mut responses).await.data.starts_with(b"{"));
    let publish = publishing(&producer, "body");
    connection.expect_publish("t").await;
    connection.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
    let response = event(&mut responses).await;
    assert_eq!((&response.data[..], response.nsqd), (&b"OK"[..], peer.address().into()));
    connection.send_error("E_INVALID why").await;
    assert_eq!(event(&mut errors).await.error.code(), &ErrorCode::Invalid);
    assert!(matches!(event(&mut closes).await.cause, Error::Connection { .. }));
}

#[tokio::test]
async fn signals_that_builders_are_given_tell_of_all_their_clients_from_the_first_answer_on() {
    let (peer, other) = (ScriptedPeer::bind().await, ScriptedPeer::bind().await);
    let signals = Signals::default();
    let log = Log::of(&signals);
    let consumer = plain_consumer(&[&peer]).max_in_flight(5).signals(signals.clone()).build().unwrap();
    let _connection = ready(&peer, 5).await;
    assert_eq!(log.lines(), ["response {}", "response OK"]);
    let producer = producer(&[&other]).signals(signals).build().unwrap();
    let _other = identified(&other).await;
    within(producer.ready()).await.unwrap();
    assert_eq!(log.lines(), ["response {}", "response OK", "response {}"]);
    assert!(consumer.handle().signals().on_response.is_connected());
}

#[tokio::test]
async fn a_receiver_hears_nothing_after_it_is_disconnected() {
    let (client, mut peer) = subscribed_client(ConnectionConfig::new(), &identify_reply(), 5).await;
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let guard = client.signals().on_message.connect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    assert!(client.signals().on_message.is_connected());
    peer.send_message(ONE, 1, 1, b"body").await;
    within(client.recv()).await.unwrap();
    drop(guard);
    assert!(!client.signals().on_message.is_connected());
    peer.send_message(TWO, 1, 1, b"body").await;
    within(client.recv()).await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_stream_of_events_ends_with_its_client_and_counts_what_it_missed() {
    let (client, mut peer) = subscribed_client(ConnectionConfig::new(), &identify_reply(), 5).await;
    let mut events = client.signals().on_message.subscribe(2);
    for number in 0..5 {
        peer.send_message(&common::id(number), 1, 1, b"body").await;
    }
    for _ in 0..5 {
        within(client.recv()).await.unwrap().finish().unwrap();
    }
    assert_eq!(events.missed(), 3);
    drop(client);
    for number in 0..2 {
        assert_eq!(within(events.next()).await.unwrap().id.0, common::id(number));
    }
    serve_shutdown(peer).await;
    assert!(within(events.next()).await.is_none());
}

#[tokio::test]
async fn receivers_that_panic_harm_neither_the_connection_nor_the_other_receivers() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer])
        .max_in_flight(5)
        .max_attempts(2)
        .requeue_delay(Duration::from_secs(1))
        .build()
        .unwrap();
    let handle = consumer.handle().clone();
    panic_at_everything(handle.signals());
    let log = Log::of(handle.signals());
    let run = tokio::spawn(consumer.run(|message: Message| async move {
        if message.id().0 == *TWO { Err::<(), HandlerError>("broken".into()) } else { Ok(()) }
    }));
    let mut connection = ready(&peer, 5).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    connection.expect_command(&format!("FIN {}", text(ONE))).await;
    connection.send_message(TWO, 1, 1, b"body").await;
    connection.expect_command(&format!("REQ {} 1000", text(TWO))).await;
    connection.send_message(THREE, 1, 3, b"body").await;
    connection.expect_command(&format!("FIN {}", text(THREE))).await;
    connection.send_error("E_FIN_FAILED FIN 0000000000000003 failed ID not in flight").await;
    expect_nothing_sent(&mut connection).await;
    connection.reset();
    // It reconnects, as if nothing had been.
    let mut connection = ready(&peer, 5).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    connection.expect_command(&format!("FIN {}", text(ONE))).await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(connection));
    within(run).await.unwrap();
    for what in ["response", "message", "finish", "exception", "requeue", "giving up", "error", "close"] {
        assert!(log.lines().iter().any(|line| line.starts_with(what)), "{what}");
    }
}

#[tokio::test]
async fn a_receiver_that_panics_harms_no_publish() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).batching(false).build().unwrap();
    panic_at_everything(producer.signals());
    let mut connection = identified(&peer).await;
    let (first, second) = (publishing(&producer, "first"), publishing(&producer, "second"));
    connection.expect_publish("t").await;
    connection.expect_publish("t").await;
    connection.send_response("OK").await;
    connection.send_response("OK").await;
    within(first).await.unwrap().unwrap();
    within(second).await.unwrap().unwrap();
    let third = publishing(&producer, "third");
    connection.expect_publish("t").await;
    connection.send_error("E_BAD_TOPIC why").await;
    assert!(matches!(within(third).await.unwrap(), Err(Error::Refused { .. })));
    identified(&peer).await;
}

#[tokio::test]
async fn a_panic_of_a_receiver_while_a_message_is_dropped_in_a_panic_aborts_nothing() {
    let (client, mut peer) = subscribed_client(ConnectionConfig::new(), &identify_reply(), 1).await;
    client.signals().on_requeue.connect(|_| panic!("a receiver")).forget();
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = within(client.recv()).await.unwrap();
    let panic = std::thread::spawn(move || {
        let _dropped_by_the_panic = message;
        panic!("its holder");
    });
    assert!(panic.join().is_err());
    peer.expect_command(&format!("REQ {} 0", text(ONE))).await;
}

#[tokio::test]
async fn receivers_may_use_the_client_that_they_hear_of() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(5).build().unwrap();
    let handle = consumer.handle().clone();
    let calls = Arc::new(AtomicUsize::new(0));
    use_at_everything(&handle, &calls);
    let run = tokio::spawn(consumer.run(|message: Message| async move {
        if message.id().0 == *TWO { Err::<(), HandlerError>("broken".into()) } else { Ok(()) }
    }));
    let mut connection = ready(&peer, 5).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    until_command(&mut connection, &format!("FIN {}", text(ONE))).await;
    connection.send_message(TWO, 1, 1, b"body").await;
    until_command(&mut connection, &format!("REQ {} 90000", text(TWO))).await;
    connection.reset();
    let mut connection = ready(&peer, 5).await;
    connection.send_message(THREE, 1, 6, b"body").await;
    until_command(&mut connection, &format!("FIN {}", text(THREE))).await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(connection));
    within(run).await.unwrap();
    // Three messages, two finishes, a requeue, an exception, one given up, two ends.
    eventually(DEADLINE, "all calls", async || (calls.load(Ordering::Relaxed) >= 10).then_some(())).await;
}

#[tokio::test]
async fn a_receiver_may_shut_the_consumer_down() {
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(5).build().unwrap();
    let handle = consumer.handle().clone();
    let runtime = tokio::runtime::Handle::current();
    let own = handle.clone();
    handle
        .signals()
        .on_finish
        .connect(move |_| {
            let own = own.clone();
            runtime.spawn(async move { own.shutdown().await });
        })
        .forget();
    let run = tokio::spawn(consumer.run(|_| async { Ok::<_, Infallible>(()) }));
    let mut connection = ready(&peer, 5).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    serve_shutdown(connection).await;
    within(run).await.unwrap();
}

#[tokio::test]
async fn the_signals_of_one_client_are_not_those_of_another() {
    let (first, _first_peer) = client().await;
    let (second, second_peer) = client().await;
    let mut closes = first.signals().on_close.subscribe(1);
    second_peer.reset();
    within(second.closed()).await;
    assert!(futures_util::poll!(Box::pin(closes.recv())).is_pending());
}

/// All that the signals tell, as lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn of(signals: &Signals) -> Self {
        let log = Self::default();
        let write = || {
            let lines = log.0.clone();
            move |line: String| lines.lock().expect("nobody panics meanwhile").push(line)
        };
        let line = write();
        signals
            .on_message
            .connect(move |event| {
                let body = String::from_utf8_lossy(&event.body);
                line(format!("message {} {} {} {body}", event.id, event.timestamp, event.attempts));
            })
            .forget();
        let line = write();
        signals
            .on_response
            .connect(move |event| match &event.data[..] {
                json if json.starts_with(b"{") => line("response {}".to_owned()),
                data => line(format!("response {}", data.escape_ascii())),
            })
            .forget();
        let line = write();
        signals
            .on_error
            .connect(move |event| {
                let id = event.error.message_id().map_or("-".to_owned(), |id| id.to_string());
                line(format!("error {} {id}", event.error.code()));
            })
            .forget();
        let line = write();
        signals.on_finish.connect(move |event| line(format!("finish {}", event.id))).forget();
        let line = write();
        signals
            .on_requeue
            .connect(move |event| line(format!("requeue {} {:?} {}", event.id, event.delay, event.backoff)))
            .forget();
        let line = write();
        signals.on_giving_up.connect(move |event| line(format!("giving up {}", event.id))).forget();
        let line = write();
        signals
            .on_exception
            .connect(move |event| line(format!("exception {} {}", event.message.id, event.error)))
            .forget();
        let line = write();
        signals.on_close.connect(move |event| line(format!("close {} {}", event.nsqd, event.cause))).forget();
        log
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics meanwhile").clone()
    }
}

fn panic_at_everything(signals: &Signals) {
    signals.on_message.connect(|_| panic!("on_message")).forget();
    signals.on_response.connect(|_| panic!("on_response")).forget();
    signals.on_error.connect(|_| panic!("on_error")).forget();
    signals.on_finish.connect(|_| panic!("on_finish")).forget();
    signals.on_requeue.connect(|_| panic!("on_requeue")).forget();
    signals.on_giving_up.connect(|_| panic!("on_giving_up")).forget();
    signals.on_exception.connect(|_| panic!("on_exception")).forget();
    signals.on_close.connect(|_| panic!("on_close")).forget();
}

/// Calls all that a handle can do, from each signal.
fn use_at_everything(handle: &ConsumerHandle, calls: &Arc<AtomicUsize>) {
    let using = || {
        let (handle, calls) = (handle.clone(), calls.clone());
        move || {
            let _ = (handle.stats(), handle.is_starved(), handle.total_ready(), format!("{handle:?}"));
            handle.pause();
            handle.resume();
            handle.set_max_in_flight(5);
            // A connection to a signal from within a signal.
            drop(handle.signals().on_finish.connect(|_| {}));
            calls.fetch_add(1, Ordering::Relaxed);
        }
    };
    let signals = handle.signals();
    let call = using();
    signals.on_message.connect(move |_| call()).forget();
    let call = using();
    signals.on_finish.connect(move |_| call()).forget();
    let call = using();
    signals.on_requeue.connect(move |_| call()).forget();
    let call = using();
    signals.on_giving_up.connect(move |_| call()).forget();
    let call = using();
    signals.on_exception.connect(move |_| call()).forget();
    let call = using();
    signals.on_close.connect(move |_| call()).forget();
}
