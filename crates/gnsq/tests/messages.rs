//! What becomes of a message: on the wire, and for who holds it.

mod common;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{
    ONE, TWO, event, expect_nothing_sent, id, plain_consumer, ready, reply_with, serve_shutdown, subscribed,
    subscribed_with, text, within,
};
use gnsq::{Consumer, ConsumerBuilder, ConsumerHandle, Error, HandlerError, Message, Requeue};
use gnsq_testkit::{DEADLINE, PeerConnection, ScriptedPeer};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

#[tokio::test]
async fn each_answer_has_its_command() {
    let (mut consumer, mut peer) = receiving(5, |builder| builder).await;
    for number in 1..=4 {
        peer.send_message(&id(number), 1_700_000_000_000_000_000, 3, b"body").await;
    }

    let message = next(&mut consumer).await;
    assert_eq!((message.body().as_ref(), message.attempts(), message.id().0), (&b"body"[..], 3, id(1)));
    assert_eq!(message.timestamp(), 1_700_000_000_000_000_000);
    assert_eq!(message.published_at().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 1_700_000_000);
    message.touch().unwrap();
    peer.expect_command(&format!("TOUCH {}", text(&id(1)))).await;
    message.finish().unwrap();
    peer.expect_command(&format!("FIN {}", text(&id(1)))).await;

    next(&mut consumer).await.requeue(Duration::from_micros(1_234_567)).unwrap();
    peer.expect_command(&format!("REQ {} 1234", text(&id(2)))).await;

    next(&mut consumer).await.requeue_without_backoff(Duration::ZERO).unwrap();
    peer.expect_command(&format!("REQ {} 0", text(&id(3)))).await;

    drop(next(&mut consumer).await);
    peer.expect_command(&format!("REQ {} 0", text(&id(4)))).await;
    expect_nothing_sent(&mut peer).await;

    let stats = consumer.handle().stats();
    assert_eq!((stats.received, stats.finished, stats.requeued, stats.in_flight, stats.queued), (4, 1, 3, 0, 0));
}

#[tokio::test]
async fn no_delay_is_too_long_for_nsqd_to_count() {
    let (mut consumer, mut peer) = receiving(1, |builder| builder).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    next(&mut consumer).await.requeue(Duration::MAX).unwrap();
    let line = peer.expect_line().await;
    let millis: i64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(millis > 1_000_000_000 && millis.checked_mul(1_000_000).is_some(), "{line}");
}

#[tokio::test]
async fn a_handlers_ok_finishes() {
    let mut run = Run::with(|_| async { Ok::<_, Infallible>(()) }).await;
    run.deliver(1).await;
    run.expect(&format!("FIN {}", text(ONE))).await;
    run.end().await;
}

#[tokio::test]
async fn a_handlers_error_requeues_after_a_delay_that_grows_with_the_attempts_up_to_a_limit() {
    let mut run = Run::build(
        |builder| {
            builder.requeue_delay(Duration::from_secs(2)).max_requeue_delay(Duration::from_secs(5)).max_attempts(0)
        },
        |_| async { Err::<(), _>(io::Error::other("broken")) },
    )
    .await;
    let mut exceptions = run.handle.signals().on_exception.subscribe(8);
    for (attempts, delay) in [(1, 2000), (2, 4000), (3, 5000), (u16::MAX, 5000)] {
        run.deliver(attempts).await;
        run.expect(&format!("REQ {} {delay}", text(ONE))).await;
        let exception = event(&mut exceptions).await;
        assert_eq!((exception.message.attempts, exception.error.to_string()), (attempts, "broken".to_owned()));
    }
    run.end().await;
}

#[tokio::test]
async fn a_handler_may_choose_the_delay() {
    let mut run =
        Run::with(|_| async { Err::<(), HandlerError>(Requeue::after(Duration::from_millis(77)).into()) }).await;
    let mut requeues = run.handle.signals().on_requeue.subscribe(8);
    let mut exceptions = run.handle.signals().on_exception.subscribe(8);
    run.deliver(1).await;
    run.expect(&format!("REQ {} 77", text(ONE))).await;
    let requeue = event(&mut requeues).await;
    assert_eq!((requeue.id.0, requeue.delay, requeue.backoff), (*ONE, Duration::from_millis(77), true));
    run.end().await;
    assert!(within(exceptions.recv()).await.is_none(), "to ask for a requeue is no exception");
}

