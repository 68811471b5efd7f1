//! What is sent and what is told when a connection ends.

use std::io::ErrorKind;

use gnsq::{Error, Io, NsqdTcpClient};
use gnsq_testkit::{ScriptedPeer, identify_reply};

use super::common::{ONE, TWO, client, expect_nothing_sent, serve_end, subscribed_client, text, within};
use super::{SHORT, config};

#[tokio::test]
async fn a_message_behind_close_wait_is_there_and_goes_back_if_nobody_takes_it() {
    let (client, mut peer) = subscribed_client(config(), &identify_reply(), 1).await;
    let (closing, ()) = tokio::join!(within(client.start_close()), async {
        peer.expect_command("CLS").await;
        peer.send_response("CLOSE_WAIT").await;
        peer.send_message(ONE, 1, 1, b"late").await;
        peer.send_message(TWO, 1, 1, b"later").await;
        expect_nothing_sent(&mut peer).await;
    });
    closing.unwrap();
    within(client.recv()).await.unwrap().finish().unwrap();
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    let ((), lines) = tokio::join!(within(client.close()), serve_end(peer));
    assert_eq!(lines, [format!("REQ {} 0", text(TWO))]);
}

#[tokio::test]
async fn the_end_in_the_middle_of_a_frame_leaves_the_outcome_unknown() {
    for reset in [false, true] {
        let (client, mut peer) = client().await;
        let (published, ()) = tokio::join!(within(client.publish("t", "body")), async {
            peer.expect_publish("t").await;
            peer.send_raw(b"\0\0\0\x06\0\0\0\0O").await;
            if reset {
                peer.reset();
            } else {
                peer.close().await;
            }
        });
        let Err(error @ Error::Lost { sent: true, .. }) = published else { panic!("{published:?}") };
        assert!(error.outcome_unknown() && error.is_retryable());
        let Error::Io { source, .. } = within(client.closed()).await else { panic!("{error}") };
        let expected = if reset { ErrorKind::ConnectionReset } else { ErrorKind::UnexpectedEof };
        assert_eq!(source.kind(), expected);
    }
}

#[tokio::test]
async fn what_waits_is_told_when_the_runtime_of_the_io_ends() {
    let peer = ScriptedPeer::bind().await;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let on_io = Io::Runtime(io.handle().clone());
    let client = within(NsqdTcpClient::connect_with(peer.address(), config(), &on_io)).await.unwrap();
    let mut connection = peer.accept().await;
    let (identified, _) = tokio::join!(within(client.identify()), connection.handshake());
    identified.unwrap();
    let (published, received, ()) = tokio::join!(within(client.publish("t", "body")), within(client.recv()), async {
        connection.expect_publish("t").await;
        io.shutdown_background();
    });
    assert!(published.unwrap_err().outcome_unknown());
    assert!(received.is_none());
    assert!(within(client.publish("t", "body")).await.is_err());
    within(client.close()).await;
}

#[tokio::test]
async fn closing_sends_what_was_asked_for_and_waits_for_nobody_for_ever() {
    let (client, mut peer) = subscribed_client(config().write_timeout(SHORT), &identify_reply(), 2).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    peer.send_message(TWO, 1, 1, b"body").await;
    within(client.recv()).await.unwrap().finish().unwrap();
    // The peer confirms nothing, and never closes its side.
    within(client.close()).await;
    let mut lines = [peer.expect_line().await, peer.expect_line().await, peer.expect_line().await];
    // The end of the wish for messages comes before any of them is given back.
    assert!(lines.iter().position(|line| line == "CLS") < lines.iter().position(|line| line.starts_with("REQ")));
    lines.sort();
    assert_eq!(lines, ["CLS".to_owned(), format!("FIN {}", text(ONE)), format!("REQ {} 0", text(TWO))]);
    assert_eq!(peer.next_line().await, None);
}
