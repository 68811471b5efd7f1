//! How a client leaves an nsqd.

use std::time::Duration;

use gnsq_server::Nsqd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn one_that_has_answered_all_after_cls_and_sends_no_more_is_let_go() {
    let nsqd = Nsqd::start().await.unwrap();
    let mut socket = TcpStream::connect(nsqd.tcp_address()).await.unwrap();
    socket.write_all(b"  V2PUB t\n\0\0\0\x03abcSUB t c\nRDY 1\n").await.unwrap();
    // Two of OK, and the message.
    let mut frames = [0; 10 + 10 + 34 + 3];
    socket.read_exact(&mut frames).await.unwrap();
    let id = &frames[38..54];
    socket.write_all(&[b"CLS\nFIN ", id, b"\n"].concat()).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(DEADLINE, socket.read_to_end(&mut rest)).await.expect("the connection ends").unwrap();
    assert!(rest.ends_with(b"CLOSE_WAIT"), "{}", rest.escape_ascii());
    let stats = nsqd.stats();
    assert_eq!(stats.topic("t").unwrap().channel("c").unwrap().in_flight_count, 0);
}
