//! Publishes, one by one, many at once, and in the background.

use std::time::{Duration, Instant, SystemTime};

use gnsq::blocking::Producer;
use gnsq::{Error, PublishOptions, Signals};
use gnsq_testkit::{DEADLINE, ScriptedPeer};

use super::server::{Server, TOPIC, spawn, text, within};

#[test]
fn every_way_to_publish_brings_its_messages() {
    for server in Server::both() {
        let producer = server.producer();
        let consumer = server.consumer().build_blocking().unwrap();
        let came = within(move || {
            producer.ready().unwrap();
            assert_eq!(producer.connections(), 1);
            producer.publish(TOPIC, "one").unwrap();
            producer.multipublish(TOPIC, ["two", "three"]).unwrap();
            let deferred = Instant::now();
            producer.publish_deferred(TOPIC, "deferred", Duration::from_millis(300)).unwrap();
            producer.publish_background(TOPIC, "background").wait().unwrap();
            producer.publish_with(TOPIC, "with", PublishOptions::new().timeout(DEADLINE)).unwrap();
            producer.multipublish_with(TOPIC, ["both"], PublishOptions::new().key("key")).unwrap();
            producer.publish_at(TOPIC, "at once", SystemTime::UNIX_EPOCH).unwrap();
            producer.flush().unwrap();
            assert_eq!(producer.stats().published, 8);
            producer.close().unwrap();
            assert_eq!(producer.outstanding(), 0);
            let mut came = Vec::new();
            for message in consumer.iter().take(8) {
                let body = text(&message);
                assert!(body != "deferred" || deferred.elapsed() >= Duration::from_millis(300));
                message.finish().unwrap();
                came.push(body);
            }
            came.sort_unstable();
            came
        });
        let bare = |body: &String| !body.contains("at once");
        let bare: Vec<_> = came.iter().filter(|body| bare(body)).collect();
        assert_eq!(bare, ["background", "both", "deferred", "one", "three", "two", "with"]);
        server.wait_until_empty();
    }
}

#[test]
fn sixteen_threads_publish_through_one_producer() {
    const EACH: usize = 300;
    for server in Server::both() {
        let producer = server.producer();
        let threads: Vec<_> = (0..16)
            .map(|thread| {
                let producer = producer.clone();
                spawn(move || {
                    let body = |number: usize| (thread * EACH + number).to_string();
                    if thread % 2 == 0 {
                        for number in 0..EACH {
                            producer.publish(TOPIC, body(number)).unwrap();
                        }
                    } else {
                        let pending: Vec<_> =
                            (0..EACH).map(|number| producer.publish_background(TOPIC, body(number))).collect();
                        for pending in pending {
                            pending.wait().unwrap();
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join();
        }
        let consumer = server.consumer().build_blocking().unwrap();
        let mut numbers: Vec<usize> = within(move || {
            let finished = |message: gnsq::Message| {
                let number = text(&message).parse().unwrap();
                message.finish().unwrap();
                number
            };
            consumer.iter().take(16 * EACH).map(finished).collect()
        });
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..16 * EACH));
        server.wait_until_empty();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_thread_publishes_in_the_background_goes_out_in_order() {
    let peer = ScriptedPeer::bind().await;
    let builder = Producer::builder().nsqd(peer.address()).publish_timeout(DEADLINE);
    let producer = builder.batching(false).build_blocking().unwrap();
    let mut connection = peer.accept().await;
    connection.handshake().await;
    let ready = producer.clone();
    tokio::task::spawn_blocking(move || ready.ready()).await.unwrap().unwrap();
    let pending: Vec<_> = (0..1000).map(|number| producer.publish_background("t", number.to_string())).collect();
    for number in 0..1000 {
        assert_eq!(connection.expect_publish("t").await, number.to_string().as_bytes());
        connection.send_response("OK").await;
    }
    let outcomes = move || pending.into_iter().try_for_each(gnsq::blocking::Pending::wait);
    tokio::task::spawn_blocking(outcomes).await.unwrap().unwrap();
}

#[test]
fn a_refused_message_tells_why_in_either_way() {
    let producer = Producer::builder().nsqd("127.0.0.1:1").build_blocking().unwrap();
    within(move || {
        assert!(matches!(producer.publish("no such name!", "body"), Err(Error::Name(_))));
        assert!(matches!(producer.publish(TOPIC, ""), Err(Error::Limit(_))));
        let refused = producer.publish_background("no such name!", "body");
        assert!(refused.is_done());
        assert!(matches!(refused.wait(), Err(Error::Name(_))));
        assert!(matches!(producer.publish_background(TOPIC, "").wait(), Err(Error::Limit(_))));
        let none: [&str; 0] = [];
        assert!(matches!(producer.multipublish(TOPIC, none), Err(Error::Limit(_))));
    });
}

#[test]
fn without_an_nsqd_every_call_ends_in_its_time() {
    let short = Duration::from_millis(50);
    let producer = Producer::builder().nsqd("127.0.0.1:1").publish_timeout(short).build_blocking().unwrap();
    within(move || {
        assert!(matches!(producer.ready(), Err(Error::NoConnections { .. })));
        assert!(matches!(producer.publish(TOPIC, "body"), Err(Error::NoConnections { .. })));
        assert!(matches!(producer.publish_background(TOPIC, "body").wait(), Err(Error::NoConnections { .. })));
        producer.close().unwrap();
        assert!(matches!(producer.publish(TOPIC, "body"), Err(Error::Closed)));
        assert!(matches!(producer.publish_background(TOPIC, "body").wait(), Err(Error::Closed)));
    });
}

/// In a receiver, which can't wait for room, that there is none shows.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_background_is_bounded() {
    let peer = ScriptedPeer::bind().await;
    let producer = |count| {
        let builder = Producer::builder().nsqd(peer.address()).publish_timeout(DEADLINE);
        builder.max_outstanding(count).build_blocking().unwrap()
    };
    let full = producer(1);
    let mut connection = peer.accept().await;
    connection.handshake().await;
    let waits = full.publish_background("t", "waits");
    assert_eq!(connection.expect_publish("t").await, b"waits");

    let other = producer(10);
    let mut outcomes = outcomes_of(other.signals(), full.clone());
    let mut bystander = peer.accept().await;
    bystander.handshake().await;
    let refused = outcomes.recv().await.unwrap();
    assert!(refused.is_done());
    assert!(matches!(refused.wait(), Err(Error::WouldBlock)));

    // With room there, it works there too.
    connection.send_response("OK").await;
    tokio::task::spawn_blocking(move || waits.wait()).await.unwrap().unwrap();
    let trigger = other.publish_background("t", "trigger");
    assert_eq!(bystander.expect_publish("t").await, b"trigger");
    bystander.send_response("OK").await;
    assert_eq!(connection.expect_publish("t").await, b"from a receiver");
    connection.send_response("OK").await;
    let published = outcomes.recv().await.unwrap();
    tokio::task::spawn_blocking(move || trigger.wait().and(published.wait())).await.unwrap().unwrap();
}

/// What publishes from a receiver of `signals` come to.
fn outcomes_of(signals: &Signals, producer: Producer) -> tokio::sync::mpsc::UnboundedReceiver<gnsq::blocking::Pending> {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let publish = move |_: &gnsq::ResponseEvent| {
        sender.send(producer.publish_background("t", "from a receiver")).ok();
    };
    signals.on_response.connect(publish).forget();
    receiver
}
