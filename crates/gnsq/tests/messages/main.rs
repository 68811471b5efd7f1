//! What becomes of a message: on the wire, and for who holds it.

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod confirmed;
mod expiry;
mod giving_up;
mod handlers;
mod together;
mod touching;
mod weight;

use common::{ONE, expect_nothing_sent, plain_consumer, ready_with, serve_shutdown, within};
use gnsq::{Consumer, ConsumerBuilder, ConsumerHandle, HandlerError, Message};
use gnsq_testkit::{PeerConnection, ScriptedPeer, identify_reply};
use serde_json::Value;
use tokio::task::JoinHandle;

/// A consumer that runs a handler, and its peer.
struct Run {
    peer: PeerConnection,
    handle: ConsumerHandle,
    ended: JoinHandle<gnsq::ShutdownReport>,
}

impl Run {
    async fn with<H, F, E>(handler: H) -> Self
    where
        H: Fn(Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        Self::build(|builder| builder, handler).await
    }

    async fn build<H, F, E>(configure: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder, handler: H) -> Self
    where
        H: Fn(Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        let (consumer, peer) = receiving(5, configure).await;
        let handle = consumer.handle().clone();
        Self { peer, handle, ended: tokio::spawn(consumer.run(handler)) }
    }

    async fn deliver(&mut self, attempts: u16) {
        self.peer.send_message(ONE, 1, attempts, b"body").await;
    }

    /// Expects one command and no other.
    async fn expect(&mut self, command: &str) {
        self.peer.expect_command(command).await;
        expect_nothing_sent(&mut self.peer).await;
    }

    async fn end(self) {
        let (_, ()) = tokio::join!(within(self.handle.shutdown()), serve_shutdown(self.peer));
        within(self.ended).await.expect("it goes well");
    }
}

async fn receiving(
    max_in_flight: u32,
    configure: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder,
) -> (Consumer, PeerConnection) {
    receiving_with(max_in_flight, &identify_reply(), configure).await
}

async fn receiving_with(
    max_in_flight: u32,
    reply: &Value,
    configure: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder,
) -> (Consumer, PeerConnection) {
    let peer = ScriptedPeer::bind().await;
    let consumer =
        configure(plain_consumer(&[&peer]).max_in_flight(max_in_flight)).build().expect("the options are good");
    let connection = ready_with(&peer, reply, max_in_flight).await;
    (consumer, connection)
}

async fn next(consumer: &mut Consumer) -> Message {
    within(consumer.recv()).await.expect("the consumer is there")
}