#[tokio::test]
async fn a_handler_may_requeue_without_backoff() {
    let mut run = Run::build(
        |builder| builder.requeue_delay(Duration::from_secs(3)),
        |_| async { Err::<(), _>(Requeue::new().without_backoff()) },
    )
    .await;
    let mut requeues = run.handle.signals().on_requeue.subscribe(8);
    run.deliver(1).await;
    run.expect(&format!("REQ {} 3000", text(ONE))).await;
    assert!(!event(&mut requeues).await.backoff);
    run.end().await;
}

#[tokio::test]
async fn a_panic_in_the_handlers_future_requeues() {
    let mut run = Run::with(|message: Message| async move {
        assert!(message.body().is_empty(), "not what was expected");
        Ok::<_, Infallible>(())
    })
    .await;
    let mut exceptions = run.handle.signals().on_exception.subscribe(8);
    for attempts in 1..3 {
        run.deliver(attempts).await;
        run.expect(&format!("REQ {} {}", text(ONE), 90_000 * u32::from(attempts))).await;
        assert_eq!(event(&mut exceptions).await.error.to_string(), "the handler panicked: not what was expected");
    }
    run.end().await;
}

#[tokio::test]
async fn a_panic_before_the_handlers_future_requeues() {
    let mut run = Run::with(|message: Message| {
        assert!(message.body().is_empty(), "at once: {}", message.attempts());
        async { Ok::<_, Infallible>(()) }
    })
    .await;
    let mut exceptions = run.handle.signals().on_exception.subscribe(8);
    run.deliver(1).await;
    run.expect(&format!("REQ {} 90000", text(ONE))).await;
    assert_eq!(event(&mut exceptions).await.error.to_string(), "the handler panicked: at once: 1");
    run.end().await;
}

#[tokio::test]
async fn a_handler_that_answers_itself_has_the_last_word() {
    let mut run = Run::with(|message: Message| async move {
        match message.attempts() {
            2 => message.requeue(Duration::from_millis(5))?,
            _ => message.finish()?,
        }
        Err::<(), HandlerError>("its result counts no more".into())
    })
    .await;
    run.deliver(1).await;
    run.expect(&format!("FIN {}", text(ONE))).await;
    run.deliver(2).await;
    run.expect(&format!("REQ {} 5", text(ONE))).await;
    run.deliver(3).await;
    run.expect(&format!("FIN {}", text(ONE))).await;
    run.end().await;
}

#[tokio::test]
async fn a_detached_message_is_answered_by_who_has_it() {
    let (keep, mut kept) = mpsc::unbounded_channel();
    let mut run = Run::with(move |message: Message| {
        message.detach();
        keep.send(message).unwrap();
        async { Ok::<_, Infallible>(()) }
    })
    .await;
    run.deliver(1).await;
    let message = within(kept.recv()).await.unwrap();
    // The handler is done with it: it has the next one already.
    run.peer.send_message(TWO, 1, 1, b"body").await;
    let next = within(kept.recv()).await.unwrap();
    expect_nothing_sent(&mut run.peer).await;
    std::thread::spawn(|| message.finish().unwrap()).join().unwrap();
    run.expect(&format!("FIN {}", text(ONE))).await;
    drop(next);
    run.expect(&format!("REQ {} 0", text(TWO))).await;
    run.end().await;
}

#[tokio::test]
async fn a_message_that_expired_in_the_queue_is_not_handed_out() {
    let (mut consumer, mut peer) = short_lived(5).await;
    peer.send_message(ONE, 1, 1, b"old").await;
    let handle = consumer.handle().clone();
    until(|| handle.stats().expired == 1).await;
    peer.send_message(TWO, 1, 1, b"new").await;
    assert_eq!(next(&mut consumer).await.id().0, *TWO);
    // The dropped one went back, the expired one needs no answer.
    peer.expect_command(&format!("REQ {} 0", text(TWO))).await;
    expect_nothing_sent(&mut peer).await;
}

