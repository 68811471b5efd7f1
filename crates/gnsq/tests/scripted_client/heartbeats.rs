//! Heartbeats come in any place, can be missing, and can be turned off.

use std::time::Duration;

use gnsq::{ConnectionError, Error, Io, NsqdTcpClient};
use gnsq_testkit::{ScriptedPeer, identify_reply};

use super::common::{ONE, TWO, client_with, within};
use super::{SHORT, config};

#[tokio::test]
async fn a_heartbeat_is_answered_in_any_place() {
    let peer = ScriptedPeer::bind().await;
    let client = within(NsqdTcpClient::connect(peer.address())).await.unwrap();
    let mut connection = peer.accept().await;
    let (identified, ()) = tokio::join!(within(client.identify()), async {
        connection.expect_magic().await;
        connection.heartbeat().await;
        connection.expect_line().await;
        let body = connection.expect_body().await;
        assert!(body.starts_with(b"{"));
        connection.heartbeat().await;
        connection.send_response(identify_reply().to_string()).await;
        connection.expect_command("NOP").await;
    });
    identified.unwrap();

    let (subscribed, ()) = tokio::join!(within(client.subscribe("t", "c")), async {
        connection.expect_command("SUB t c").await;
        connection.heartbeat().await;
        connection.expect_command("NOP").await;
        connection.send_response("OK").await;
    });
    subscribed.unwrap();

    let (published, ()) = tokio::join!(within(client.publish("t", "body")), async {
        connection.expect_publish("t").await;
        connection.heartbeat().await;
        connection.send_response("OK").await;
        connection.expect_command("NOP").await;
    });
    published.unwrap();

    client.ready(2).unwrap();
    connection.expect_command("RDY 2").await;
    connection.send_message(ONE, 1, 1, b"unread").await;
    connection.send_message(TWO, 1, 1, b"unread").await;
    for _ in 0..3 {
        connection.heartbeat().await;
        connection.expect_command("NOP").await;
    }
    assert_eq!(within(client.recv()).await.unwrap().id().0, *ONE);
}

#[tokio::test]
async fn a_silent_peer_counts_as_dead() {
    let config = config().heartbeat_interval(Duration::from_secs(1));
    let (client, mut peer) = client_with(config, &identify_reply()).await;
    let (published, _) = tokio::join!(within(client.publish("t", "body")), peer.expect_publish("t"));
    assert!(published.unwrap_err().outcome_unknown());
    let cause = within(client.closed()).await;
    assert!(matches!(&cause, Error::Connection { source: ConnectionError::Silent(_), .. }), "{cause}");
    assert!(cause.is_timeout());
}

#[tokio::test]
async fn without_heartbeats_and_work_a_connection_sleeps() {
    let peer = ScriptedPeer::bind().await;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = config().heartbeat_interval(None).answer_timeout(SHORT);
    let on_io = Io::Runtime(io.handle().clone());
    let client = within(NsqdTcpClient::connect_with(peer.address(), config, &on_io)).await.unwrap();
    let mut connection = peer.accept().await;
    let (identified, identify) = tokio::join!(within(client.identify()), connection.handshake());
    identified.unwrap();
    assert_eq!(identify["heartbeat_interval"], -1);
    // Its last timer, for the answer to IDENTIFY, has passed when a publish without an answer is given up.
    let (published, _) = tokio::join!(within(client.publish("t", "body")), connection.expect_publish("t"));
    assert!(published.unwrap_err().is_timeout());
    let busy_before = io.metrics().worker_total_busy_duration(0);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let busy = io.metrics().worker_total_busy_duration(0).saturating_sub(busy_before);
    assert!(busy < Duration::from_millis(250), "busy for {busy:?} of 500 ms");
    drop(client);
    io.shutdown_background();
}
