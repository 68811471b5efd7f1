//! Dialogues with a scripted peer.

use gnsq_testkit::{PeerConnection, ScriptedPeer, identify_reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_dialogue_follows_its_script() {
    let (mut client, mut peer) = connected().await;
    client.write_all(b"  V2IDENTIFY\n\0\0\0\x0f{\"snappy\":true}SUB events archive\nRDY 2\nFIN x\nrest").await.unwrap();
    assert_eq!(peer.handshake().await["snappy"], true);
    peer.expect_subscribe("events", "archive").await;
    peer.expect_command("RDY 2").await;
    assert_eq!(peer.expect_line().await, "FIN x");
    peer.expect_bytes(b"rest").await;

    let reply = identify_reply().to_string();
    assert_eq!(read_frame(&mut client).await, (0, reply.into_bytes()));
    assert_eq!(read_frame(&mut client).await, (0, b"OK".to_vec()));
}

#[tokio::test]
async fn bytes_may_come_one_by_one() {
    let (mut client, mut peer) = connected().await;
    let said = b"  V2IDENTIFY\n\0\0\0\x02{}PUB events\n\0\0\0\x05hello";
    let client = tokio::spawn(async move {
        for byte in said {
            client.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        client
    });
    peer.handshake().await;
    assert_eq!(peer.expect_publish("events").await, b"hello");
    drop(client.await.unwrap());
    peer.expect_closed().await;
}

#[tokio::test]
async fn frames_are_as_nsqd_sends_them() {
    let (mut client, mut peer) = connected().await;
    peer.heartbeat().await;
    peer.send_error("E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight").await;
    peer.send_message(b"0123456789abcdef", 0x0102, 3, b"body").await;
    peer.send_frame(7, b"").await;
    peer.send_raw(b"raw").await;

    assert_eq!(read_frame(&mut client).await, (0, b"_heartbeat_".to_vec()));
    let error = b"E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight";
    assert_eq!(read_frame(&mut client).await, (1, error.to_vec()));
    assert_eq!(read_frame(&mut client).await, (2, b"\0\0\0\0\0\0\x01\x02\0\x030123456789abcdefbody".to_vec()));
    assert_eq!(read_frame(&mut client).await, (7, Vec::new()));
    let mut raw = [0; 3];
    client.read_exact(&mut raw).await.unwrap();
    assert_eq!(&raw, b"raw");
}

#[tokio::test]
async fn a_closed_connection_ends_in_order() {
    let (mut client, mut peer) = connected().await;
    client.write_all(b"unexpected").await.unwrap();
    peer.send_response("CLOSE_WAIT").await;
    peer.close().await;
    assert_eq!(read_frame(&mut client).await, (0, b"CLOSE_WAIT".to_vec()));
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_reset_connection_fails() {
    let (mut client, peer) = connected().await;
    peer.reset();
    assert_eq!(client.read(&mut [0]).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn it_takes_one_connection_after_the_other() {
    let peer = ScriptedPeer::bind().await;
    for _ in 0..2 {
        let mut client = TcpStream::connect(peer.address()).await.unwrap();
        client.write_all(b"NOP\n").await.unwrap();
        peer.accept().await.expect_command("NOP").await;
    }
}

#[tokio::test]
#[should_panic(expected = "wants the line \"RDY 1\", but: the line \"RDY 2\" came")]
async fn another_command_fails_the_test() {
    let (mut client, mut peer) = connected().await;
    client.write_all(b"RDY 2\n").await.unwrap();
    peer.expect_command("RDY 1").await;
}

#[tokio::test]
#[should_panic(expected = "not yet expected: \"  V1\"")]
async fn other_bytes_fail_the_test_and_are_shown() {
    let (mut client, mut peer) = connected().await;
    client.write_all(b"  V1").await.unwrap();
    peer.expect_magic().await;
}

#[tokio::test]
#[should_panic(expected = "wants a line, but: the client closed the connection\nnot yet expected: \"RD\"")]
async fn the_end_within_a_line_fails_the_test() {
    let (mut client, mut peer) = connected().await;
    client.write_all(b"RD").await.unwrap();
    drop(client);
    peer.expect_line().await;
}

#[tokio::test]
#[should_panic(expected = "before:\n  the line \"NOP\"")]
async fn a_failure_shows_what_went_before() {
    let (mut client, mut peer) = connected().await;
    client.write_all(b"NOP\nCLS\n").await.unwrap();
    peer.expect_command("NOP").await;
    peer.expect_closed().await;
}

#[tokio::test]
#[should_panic(expected = "one of 4294967295 bytes was announced")]
async fn an_absurd_length_fails_the_test() {
    let (mut client, mut peer) = connected().await;
    client.write_all(b"\xff\xff\xff\xff").await.unwrap();
    peer.expect_body().await;
}

async fn connected() -> (TcpStream, PeerConnection) {
    let peer = ScriptedPeer::bind().await;
    let client = TcpStream::connect(peer.address()).await.expect("the peer listens");
    (client, peer.accept().await)
}

async fn read_frame(client: &mut TcpStream) -> (i32, Vec<u8>) {
    let size = client.read_i32().await.expect("a frame has a size");
    let kind = client.read_i32().await.expect("a frame has a type");
    let mut data = vec![0; usize::try_from(size - 4).expect("a size is at least 4")];
    client.read_exact(&mut data).await.expect("a frame is complete");
    (kind, data)
}

#[tokio::test]
async fn lines_are_read_up_to_the_end() {
    let (mut client, mut peer) = connected().await;
    client.write_all(b"RDY 0\nCLS\n").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(peer.next_line().await.as_deref(), Some("RDY 0"));
    assert_eq!(peer.next_line().await.as_deref(), Some("CLS"));
    assert_eq!(peer.next_line().await, None);
}
