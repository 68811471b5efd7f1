//! Clients that are dropped, and processes that end.

use std::process::{Command, Stdio};
use std::time::Duration;

use gnsq::blocking::{Consumer, Producer};
use gnsq::{Address, ConnectionConfig, Message};
use gnsq_testkit::DEADLINE;

use super::server::{Server, TOPIC, spawn, text, within};

#[test]
fn a_producer_that_is_dropped_ends_what_is_in_the_background() {
    for server in Server::both() {
        let consumer = server.consumer().build_blocking().unwrap();
        let producer = server.producer();
        for number in 0..500 {
            drop(producer.publish_background(TOPIC, number.to_string()));
        }
        drop(producer);
        within(move || {
            for message in consumer.iter().take(500) {
                message.finish().unwrap();
            }
        });
    }
}

#[test]
fn flush_and_close_wait_for_what_is_in_the_background() {
    let server = Server::real();
    let producer = server.producer();
    let closing = producer.clone();
    within(move || {
        producer.ready().unwrap();
        for number in 0..500 {
            drop(producer.publish_background(TOPIC, number.to_string()));
        }
        producer.flush().unwrap();
        assert_eq!(producer.stats().published, 500);
        let pending: Vec<_> = (0..500).map(|number| producer.publish_background(TOPIC, number.to_string())).collect();
        assert!(closing.close().unwrap().undelivered.is_empty());
        for pending in pending {
            pending.wait().unwrap();
        }
    });
}

#[test]
fn a_consumer_that_is_dropped_gives_its_messages_back() {
    for server in Server::both() {
        let consumer = server.consumer().build_blocking().unwrap();
        server.producer().multipublish(TOPIC, ["1", "2", "3"]).unwrap();
        let message = within(move || (consumer.recv().unwrap(), consumer));
        let handle = message.1.handle().clone();
        drop(message);
        within(move || handle.finished().unwrap());
        server.wait_for("the messages to be back", |channel| {
            (channel.depth, channel.in_flight_count, channel.client_count) == (3, 0, 0)
        });
    }
}

/// The other process of the test below; by itself, nothing.
#[test]
fn child() {
    let Ok(address) = std::env::var(CHILD) else { return };
    let address: Address = address.parse().unwrap();
    let producer = Producer::builder().nsqd(address.clone()).build_blocking().unwrap();
    producer.publish(TOPIC, "from the child").unwrap();
    let consumer = Consumer::builder(TOPIC, "child")
        .nsqd(address)
        .connection(ConnectionConfig::new().msg_timeout(Duration::from_secs(1)))
        .concurrency(2)
        .build_blocking()
        .unwrap();
    let (begun, begins) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        consumer.run(move |_: Message| {
            begun.send(()).unwrap();
            std::thread::sleep(Duration::MAX);
            Ok::<_, std::io::Error>(())
        })
    });
    begins.recv_timeout(DEADLINE).unwrap();
    drop(producer.publish_background(TOPIC, "perhaps"));
}

#[test]
fn a_process_ends_whatever_its_clients_do() {
    let server = Server::real();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ends::child"])
        .env(CHILD, server.address().to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    let waited = spawn(move || child.wait().unwrap());
    let status = waited.join();
    assert!(status.success(), "process {pid}: {status}");
    // The message that its handler had comes back when its time is over, and perhaps another with it.
    let consumer = Consumer::builder(TOPIC, "child").nsqd(server.address()).build_blocking().unwrap();
    let came = within(move || consumer.iter().map(|message| text(&message)).find(|body| body == "from the child"));
    assert!(came.is_some());
}

const CHILD: &str = "GNSQ_TEST_CHILD_OF";
