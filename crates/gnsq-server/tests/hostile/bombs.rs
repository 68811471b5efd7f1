//! A few compressed bytes that stand for very many.

use std::io::Write;

use flate2::{Compress, Compression, FlushCompress};

use crate::client::{Client, Frame, command};
use crate::memory::{grew_at_most, resident};
use crate::server::Server;

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_line_in_a_few_bytes_takes_no_memory() {
    let mut server = Server::start_alone(|nsqd| nsqd).await;
    let bomb = deflated(&vec![b'0'; MIB], 500);
    let before = resident();
    for _ in 0..10 {
        let mut stranger = deflating(&server).await;
        stranger.send(&bomb).await;
        while stranger.is_connected() {
            tokio::task::yield_now().await;
        }
    }
    grew_at_most(before, 16 * MIB);
    server.serves_others().await;
}

/// A billion commands, which take minutes: the server, which has this thread only, leaves others their turn meanwhile.
#[tokio::test]
async fn a_billion_commands_in_a_few_bytes_leave_others_their_turn() {
    let mut server = Server::start_alone(|nsqd| nsqd).await;
    let bomb = deflated(&b"NOP\n".repeat(MIB / 4), 4000);
    let mut stranger = deflating(&server).await.into_blocking();
    let before = resident();
    // As much as a socket has room for, so that it is there first.
    stranger.write_all(&bomb[..100_000]).unwrap();
    // Ends when the server does.
    let sending = std::thread::spawn(move || stranger.write_all(&bomb[100_000..]));
    server.serves_others().await;
    assert!(!sending.is_finished(), "the bomb is too small for this test");
    grew_at_most(before, 8 * MIB);
}

/// A body of 5 MiB is the most that is gathered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_refused_at_its_limit() {
    let mut server = Server::start_alone(|nsqd| nsqd).await;
    let head = [b"MPUB t\n", &(5 * 1024 * 1024_i32).to_be_bytes()[..], &1000_i32.to_be_bytes()].concat();
    let message = [&(1024 * 1024_i32).to_be_bytes()[..], &vec![0; MIB]].concat();
    let bomb = [deflated(&head, 1), deflated(&message, 1000)].concat();
    let before = resident();
    for _ in 0..5 {
        let mut stranger = deflating(&server).await;
        stranger.send(&bomb).await;
        while stranger.is_connected() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(server.nsqd.stats().topic("t").map(|topic| topic.message_count), Some(0));
    grew_at_most(before, 24 * MIB);
    server.serves_others().await;
}

#[tokio::test]
async fn what_is_not_compressed_as_agreed_ends_the_connection() {
    let mut server = Server::start(|nsqd| nsqd).await;
    for asked in ["deflate", "snappy"] {
        for garbage in [&b"NOP\n"[..], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x00\x00\x00\x00\x00\x00\x00"] {
            let mut stranger = compressing(&server, asked).await;
            stranger.send(garbage).await;
            stranger.send(vec![0x55; 100_000]).await;
            while stranger.is_connected() {
                tokio::task::yield_now().await;
            }
        }
    }
    server.serves_others().await;
}

async fn deflating(server: &Server) -> Client {
    compressing(server, "deflate").await
}

/// A client whose stream is compressed from here on.
async fn compressing(server: &Server, how: &str) -> Client {
    let mut client = server.connect().await;
    client.send(command("IDENTIFY", format!(r#"{{"feature_negotiation":true,"{how}":true}}"#))).await;
    let Some(Frame::Response(granted)) = client.frame().await else { panic!("IDENTIFY is refused") };
    assert!(granted.contains(&format!(r#""{how}":true"#)), "{granted}");
    client
}

/// `pattern` so many times, compressed on its own each time.
fn deflated(pattern: &[u8], times: usize) -> Vec<u8> {
    let mut block = vec![0; pattern.len() / 100 + 1000];
    let mut compress = Compress::new(Compression::fast(), false);
    compress.compress(pattern, &mut block, FlushCompress::Full).unwrap();
    assert_eq!(usize::try_from(compress.total_in()).unwrap(), pattern.len());
    block.truncate(usize::try_from(compress.total_out()).unwrap());
    block.repeat(times)
}
