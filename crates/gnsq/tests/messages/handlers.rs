//! What a handler's result makes of its message.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use gnsq::{HandlerError, Message, Requeue};
use gnsq_testkit::ScriptedPeer;
use tokio::sync::mpsc;

use super::Run;
use super::common::{ONE, TWO, event, expect_nothing_sent, id, plain_consumer, ready, serve_shutdown, text, within};

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
async fn a_requeue_policy_decides_where_the_handler_does_not() {
    let mut run = Run::build(
        |builder| {
            builder
                .max_attempts(2)
                .requeue_delay(Duration::from_secs(7))
                .requeue_policy(|message| {
                    assert!(message.body.starts_with(b"bod"), "it is broken");
                    Duration::from_millis(10 << message.attempts)
                })
                .give_up_handler(|_| async { Err::<(), _>(io::Error::other("not yet")) })
        },
        |message: Message| async move {
            match &message.body()[..] {
                b"body" => Err::<(), HandlerError>("broken".into()),
                b"body that panics" => panic!("broken, too"),
                b"body with a wish" => Err(Requeue::after(Duration::from_millis(5)).into()),
                _ => Err(Requeue::new().into()),
            }
        },
    )
    .await;
    for (attempts, body, delay) in [
        (1, "body", 20),
        (2, "body", 40),
        (3, "body", 80),
        (1, "body that panics", 20),
        (1, "body with a wish", 5),
        (1, "body without", 20),
        // The policy panics.
        (2, "another", 14_000),
    ] {
        run.peer.send_message(ONE, 1, attempts, body.as_bytes()).await;
        run.expect(&format!("REQ {} {delay}", text(ONE))).await;
    }
    run.end().await;
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