#[tokio::test]
async fn messages_that_expire_while_nobody_takes_them_leave_no_trace() {
    let (mut consumer, mut peer) = short_lived(10).await;
    let handle = consumer.handle().clone();
    for round in 1..=2 {
        for number in 0..10 {
            peer.send_message(&id(number), 1, round, b"body").await;
        }
        until(|| handle.stats().expired == 10 * u64::from(round)).await;
        assert_eq!(handle.stats().queued, 10);
    }
    peer.send_message(&id(77), 1, 1, b"body").await;
    until(|| handle.stats().queued == 1).await;
    next(&mut consumer).await.finish().unwrap();
    peer.expect_command(&format!("FIN {}", text(&id(77)))).await;
}

#[tokio::test]
async fn an_answer_that_is_too_late_is_not_sent() {
    let (mut consumer, mut peer) = short_lived(5).await;
    for number in 1..=4 {
        peer.send_message(&id(number), 1, 1, b"body").await;
    }
    let mut messages = Vec::new();
    for _ in 0..4 {
        messages.push(next(&mut consumer).await);
    }
    until(|| messages.iter().all(Message::is_expired)).await;
    let [finished, requeued, touched, dropped] = <[Message; 4]>::try_from(messages).unwrap();
    assert!(
        matches!(finished.finish(), Err(error @ Error::Expired { id }) if id.0 == common::id(1) && error.is_timeout())
    );
    assert!(matches!(requeued.requeue(Duration::ZERO), Err(Error::Expired { .. })));
    assert!(matches!(touched.touch(), Err(Error::Expired { .. })));
    drop(touched);
    drop(dropped);
    expect_nothing_sent(&mut peer).await;
    until(|| consumer.handle().stats().expired == 4).await;
    let stats = consumer.handle().stats();
    assert_eq!((stats.finished, stats.requeued, stats.in_flight), (0, 0, 0));
}

#[tokio::test]
async fn a_touch_extends_the_deadline_up_to_the_cap() {
    let reply = reply_with([("msg_timeout", json!(60_000)), ("max_msg_timeout", json!(90_000))]);
    let (mut consumer, mut peer) = receiving_with(1, &reply, |builder| builder).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = next(&mut consumer).await;
    let first = message.deadline();
    message.touch().unwrap();
    peer.expect_command(&format!("TOUCH {}", text(ONE))).await;
    let second = message.deadline();
    assert!(second > first && second < first + Duration::from_secs(30));
    message.finish().unwrap();

    // At the cap a touch gains nothing.
    let reply = reply_with([("msg_timeout", json!(60_000)), ("max_msg_timeout", json!(60_000))]);
    let (mut consumer, mut peer) = receiving_with(1, &reply, |builder| builder).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = next(&mut consumer).await;
    let first = message.deadline();
    message.touch().unwrap();
    assert_eq!(message.deadline(), first);
}

#[tokio::test]
async fn a_touched_message_outlives_its_first_deadline() {
    let (mut consumer, mut peer) = short_lived(1).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = next(&mut consumer).await;
    let first = message.deadline();
    while std::time::Instant::now() < first {
        message.touch().unwrap();
        peer.expect_command(&format!("TOUCH {}", text(ONE))).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!message.is_expired());
    message.finish().unwrap();
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    assert_eq!(consumer.handle().stats().expired, 0);
}

#[tokio::test]
async fn a_server_that_names_no_message_timeout_is_taken_to_have_the_usual_one() {
    let reply = reply_with([("msg_timeout", json!(0)), ("max_msg_timeout", json!(0))]);
    let (mut consumer, mut peer) = receiving_with(1, &reply, |builder| builder).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = next(&mut consumer).await;
    message.touch().unwrap();
    assert!(!message.is_expired());
    message.finish().unwrap();
    peer.expect_command(&format!("TOUCH {}", text(ONE))).await;
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
}

