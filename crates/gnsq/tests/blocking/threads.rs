//! Which threads may call, and what becomes of calls on the one that may not.

use std::sync::Mutex;
use std::sync::mpsc;

use gnsq::blocking::{Consumer, Producer, wait};
use gnsq::{Address, Error, Message, NsqdHttpClient, NsqdTcpClient, ShutdownReport};
use gnsq_testkit::DEADLINE;
use tokio::runtime::Builder;

use super::server::{Server, TOPIC, spawn, within};

fn sendable<T: Send + Sync + 'static>() {}

#[test]
fn producer_and_consumer_belong_to_no_thread() {
    sendable::<Producer>();
    sendable::<Consumer>();
    sendable::<gnsq::blocking::ConsumerHandle>();
    sendable::<gnsq::blocking::Pending>();
}

/// Builds, publishes more often than a task may without yielding, consumes, and closes.
fn use_all(address: Address) {
    let producer = Producer::builder().nsqd(address.clone()).build_blocking().unwrap();
    let consumer = Consumer::builder(TOPIC, "c").nsqd(address).build_blocking().unwrap();
    for number in 0..300 {
        producer.publish(TOPIC, number.to_string()).unwrap();
        consumer.recv().unwrap().finish().unwrap();
    }
    let handle = consumer.handle().clone();
    let other = spawn(move || consumer.run(|_: Message| Ok::<_, std::io::Error>(())));
    producer.publish(TOPIC, "last").unwrap();
    handle.shutdown().unwrap();
    producer.close().unwrap();
    other.join().unwrap();
}

#[test]
fn the_only_thread_of_a_runtime_may_call() {
    let server = Server::embedded();
    let address = server.address();
    within(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { use_all(address) });
    });
}

#[test]
fn a_task_of_a_runtime_may_call() {
    let server = Server::embedded();
    let address = server.address();
    within(move || {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let there = address.clone();
        runtime.block_on(async move { tokio::spawn(async move { use_all(there) }).await }).unwrap();
        runtime.block_on(async move { tokio::task::spawn_blocking(move || use_all(address)).await }).unwrap();
    });
}

/// What every call that waits comes to in a receiver of a signal.
struct Outcomes {
    publish: Error,
    multipublish: Error,
    close: Error,
    recv: Option<Message>,
    recv_timeout: gnsq::blocking::RecvTimeoutError,
    run: gnsq::Result<ShutdownReport>,
    shutdown: gnsq::Result<ShutdownReport>,
}

#[test]
fn in_a_receiver_nothing_waits() {
    let server = Server::embedded();
    let producer = server.producer();
    let consumer = server.consumer().build_blocking().unwrap();
    let other = Consumer::builder("other", "c").nsqd(server.address()).build_blocking().unwrap();
    let other = Mutex::new(Some(other));
    let handle = consumer.handle().clone();
    let (sender, outcomes) = mpsc::channel();
    let (there, steered) = (producer.clone(), handle.clone());
    let call_all = move |_: &gnsq::MessageEvent| {
        let Some(other) = other.lock().unwrap().take() else { return };
        let outcomes = Outcomes {
            publish: there.publish(TOPIC, "body").unwrap_err(),
            multipublish: there.multipublish(TOPIC, ["body"]).unwrap_err(),
            close: there.close().unwrap_err(),
            recv: consumer.recv(),
            recv_timeout: consumer.recv_timeout(DEADLINE).unwrap_err(),
            run: other.run(|_: Message| Ok::<_, std::io::Error>(())),
            shutdown: steered.shutdown(),
        };
        sender.send(outcomes).unwrap();
    };
    handle.signals().on_message.connect(call_all).forget();
    producer.publish(TOPIC, "body").unwrap();
    let outcomes = outcomes.recv_timeout(DEADLINE).unwrap();
    for error in [outcomes.publish, outcomes.multipublish, outcomes.close] {
        assert!(matches!(error, Error::WouldBlock), "{error}");
    }
    assert!(outcomes.recv.is_none());
    assert_eq!(outcomes.recv_timeout, gnsq::blocking::RecvTimeoutError::Timeout);
    assert!(matches!(outcomes.run, Err(Error::WouldBlock)));
    assert!(matches!(outcomes.shutdown, Err(Error::WouldBlock)));
    // The shutdown has begun nevertheless, and the producer is as it was.
    within(move || handle.finished().unwrap());
    within(move || producer.publish(TOPIC, "body").and_then(|()| producer.close()).unwrap());
}

#[test]
fn what_else_the_crate_has_can_be_waited_for() {
    let server = Server::real();
    let consumer = server.consumer().build_blocking().unwrap();
    let (address, url) = (server.address(), server.http_url());
    within(move || {
        let client = NsqdHttpClient::new(url).unwrap();
        wait(client.publish(&TOPIC.parse().unwrap(), "over HTTP")).unwrap().unwrap();
        wait(consumer.recv().unwrap().finish_confirmed()).unwrap().unwrap();
        let nsqd = wait(NsqdTcpClient::connect(address)).unwrap().unwrap();
        wait(nsqd.identify()).unwrap().unwrap();
        wait(nsqd.publish(TOPIC, "over TCP")).unwrap().unwrap();
        wait(nsqd.close()).unwrap();
        wait(consumer.recv().unwrap().finish_confirmed()).unwrap().unwrap();
    });
    server.wait_until_empty();
}
