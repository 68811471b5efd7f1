//! Messages taken one by one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use gnsq::blocking::RecvTimeoutError;
use gnsq::{HandlerError, MessageEvent};
use gnsq_testkit::DEADLINE;

use super::server::{Server, TOPIC, spawn, text, within};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn several_threads_share_the_messages_until_the_end() {
    const COUNT: usize = 2000;
    for server in Server::both() {
        let consumer = Arc::new(server.consumer().build_blocking().unwrap());
        let (sender, came) = mpsc::channel();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (consumer, sender) = (consumer.clone(), sender.clone());
                spawn(move || {
                    for message in &*consumer {
                        sender.send(text(&message)).unwrap();
                        message.finish().unwrap();
                    }
                })
            })
            .collect();
        let producer = server.producer();
        for chunk in 0..COUNT / 100 {
            let bodies = (0..100).map(|number| (chunk * 100 + number).to_string());
            producer.multipublish(TOPIC, bodies).unwrap();
        }
        let all: BTreeSet<_> = (0..COUNT).map(|_| came.recv_timeout(DEADLINE).unwrap()).collect();
        assert_eq!(all.len(), COUNT);
        let handle = consumer.handle().clone();
        let report = within(move || handle.shutdown().unwrap());
        for thread in threads {
            thread.join();
        }
        assert!(consumer.recv().is_none());
        assert_eq!(consumer.handle().stats().received, COUNT as u64);
        assert_eq!(consumer.handle().finished().unwrap(), report);
        server.wait_until_empty();
    }
}

#[test]
fn a_time_that_is_over_is_told_from_a_shutdown() {
    let server = Server::embedded();
    let consumer = server.consumer().build_blocking().unwrap();
    within(move || {
        assert_eq!(consumer.recv_timeout(SHORT).unwrap_err(), RecvTimeoutError::Timeout);
        assert_eq!(consumer.recv_timeout(Duration::ZERO).unwrap_err(), RecvTimeoutError::Timeout);
        server.producer().publish(TOPIC, "body").unwrap();
        consumer.recv_timeout(Duration::MAX).unwrap().finish().unwrap();
        server.wait_until_empty();
        consumer.handle().shutdown().unwrap();
        assert_eq!(consumer.recv_timeout(DEADLINE).unwrap_err(), RecvTimeoutError::Shutdown);
        assert!(consumer.recv().is_none());
        assert!(consumer.iter().next().is_none());
    });
}

/// Who waited and no longer does must not be told of a message in place of one who does.
#[test]
fn a_wait_that_is_over_takes_no_message_from_another() {
    let server = Server::embedded();
    let consumer = Arc::new(server.consumer().build_blocking().unwrap());
    let producer = server.producer();
    for _ in 0..30 {
        let waiting = consumer.clone();
        let waits = spawn(move || waiting.recv().unwrap().finish());
        assert_eq!(consumer.recv_timeout(Duration::from_millis(1)).unwrap_err(), RecvTimeoutError::Timeout);
        producer.publish(TOPIC, "body").unwrap();
        waits.join().unwrap();
    }
}

/// A consumer whose second attempts are given up.
fn giving_up<H, F>(server: &Server, handler: H) -> gnsq::blocking::Consumer
where
    H: Fn(MessageEvent) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    server.consumer().max_attempts(1).give_up_handler(handler).build_blocking().unwrap()
}

#[test]
fn a_give_up_handler_may_publish_without_async() {
    for server in Server::both() {
        let producer = server.producer();
        producer.publish(TOPIC, "dead").unwrap();
        let dead_letters = producer.clone();
        let consumer = giving_up(&server, move |message| {
            let producer = dead_letters.clone();
            async move { Ok(producer.publish("dead", message.body)?) }
        });
        within(move || {
            consumer.recv().unwrap().requeue(Duration::ZERO).unwrap();
            producer.publish(TOPIC, "alive").unwrap();
            // The second attempt may come before the new message or after it.
            let alive = consumer.recv().unwrap();
            assert_eq!(text(&alive), "alive");
            alive.finish().unwrap();
            while consumer.handle().stats().given_up == 0 {
                assert_eq!(consumer.recv_timeout(SHORT).unwrap_err(), RecvTimeoutError::Timeout);
            }
            let dead = gnsq::blocking::Consumer::builder("dead", "c").nsqd(server.address()).build_blocking().unwrap();
            let message = dead.recv().unwrap();
            assert_eq!(text(&message), "dead");
            message.finish().unwrap();
            server.wait_until_empty();
        });
    }
}

#[test]
fn a_give_up_handler_outlives_the_wait_it_began_in() {
    let server = Server::embedded();
    server.producer().publish(TOPIC, "dead").unwrap();
    let begun = Arc::new(AtomicUsize::new(0));
    let go_on = Arc::new(tokio::sync::Notify::new());
    let (count, told) = (begun.clone(), go_on.clone());
    let consumer = giving_up(&server, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let told = told.clone();
        async move {
            told.notified().await;
            Ok(())
        }
    });
    within(move || {
        consumer.recv().unwrap().requeue(Duration::ZERO).unwrap();
        while begun.load(Ordering::Relaxed) == 0 {
            assert_eq!(consumer.recv_timeout(SHORT).unwrap_err(), RecvTimeoutError::Timeout);
        }
        go_on.notify_one();
        while consumer.handle().stats().given_up == 0 {
            assert_eq!(consumer.recv_timeout(SHORT).unwrap_err(), RecvTimeoutError::Timeout);
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        server.wait_until_empty();
    });
}