#[tokio::test]
async fn after_too_many_attempts_the_give_up_handler_comes_before_the_finish() {
    let (told, mut calls) = mpsc::unbounded_channel();
    let told_too = told.clone();
    let mut run = Run::build(
        |builder| {
            builder.max_attempts(2).give_up_handler(move |message| {
                told.send(format!("give-up handler {}", message.attempts)).unwrap();
                async { Ok::<_, Infallible>(()) }
            })
        },
        |_| async { panic!("it is not asked again") as Result<(), Infallible> },
    )
    .await;
    run.handle.signals().on_giving_up.connect(move |_| told_too.send("on_giving_up".to_owned()).unwrap()).forget();
    run.deliver(3).await;
    run.expect(&format!("FIN {}", text(ONE))).await;
    assert_eq!(within(calls.recv()).await.unwrap(), "on_giving_up");
    assert_eq!(within(calls.recv()).await.unwrap(), "give-up handler 3");
    assert_eq!(run.handle.stats().given_up, 1);
    run.end().await;
}

#[tokio::test]
async fn the_last_attempt_is_an_attempt() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let mut run = Run::build(
        |builder| builder.max_attempts(2),
        move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, Infallible>(()) }
        },
    )
    .await;
    for attempts in [1, 2, 3] {
        run.deliver(attempts).await;
        run.expect(&format!("FIN {}", text(ONE))).await;
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    assert_eq!(run.handle.stats().given_up, 1);
    run.end().await;
}

#[tokio::test]
async fn a_message_is_requeued_when_giving_it_up_fails() {
    let mut run = Run::build(
        |builder| {
            builder.max_attempts(1).requeue_delay(Duration::from_secs(1)).give_up_handler(|message| async move {
                assert!(message.attempts < 3, "it panics");
                Err(io::Error::other("it fails"))
            })
        },
        |_| async { Ok::<_, Infallible>(()) },
    )
    .await;
    run.deliver(2).await;
    run.expect(&format!("REQ {} 2000", text(ONE))).await;
    run.deliver(3).await;
    run.expect(&format!("REQ {} 3000", text(ONE))).await;
    run.deliver(1).await;
    run.expect(&format!("FIN {}", text(ONE))).await;
    assert_eq!(run.handle.stats().given_up, 0);
    run.end().await;
}

#[tokio::test]
async fn without_a_limit_no_message_is_given_up() {
    let mut run = Run::build(|builder| builder.max_attempts(0), |_| async { Ok::<_, Infallible>(()) }).await;
    run.deliver(u16::MAX).await;
    run.expect(&format!("FIN {}", text(ONE))).await;
    assert_eq!(run.handle.stats().given_up, 0);
    run.end().await;
}

#[tokio::test]
async fn giving_up_goes_on_when_run_follows_recv() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let (mut consumer, mut peer) = receiving(2, |builder| {
        builder.max_attempts(1).give_up_handler(move |_| {
            let mut gone = gone.clone();
            async move { gone.wait_for(|gone| *gone).await.map(drop) }
        })
    })
    .await;
    let mut began = consumer.handle().signals().on_giving_up.subscribe(1);
    peer.send_message(ONE, 1, 2, b"body").await;
    tokio::select! {
        _ = event(&mut began) => {}
        _ = consumer.recv() => unreachable!("it is being given up"),
    }
    let handle = consumer.handle().clone();
    let run = tokio::spawn(consumer.run(|_| async { Ok::<_, Infallible>(()) }));
    peer.send_message(TWO, 1, 1, b"body").await;
    peer.expect_command(&format!("FIN {}", text(TWO))).await;
    go.send(true).unwrap();
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(run).await.unwrap();
}

#[tokio::test]
async fn a_late_verdict_of_a_handler_is_not_sent() {
    let (go, mut gone) = tokio::sync::watch::channel(false);
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(2).build().unwrap();
    let handle = consumer.handle().clone();
    gone.mark_unchanged();
    let run = tokio::spawn(consumer.run(move |message: Message| {
        let mut gone = gone.clone();
        async move {
            if message.id().0 == *ONE {
                gone.changed().await?;
            }
            Ok::<_, HandlerError>(())
        }
    }));
    let reply = reply_with([("msg_timeout", json!(1000))]);
    let mut peer = subscribed_with(&peer, &reply).await;
    peer.expect_command("RDY 2").await;
    peer.send_message(ONE, 1, 1, b"slow").await;
    until(|| handle.stats().expired == 1).await;
    go.send(true).unwrap();
    peer.send_message(TWO, 1, 1, b"quick").await;
    peer.expect_command(&format!("FIN {}", text(TWO))).await;
    assert_eq!(handle.stats().finished, 1);
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(run).await.unwrap();
}

