//! IDENTIFY and SUB: answered, refused and left without an answer.

use gnsq::{ConnectionError, Error, ErrorCode, Io, NsqdTcpClient};
use gnsq_testkit::ScriptedPeer;
use serde_json::json;

use super::common::{self, ONE, reply_with, text, within};
use super::{SHORT, config};

#[tokio::test]
async fn identify_and_subscribe_can_be_refused() {
    let peer = ScriptedPeer::bind().await;
    let client = within(NsqdTcpClient::connect(peer.address())).await.unwrap();
    let mut connection = peer.accept().await;
    let (identified, ()) = tokio::join!(within(client.identify()), async {
        connection.expect_magic().await;
        connection.expect_identify().await;
        connection.send_error("E_BAD_BODY IDENTIFY heartbeat interval (1) is invalid").await;
    });
    assert!(matches!(identified, Err(Error::Refused { source, .. }) if *source.code() == ErrorCode::BadBody));

    let (client, mut peer) = common::client().await;
    let (subscribed, ()) = tokio::join!(within(client.subscribe("t", "c")), async {
        peer.expect_command("SUB t c").await;
        peer.send_error("E_SUB_FAILED SUB failed to add to channel").await;
    });
    let error = subscribed.unwrap_err();
    assert!(matches!(&error, Error::Refused { source, .. } if *source.code() == ErrorCode::SubFailed));
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_server_without_negotiation_will_do() {
    let (client, mut peer) = within(async {
        let peer = ScriptedPeer::bind().await;
        let client = NsqdTcpClient::connect(peer.address()).await.unwrap();
        let mut connection = peer.accept().await;
        let (identified, ()) = tokio::join!(client.identify(), async {
            connection.expect_magic().await;
            connection.expect_identify().await;
            connection.send_response("OK").await;
        });
        assert_eq!(identified.unwrap().max_rdy_count, 0);
        (client, connection)
    })
    .await;
    let (subscribed, ()) = tokio::join!(within(client.subscribe("t", "c")), peer.expect_subscribe("t", "c"));
    subscribed.unwrap();
    client.ready(5000).unwrap();
    peer.expect_command("RDY 5000").await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = within(client.recv()).await.unwrap();
    let before = message.deadline();
    message.touch().unwrap();
    assert!(message.deadline() > before && !message.is_expired());
    message.finish().unwrap();
    peer.expect_command(&format!("TOUCH {}", text(ONE))).await;
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
}

#[tokio::test]
async fn an_unreadable_answer_to_identify_is_told_with_its_cause() {
    for answer in ["{", "no json", "7", r#"{"max_rdy_count":-1}"#] {
        let peer = ScriptedPeer::bind().await;
        let client = within(NsqdTcpClient::connect(peer.address())).await.unwrap();
        let mut connection = peer.accept().await;
        let (identified, ()) = tokio::join!(within(client.identify()), async {
            connection.expect_magic().await;
            connection.expect_identify().await;
            connection.send_response(answer).await;
        });
        let Err(Error::Lost { cause, .. }) = identified else { panic!("{answer}: {identified:?}") };
        assert!(
            matches!(*cause, Error::Connection { source: ConnectionError::IdentifyResponse(_), .. }),
            "{answer}: {cause}"
        );
    }
}

#[tokio::test]
async fn no_answer_to_identify_is_a_timeout() {
    let peer = ScriptedPeer::bind().await;
    let connecting = NsqdTcpClient::connect_with(peer.address(), config().answer_timeout(SHORT), &Io::Current);
    let client = within(connecting).await.unwrap();
    let _connection = peer.accept().await;
    let error = within(client.identify()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { after: SHORT, .. }) && error.is_timeout(), "{error}");
}

#[tokio::test]
async fn an_nsqd_that_requires_auth_says_so() {
    let peer = ScriptedPeer::bind().await;
    let client = within(NsqdTcpClient::connect(peer.address())).await.unwrap();
    let mut connection = peer.accept().await;
    let reply = reply_with([("auth_required", json!(true))]);
    let (identified, _) = tokio::join!(within(client.identify()), connection.handshake_with(&reply));
    assert!(identified.unwrap().auth_required);
}
