//! A producer against peers that answer, refuse, vanish and keep silent at a word.

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod batching;
mod cancel;
mod connecting;
mod connections;
mod ends;
mod health;
mod lone;
mod policies;
mod room;
mod routing;

use std::time::Duration;

use common::{identified, producer, publishing, within};
use gnsq::Producer;
use gnsq_testkit::{DEADLINE, PeerConnection, ScriptedPeer, eventually};
use tokio::task::JoinHandle;

const SHORT: Duration = Duration::from_millis(200);

async fn connected() -> (Producer, PeerConnection) {
    let (producer, connection, _) = connected_with_listener().await;
    (producer, connection)
}

async fn connected_with_listener() -> (Producer, PeerConnection, ScriptedPeer) {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().expect("the options are good");
    let connection = identified(&peer).await;
    within(producer.ready()).await.expect("it goes well");
    (producer, connection, peer)
}

/// The message of the next PUB, as text.
async fn body(connection: &mut PeerConnection) -> String {
    String::from_utf8(connection.expect_publish("t").await).expect("it goes well")
}

/// A producer with two connections.
struct Pair {
    producer: Producer,
    peers: [ScriptedPeer; 2],
    first: PeerConnection,
    second: PeerConnection,
}

impl Pair {
    async fn new(configure: impl FnOnce(gnsq::ProducerBuilder) -> gnsq::ProducerBuilder) -> Self {
        let peers = [ScriptedPeer::bind().await, ScriptedPeer::bind().await];
        let producer = configure(producer(&[&peers[0], &peers[1]])).build().expect("the options are good");
        let (first, second) = tokio::join!(identified(&peers[0]), identified(&peers[1]));
        eventually(DEADLINE, "two connections", async || (producer.connections() == 2).then_some(())).await;
        Self { producer, peers, first, second }
    }

    /// Publishes "0", "1" and so on, up to the first peer's having read them.
    async fn publish_to_first(&mut self, count: usize) -> Vec<JoinHandle<gnsq::Result<()>>> {
        let mut tasks = Vec::new();
        for number in 0..count {
            tasks.push(publishing(&self.producer, number.to_string()));
            assert_eq!(body(&mut self.first).await, number.to_string());
        }
        tasks
    }

    async fn confirm_on_first(&mut self, number: u32) {
        let publish = publishing(&self.producer, number.to_string());
        assert_eq!(body(&mut self.first).await, number.to_string());
        self.first.send_response("OK").await;
        within(publish).await.expect("it goes well").expect("it goes well");
    }
}