#[tokio::test]
async fn a_message_whose_connection_has_ended_can_only_be_dropped() {
    let (mut consumer, mut peer) = receiving(2, |builder| builder).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    peer.send_message(TWO, 1, 1, b"body").await;
    let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
    let mut closes = consumer.handle().signals().on_close.subscribe(1);
    peer.reset();
    event(&mut closes).await;
    assert!(matches!(first.touch(), Err(Error::Io { .. })));
    assert!(matches!(first.finish(), Err(Error::Io { .. })));
    drop(second);
    assert_eq!(consumer.handle().stats().requeued, 0);
}

#[tokio::test]
async fn messages_wait_for_run_also_after_an_impatient_recv() {
    let peer = ScriptedPeer::bind().await;
    let mut consumer = plain_consumer(&[&peer]).max_in_flight(1).build().unwrap();
    let handle = consumer.handle().clone();
    let mut peer = ready(&peer, 1).await;
    // In another task, whose wake-ups reach no handler.
    let run = tokio::spawn(async move {
        assert!(futures_util::poll!(Box::pin(consumer.recv())).is_pending());
        consumer.run(|_| async { Ok::<_, Infallible>(()) }).await
    });
    tokio::task::yield_now().await;
    for number in 0..3 {
        peer.send_message(&id(number), 1, 1, b"body").await;
        peer.expect_command(&format!("FIN {}", text(&id(number)))).await;
    }
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(run).await.unwrap();
}

/// A consumer that runs a handler, and its peer.
struct Run {
    peer: PeerConnection,
    handle: ConsumerHandle,
    ended: JoinHandle<gnsq::ShutdownReport>,
}

impl Run {
    async fn with<H, F, E>(handler: H) -> Self
    where
        H: Fn(Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        Self::build(|builder| builder, handler).await
    }

    async fn build<H, F, E>(configure: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder, handler: H) -> Self
    where
        H: Fn(Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        let (consumer, peer) = receiving(5, configure).await;
        let handle = consumer.handle().clone();
        Self { peer, handle, ended: tokio::spawn(consumer.run(handler)) }
    }

    async fn deliver(&mut self, attempts: u16) {
        self.peer.send_message(ONE, 1, attempts, b"body").await;
    }

    /// Expects one command and no other.
    async fn expect(&mut self, command: &str) {
        self.peer.expect_command(command).await;
        expect_nothing_sent(&mut self.peer).await;
    }

    async fn end(self) {
        let (_, ()) = tokio::join!(within(self.handle.shutdown()), serve_shutdown(self.peer));
        within(self.ended).await.expect("it goes well");
    }
}

async fn receiving(
    max_in_flight: u32,
    configure: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder,
) -> (Consumer, PeerConnection) {
    let peer = ScriptedPeer::bind().await;
    let consumer =
        configure(plain_consumer(&[&peer]).max_in_flight(max_in_flight)).build().expect("the options are good");
    let mut connection = subscribed(&peer).await;
    connection.expect_command(&format!("RDY {max_in_flight}")).await;
    (consumer, connection)
}

async fn receiving_with(
    max_in_flight: u32,
    reply: &serde_json::Value,
    configure: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder,
) -> (Consumer, PeerConnection) {
    let peer = ScriptedPeer::bind().await;
    let consumer =
        configure(plain_consumer(&[&peer]).max_in_flight(max_in_flight)).build().expect("the options are good");
    let mut connection = subscribed_with(&peer, reply).await;
    connection.expect_command(&format!("RDY {max_in_flight}")).await;
    (consumer, connection)
}

/// A consumer whose messages live for a second.
async fn short_lived(max_in_flight: u32) -> (Consumer, PeerConnection) {
    receiving_with(max_in_flight, &reply_with([("msg_timeout", json!(1000))]), |builder| builder).await
}

async fn next(consumer: &mut Consumer) -> Message {
    within(consumer.recv()).await.expect("the consumer is there")
}

/// For what the clock brings, and no event announces.
async fn until(condition: impl Fn() -> bool) {
    gnsq_testkit::eventually(DEADLINE, "a condition", async || condition().then_some(())).await;
}
