//! nsqd's errors: whom they concern, and what becomes of the others.

use gnsq::{ConnectionError, Error, ErrorCode};
use gnsq_testkit::identify_reply;

use super::common::{ONE, client, event, expect_nothing_sent, subscribed_client, text, within};
use super::config;

#[tokio::test]
async fn a_late_answer_is_told_and_harms_no_publish_that_waits() {
    for (code, kind) in [
        ("E_FIN_FAILED FIN", ErrorCode::FinFailed),
        ("E_REQ_FAILED REQ", ErrorCode::ReqFailed),
        ("E_TOUCH_FAILED TOUCH", ErrorCode::TouchFailed),
    ] {
        let (client, mut peer) = subscribed_client(config(), &identify_reply(), 1).await;
        let mut errors = client.signals().on_error.subscribe(8);
        let (published, ()) = tokio::join!(within(client.publish("t", "body")), async {
            peer.expect_publish("t").await;
            peer.send_error(&format!("{code} {} failed ID not in flight", text(ONE))).await;
            peer.send_response("OK").await;
        });
        published.unwrap();
        let error = event(&mut errors).await.error;
        assert_eq!(error.code(), &kind);
        assert_eq!(error.message_id().unwrap().0, *ONE);
        expect_nothing_sent(&mut peer).await;
        assert!(client.is_connected());
    }
}

#[tokio::test]
async fn a_fatal_error_refuses_the_oldest_and_what_stands_behind_was_not_carried_out() {
    for code in FATAL {
        let (client, mut peer) = client().await;
        let mut errors = client.signals().on_error.subscribe(8);
        let mut closes = client.signals().on_close.subscribe(8);
        let (first, second, third, ()) = tokio::join!(
            within(client.publish("t", "first")),
            within(client.publish("t", "second")),
            within(client.multipublish("t", ["third", "fourth"])),
            async {
                assert_eq!(peer.expect_publish("t").await, b"first");
                assert_eq!(peer.expect_publish("t").await, b"second");
                peer.send_error(&format!("{code} why")).await;
            }
        );
        let Err(Error::Refused { source, .. }) = first else { panic!("{code}: {first:?}") };
        assert_eq!((source.code().as_str(), source.text()), (code, "why"));
        for behind in [second, third] {
            let Err(error @ Error::Lost { sent: false, .. }) = behind else { panic!("{code}: {behind:?}") };
            assert!(!error.outcome_unknown() && error.is_retryable(), "{code}");
        }
        assert_eq!(event(&mut errors).await.error.code().as_str(), code);
        assert!(matches!(
            event(&mut closes).await.cause,
            Error::Connection { source: ConnectionError::Server(error), .. } if error.code().as_str() == code
        ));
        assert!(matches!(within(client.closed()).await, Error::Connection { .. }));
        assert!(within(client.publish("t", "late")).await.is_err());
        assert!(!client.is_connected());
    }
}

#[tokio::test]
async fn an_error_nobody_knows_leaves_the_others_unknown() {
    let (client, mut peer) = client().await;
    let (first, second, ()) =
        tokio::join!(within(client.publish("t", "first")), within(client.publish("t", "second")), async {
            peer.expect_publish("t").await;
            peer.expect_publish("t").await;
            peer.send_error("E_TOMORROW why").await;
        });
    assert!(matches!(first, Err(Error::Refused { source, .. }) if source.code().as_str() == "E_TOMORROW"));
    assert!(second.unwrap_err().outcome_unknown());
}

/// The codes after which nsqd closes the connection.
const FATAL: [&str; 17] = [
    "E_BAD_PROTOCOL",
    "E_INVALID",
    "E_BAD_BODY",
    "E_BAD_TOPIC",
    "E_BAD_CHANNEL",
    "E_BAD_MESSAGE",
    "E_IDENTIFY_FAILED",
    "E_AUTH_DISABLED",
    "E_AUTH_FIRST",
    "E_AUTH_FAILED",
    "E_UNAUTHORIZED",
    "E_AUTH_ERROR",
    "E_SUB_FAILED",
    "E_PUB_FAILED",
    "E_MPUB_FAILED",
    "E_DPUB_FAILED",
    "E_PUT_FAILED",
];
