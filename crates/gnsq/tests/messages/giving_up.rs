//! Messages that were attempted too often.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::common::{ONE, TWO, event, serve_shutdown, text, within};
use super::{Run, receiving};

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
