//! A consumer against peers that tell exactly what it sends, and when.

#[path = "../common/mod.rs"]
mod common;

mod backoff;
mod connections;
mod ends;
mod flow;
mod handlers;
mod lone;
mod shutdown;

use std::time::Duration;

use common::{plain_consumer, subscribed, until_command};
use gnsq::{Consumer, ConsumerBuilder};
use gnsq_testkit::{PeerConnection, ScriptedPeer};

const SHORT: Duration = Duration::from_millis(200);

/// A consumer with two connections, each of which has RDY 5.
struct Pair {
    consumer: Option<Consumer>,
    first: PeerConnection,
    second: PeerConnection,
}

impl Pair {
    async fn new(configure: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder) -> Self {
        let peers = [ScriptedPeer::bind().await, ScriptedPeer::bind().await];
        let consumer =
            configure(plain_consumer(&[&peers[0], &peers[1]]).max_in_flight(10)).build().expect("the options are good");
        let (mut first, mut second) = tokio::join!(subscribed(&peers[0]), subscribed(&peers[1]));
        tokio::join!(until_command(&mut first, "RDY 5"), until_command(&mut second, "RDY 5"));
        Self { consumer: Some(consumer), first, second }
    }
}

fn frame(kind: u8, data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len() + 4).expect("it is short");
    [&size.to_be_bytes()[..], &[0, 0, 0, kind], data].concat()
}
