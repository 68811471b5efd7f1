//! The FIN of all that is in flight leaves on the thread that finishes it; else the connection's task gathers.
//!
//! Here that task runs only when the test lets it.

use gnsq::{Consumer, Io, Message};
use gnsq_testkit::{PeerConnection, ScriptedPeer};
use tokio::runtime::{Builder, Runtime};

use super::SHORT;
use super::common::{
    ONE, TWO, expect_nothing_sent, plain_consumer, ready, running, serve_shutdown, still, text, until, within,
};

/// A consumer that has received messages. Its runtime, `io`, stands still.
struct Received {
    io: Runtime,
    others: Runtime,
    consumer: Consumer,
    messages: Vec<Message>,
    peer: ScriptedPeer,
    connection: PeerConnection,
}

impl Received {
    fn new(ids: &[&[u8; 16]]) -> Self {
        let others = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("it can be made");
        let (io, peer) = (still(), others.block_on(ScriptedPeer::bind()));
        let builder = plain_consumer(&[&peer]).max_in_flight(5).io(Io::Runtime(io.handle().clone()));
        let mut consumer = builder.build().expect("the options are good");
        let (io, (messages, connection)) = running(io, || {
            others.block_on(async {
                let mut connection = ready(&peer, 5).await;
                let mut messages = Vec::new();
                for id in ids {
                    connection.send_message(id, 0, 1, b"body").await;
                    messages.push(within(consumer.recv()).await.expect("it is there"));
                }
                (messages, connection)
            })
        });
        Self { io, others, consumer, messages, peer, connection }
    }
}

async fn expect_finish(connection: &mut PeerConnection, id: &[u8; 16]) {
    connection.expect_command(&format!("FIN {}", text(id))).await;
}

#[test]
fn it_leaves_at_once_and_once() {
    let Received { io, others, consumer, mut messages, mut connection, .. } = Received::new(&[ONE]);
    messages.remove(0).finish().expect("it is in flight");
    others.block_on(expect_finish(&mut connection, ONE));
    assert_eq!(consumer.handle().total_in_flight(), 0);
    let (_io, report) = running(io, || {
        others.block_on(async {
            expect_nothing_sent(&mut connection).await;
            connection.send_message(TWO, 0, 1, b"body").await;
            // Nobody takes it.
            until(|| consumer.handle().stats().queued == 1).await;
            let shutdown = async { tokio::join!(consumer.handle().shutdown(), serve_shutdown(connection)) };
            within(shutdown).await.0
        })
    });
    assert_eq!((report.requeued_unstarted, report.requeued_unfinished), (1, 0), "{report:?}");
}

#[test]
fn all_together_leave_at_once() {
    let Received { io: _io, others, consumer: _consumer, messages, mut connection, .. } = Received::new(&[ONE, TWO]);
    assert_eq!(Message::finish_all(messages), 0, "all are in flight");
    for id in [ONE, TWO] {
        others.block_on(expect_finish(&mut connection, id));
    }
}

#[test]
fn where_more_is_in_flight_the_task_gathers() {
    let Received { io, others, consumer, messages, mut connection, .. } = Received::new(&[ONE, TWO]);
    for message in messages {
        message.finish().expect("it is in flight");
        let nothing = others.block_on(async { tokio::time::timeout(SHORT, connection.expect_line()).await });
        assert!(nothing.is_err(), "it waits for the task: {nothing:?}");
    }
    let (_io, ()) = running(io, || {
        others.block_on(async {
            for id in [ONE, TWO] {
                expect_finish(&mut connection, id).await;
            }
            expect_nothing_sent(&mut connection).await;
        });
    });
    assert_eq!(consumer.handle().total_in_flight(), 0);
}

#[test]
fn where_the_connection_is_gone_the_task_makes_another() {
    let Received { io, others, consumer, mut messages, peer, connection } = Received::new(&[ONE]);
    connection.reset();
    messages.remove(0).finish().expect("nobody knows yet");
    let (_io, _connection) = running(io, || others.block_on(ready(&peer, 5)));
    assert_eq!(consumer.handle().total_in_flight(), 0);
}
