//! How many messages a limit in bytes allows.

use gnsq_testkit::ScriptedPeer;

use super::common::{expect_nothing_sent, id, plain_consumer, ready};
use super::next;

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn rdy_follows_the_size_of_messages_and_the_room_there_is() {
    let peer = ScriptedPeer::bind().await;
    let mut consumer = plain_consumer(&[&peer]).max_in_flight(5).max_in_flight_bytes(2 * MIB as u64).build().unwrap();
    // As if each had 1 MiB.
    let mut peer = ready(&peer, 2).await;
    // They are smaller.
    let mut ready = 2;
    let mut number = 0;
    while ready < 5 {
        peer.send_message(&id(number), 1, 1, b"small").await;
        next(&mut consumer).await.finish().unwrap();
        loop {
            match peer.expect_line().await.split_once(' ').unwrap() {
                ("RDY", count) => ready = count.parse().unwrap(),
                (command, _) => {
                    assert_eq!(command, "FIN");
                    break;
                }
            }
        }
        number += 1;
        assert!(number < 1000, "RDY stays at {ready}");
    }
    assert_eq!(consumer.handle().max_in_flight(), 5);

    // Used up: nothing more, until there is room.
    peer.send_message(&id(1001), 1, 1, &vec![0; MIB]).await;
    peer.send_message(&id(1002), 1, 1, &vec![0; MIB]).await;
    while peer.expect_line().await != "RDY 0" {}
    expect_nothing_sent(&mut peer).await;
    let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
    assert_eq!(consumer.handle().stats().bytes, 2 * MIB as u64);
    first.finish().unwrap();
    // The size of the large ones is not forgotten.
    let mut lines = [peer.expect_line().await, peer.expect_line().await];
    lines.sort();
    assert!(lines[0].starts_with("FIN") && lines[1].starts_with("RDY"), "{lines:?}");
    assert!(lines[1][4..].parse::<u32>().unwrap() > 0);
    drop(second);
    assert_eq!(consumer.handle().stats().bytes, 0);
}
