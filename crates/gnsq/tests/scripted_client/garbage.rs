//! A peer that doesn't keep to the protocol.

use std::io::ErrorKind;

use gnsq::{ConnectionError, Error, FrameError};
use gnsq_testkit::identify_reply;

use super::common::{self, ONE, client, client_with, expect_nothing_sent, id, subscribed_client, text, within};
use super::config;

#[tokio::test]
async fn bytes_that_are_no_frames_end_the_connection_and_leave_the_outcome_unknown() {
    type Check = fn(&FrameError) -> bool;
    let cases: [(&[u8], Check); 5] = [
        (b"\0\0\0\x06\0\0\0\x07OK", |error| *error == FrameError::UnknownType(7)),
        (b"\0\x10\0\0", |error| matches!(error, FrameError::TooLarge { size: 0x0010_0000, limit: 1000 })),
        (b"\0\0\0\0", |error| *error == FrameError::BadSize(0)),
        (b"\0\0\0\x08\0\0\0\x02tiny", |error| *error == FrameError::ShortMessage(4)),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", |error| {
            matches!(error, FrameError::TooLarge { .. })
        }),
    ];
    for (bytes, check) in cases {
        let (client, mut peer) = client_with(config().max_frame_size(1000), &identify_reply()).await;
        let (published, ()) = tokio::join!(within(client.publish("t", "body")), async {
            peer.expect_publish("t").await;
            peer.send_raw(bytes).await;
        });
        let error = published.unwrap_err();
        assert!(error.outcome_unknown(), "{error}");
        let Error::Connection { source: ConnectionError::Frame(cause), .. } = within(client.closed()).await else {
            panic!("{error}")
        };
        assert!(check(&cause), "{cause}");
    }
}

#[tokio::test]
async fn an_answer_that_fits_nothing_ends_the_connection_and_leaves_the_outcome_unknown() {
    let (client, mut peer) = client().await;
    let (first, second, ()) =
        tokio::join!(within(client.publish("t", "first")), within(client.publish("t", "second")), async {
            peer.expect_publish("t").await;
            peer.send_response("WHAT").await;
        });
    for published in [first, second] {
        let error = published.unwrap_err();
        assert!(error.outcome_unknown(), "{error}");
    }
    assert!(matches!(
        within(client.closed()).await,
        Error::Connection { source: ConnectionError::UnexpectedResponse { answer, .. }, .. } if answer == "WHAT"
    ));

    let (client, mut peer) = common::client().await;
    peer.send_response("OK").await;
    assert!(matches!(
        within(client.closed()).await,
        Error::Connection { source: ConnectionError::UnexpectedResponse { .. }, .. }
    ));
}

#[tokio::test]
async fn frames_may_come_byte_by_byte() {
    let (client, mut peer) = client().await;
    let (published, ()) = tokio::join!(within(client.publish("t", "body")), async {
        peer.expect_publish("t").await;
        for byte in b"\0\0\0\x06\0\0\0\0OK" {
            peer.send_raw(&[*byte]).await;
            tokio::task::yield_now().await;
        }
    });
    published.unwrap();
}

#[tokio::test]
async fn more_messages_than_twice_the_rdy_go_back() {
    let (client, mut peer) = subscribed_client(config(), &identify_reply(), 10).await;
    for number in 0..200 {
        peer.send_message(&id(number), 1, 1, b"body").await;
    }
    // 10 twice, and 64 that are no flood yet.
    for number in 84..200 {
        peer.expect_command(&format!("REQ {} 0", text(&id(number)))).await;
    }
    expect_nothing_sent(&mut peer).await;
    assert_eq!(client.in_flight(), 84);
}

#[tokio::test]
async fn a_message_sent_again_and_again_ends_the_connection_before_it_fills_the_memory() {
    let (client, mut peer) = subscribed_client(config(), &identify_reply(), 1).await;
    for _ in 0..60 {
        peer.send_message(ONE, 1, 1, b"body").await;
    }
    // nsqd's clock may be ahead.
    expect_nothing_sent(&mut peer).await;
    for _ in 0..8 {
        peer.send_message(ONE, 1, 1, b"body").await;
    }
    let Error::Io { source, .. } = within(client.closed()).await else { panic!("it has another cause") };
    assert_eq!(source.kind(), ErrorKind::InvalidData);
    assert!(within(client.recv()).await.is_some());
}
