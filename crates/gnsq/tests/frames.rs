//! The client that leaves everything to its user, against a scripted peer.

#[path = "common/mod.rs"]
mod common;

use std::time::Duration;

use bytes::Bytes;
use gnsq::{ConnectionConfig, Error, ErrorCode, Frame, FrameClient, Incoming, Io, MessageId};
use gnsq_testkit::{PeerConnection, ScriptedPeer, identify_reply};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use common::{ONE, TWO, text, within};

struct Talk {
    client: FrameClient,
    incoming: UnboundedReceiver<Incoming>,
    peer: PeerConnection,
}

impl Talk {
    async fn connect(config: ConnectionConfig) -> Self {
        let peer = ScriptedPeer::bind().await;
        let (sender, incoming) = unbounded_channel();
        let receiver = move |event| drop(sender.send(event));
        let client = within(FrameClient::connect_with(peer.address(), config, &Io::Current, receiver))
            .await
            .expect("the peer listens");
        let mut peer = peer.accept().await;
        peer.expect_magic().await;
        Self { client, incoming, peer }
    }

    fn send(&self, command: &'static str, is_answered: bool) {
        assert!(
            self.client.send(Bytes::from_static(command.as_bytes()), is_answered).expect("it is connected").is_none()
        );
    }

    async fn next(&mut self) -> Incoming {
        within(self.incoming.recv()).await.expect("the client is there")
    }

    async fn expect_response(&mut self, expected: &str) {
        let incoming = self.next().await;
        assert!(matches!(&incoming, Incoming::Frame(Frame::Response(data)) if data == expected), "{incoming:?}");
    }
}

#[tokio::test]
async fn commands_go_out_as_they_stand_and_frames_come_in_their_order() {
    let mut client = Talk::connect(ConnectionConfig::new()).await;
    client.send("RDY 9\n", false);
    client.peer.expect_command("RDY 9").await;
    client.send("SUB t c\n", true);
    client.peer.expect_command("SUB t c").await;
    client.peer.send_message(ONE, 1, 1, b"before its OK").await;
    client.peer.send_response("OK").await;
    client.peer.heartbeat().await;
    client.peer.expect_command("NOP").await;
    client.peer.send_error("E_TOUCH_FAILED TOUCH failed").await;
    let incoming = client.next().await;
    assert!(matches!(&incoming, Incoming::Frame(Frame::Message(frame)) if frame.id.0 == *ONE), "{incoming:?}");
    client.expect_response("OK").await;
    client.expect_response("_heartbeat_").await;
    let incoming = client.next().await;
    assert!(matches!(&incoming, Incoming::Frame(Frame::Error(error)) if !error.is_fatal()), "{incoming:?}");
    assert!(client.client.is_connected());
}

#[tokio::test]
async fn identify_and_auth_are_told_what_becomes_of_them() {
    let mut client = Talk::connect(ConnectionConfig::new()).await;
    let identified = client.client.identify();
    client.client.send(Bytes::from_static(b"NOP\n"), false).err().expect("IDENTIFY is under way");
    client.peer.expect_identify().await;
    client.peer.send_response(identify_reply().to_string()).await;
    assert_eq!(within(identified).await.unwrap(), identify_reply().to_string());

    let authorized = client.client.auth("secret".into());
    client.peer.expect_command("AUTH").await;
    assert_eq!(client.peer.expect_body().await, b"secret");
    client.peer.send_error("E_UNAUTHORIZED AUTH no").await;
    let error = within(authorized).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { source, .. } if *source.code() == ErrorCode::Unauthorized), "{error}");
    // The refusal was given to who asked; what remains is the end.
    assert!(matches!(client.next().await, Incoming::End(Error::Connection { .. })));
}

#[tokio::test]
async fn a_fatal_error_is_given_before_the_end() {
    let mut client = Talk::connect(ConnectionConfig::new()).await;
    client.peer.send_error("E_INVALID why").await;
    assert!(matches!(client.next().await, Incoming::Frame(Frame::Error(error)) if error.is_fatal()));
    assert!(matches!(client.next().await, Incoming::End(Error::Connection { .. })));
    assert!(!client.client.is_connected());
    assert!(client.client.send(Bytes::from_static(b"NOP\n"), false).is_err());
}

#[tokio::test]
async fn closing_sends_what_is_to_be_sent_and_waits_for_no_answer() {
    let mut client = Talk::connect(ConnectionConfig::new()).await;
    client.send("CLS\n", true);
    client.client.close();
    client.peer.expect_command("CLS").await;
    client.peer.expect_closed().await;
    assert!(matches!(within(client.client.closed()).await, Error::Closed));
}

#[tokio::test]
async fn what_nobody_has_seen_goes_back_and_what_comes_late_too() {
    let mut client = Talk::connect(ConnectionConfig::new()).await;
    client.peer.send_message(ONE, 1, 1, b"unseen").await;
    assert!(matches!(client.next().await, Incoming::Frame(Frame::Message(_))));
    client.client.give_back(vec![MessageId(*ONE)]);
    client.client.close();
    client.peer.expect_command("RDY 0").await;
    client.peer.send_message(TWO, 1, 1, b"late").await;
    client.peer.expect_command(&format!("REQ {} 0", text(ONE))).await;
    client.peer.expect_command(&format!("REQ {} 0", text(TWO))).await;
    client.peer.expect_closed().await;
    assert!(matches!(within(client.incoming.recv()).await, Some(Incoming::End(Error::Closed))));
}

#[tokio::test]
async fn who_sends_faster_than_the_peer_reads_is_told_when_it_has_left() {
    let mut client = Talk::connect(ConnectionConfig::new()).await;
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    let mut total = 0;
    let left = loop {
        let sent = client.client.send(piece.clone(), false).unwrap();
        total += piece.len();
        // What the sockets between take is gone at once.
        if let Some(left) = sent {
            let mut left = Box::pin(left);
            if tokio::time::timeout(Duration::from_millis(500), &mut left).await.is_err() {
                break left;
            }
        }
        assert!(total < 256 * 1024 * 1024, "nothing holds the sender back");
    };
    client.peer.expect_bytes(&vec![b'x'; total]).await;
    within(left).await;
}
