//! Who stops after a failure, for how long, and what is no failure.

use std::time::Duration;

use gnsq::{BackoffStrategy, ErrorCode, HandlerError, Message, Requeue};
use gnsq_testkit::{DEADLINE, PeerConnection, eventually};
use tokio::sync::watch;

use super::common::{ONE, THREE, TWO, event, expect_nothing_sent, text, until_command};
use super::{Pair, SHORT};

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

/// Waits as long whatever has happened.
#[derive(Debug)]
struct Constant(Duration);

impl BackoffStrategy for Constant {
    fn wait(&self, _level: u32, _rng: &mut fastrand::Rng) -> Duration {
        self.0
    }
}

/// Which of the two got this command; the other has got nothing so far.
async fn either(first: &mut PeerConnection, second: &mut PeerConnection, command: &str) -> usize {
    tokio::select! {
        line = first.expect_line() => { assert_eq!(line, command); 0 }
        line = second.expect_line() => { assert_eq!(line, command); 1 }
    }
}
