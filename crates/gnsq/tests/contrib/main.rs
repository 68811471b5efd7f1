//! What is built on top of the clients, with real, embedded and scripted nsqds.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

#[path = "../common/mod.rs"]
mod common;

mod batch;
mod dead_letters;
mod deliver_at;
mod give_up_file;
mod log;
mod queue;
mod report;
mod trace;

use gnsq::{Address, Consumer, ConsumerBuilder, ConsumerHandle, Message, MessageEvent, Producer};
use gnsq_testkit::{PeerConnection, ScriptedPeer};

use self::common::{plain_consumer, ready};

/// The nsqds that a test runs against, one after the other: our own and the real one.
enum Server {
    Embedded(gnsq_server::Nsqd),
    Real(gnsq_testkit::Nsqd),
}

impl Server {
    async fn embedded() -> Self {
        Self::Embedded(gnsq_server::Nsqd::start().await.unwrap())
    }

    async fn real() -> Self {
        Self::Real(gnsq_testkit::Nsqd::start().await)
    }

    fn address(&self) -> Address {
        match self {
            Self::Embedded(nsqd) => nsqd.tcp_address().parse().unwrap(),
            Self::Real(nsqd) => nsqd.tcp_address().into(),
        }
    }

    fn producer(&self) -> Producer {
        Producer::builder().nsqd(self.address()).build().unwrap()
    }

    /// Publishes these numbers to the topic `t`.
    async fn fill(&self, numbers: std::ops::Range<u64>) {
        let producer = self.producer();
        producer.multipublish("t", numbers.map(|number| number.to_string())).await.unwrap();
        producer.close().await;
    }
}

/// Makes a test against each kind of nsqd.
macro_rules! against_both {
    ($($name:ident)*) => {
        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::Server::embedded().await).await;
            })*
        }

        mod real {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::Server::real().await).await;
            })*
        }
    };
}
use against_both;

/// A consumer and its peer, which has been told RDY.
async fn receiving(
    max_in_flight: u32,
    configure: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder,
) -> (Consumer, ConsumerHandle, PeerConnection) {
    let peer = ScriptedPeer::bind().await;
    let consumer = configure(plain_consumer(&[&peer]).max_in_flight(max_in_flight)).build().unwrap();
    let handle = consumer.handle().clone();
    (consumer, handle, ready(&peer, max_in_flight).await)
}

fn number(message: &Message) -> u64 {
    str::from_utf8(message.body()).unwrap().parse().unwrap()
}

/// A message that has failed too often.
fn event(body: impl Into<bytes::Bytes>) -> MessageEvent {
    MessageEvent {
        nsqd: "127.0.0.1:4150".parse().unwrap(),
        topic: "orders".parse().unwrap(),
        id: gnsq::MessageId(*common::ONE),
        attempts: 6,
        timestamp: 1,
        body: body.into(),
    }
}
