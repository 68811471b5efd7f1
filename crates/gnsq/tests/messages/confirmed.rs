//! How it is found out that an answer was carried out.

use std::time::Duration;

use gnsq::{ConnectionConfig, Error, ErrorCode};

use super::common::{ONE, THREE, TWO, event, text, within};
use super::{next, receiving};

const BARRIER: &str = "TOUCH --gnsq-confirm--";
const REFUSED: &str = "E_TOUCH_FAILED TOUCH --gnsq-confirm-- failed ID not in flight";

#[tokio::test]
async fn one_barrier_stands_behind_all_that_was_asked_together() {
    let (mut consumer, mut peer) = receiving(5, |builder| builder.io(gnsq::Io::Current)).await;
    let mut errors = consumer.handle().signals().on_error.subscribe(8);
    for id in [ONE, TWO, THREE] {
        peer.send_message(id, 1, 1, b"body").await;
    }
    let (one, two, three) = (next(&mut consumer).await, next(&mut consumer).await, next(&mut consumer).await);
    // The connection's task runs on this test's thread: it sees all three at once.
    let answers =
        async { tokio::join!(one.finish_confirmed(), two.requeue_confirmed(Duration::ZERO), three.touch_confirmed()) };
    let script = async {
        peer.expect_command(&format!("FIN {}", text(ONE))).await;
        peer.expect_command(&format!("REQ {} 0", text(TWO))).await;
        peer.expect_command(&format!("TOUCH {}", text(THREE))).await;
        peer.expect_command(BARRIER).await;
        peer.send_error("E_REQ_FAILED REQ 0000000000000002 failed ID not in flight").await;
        peer.send_error(REFUSED).await;
    };
    let ((one, two, three), ()) = tokio::join!(within(answers), script);
    one.unwrap();
    assert!(matches!(two, Err(Error::Refused { source, .. }) if *source.code() == ErrorCode::ReqFailed));
    three.unwrap();
    assert_eq!(event(&mut errors).await.error.message_id().unwrap().0, *TWO);
    assert_eq!(consumer.handle().stats().too_late, 1);
}

#[tokio::test]
async fn without_a_confirmation_the_outcome_is_unknown() {
    let (mut consumer, mut peer) = receiving(5, |builder| builder).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = next(&mut consumer).await;
    let script = async {
        peer.expect_command(&format!("FIN {}", text(ONE))).await;
        peer.expect_command(BARRIER).await;
        peer.reset();
    };
    let (result, ()) = tokio::join!(within(message.finish_confirmed()), script);
    assert!(matches!(result, Err(Error::Lost { sent: true, .. })), "{result:?}");

    let config = ConnectionConfig::new().answer_timeout(Duration::from_millis(100));
    let (mut consumer, mut peer) = receiving(5, |builder| builder.connection(config)).await;
    for id in [ONE, TWO] {
        peer.send_message(id, 1, 1, b"body").await;
    }
    let (one, two) = (next(&mut consumer).await, next(&mut consumer).await);
    let result = within(one.finish_confirmed()).await;
    assert!(matches!(result, Err(Error::Timeout { sent: true, .. })), "{result:?}");
    // The late answer is not the next one's.
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    peer.expect_command(BARRIER).await;
    peer.send_error(REFUSED).await;
    let result = within(two.finish_confirmed()).await;
    assert!(matches!(result, Err(Error::Timeout { sent: true, .. })), "{result:?}");
}
