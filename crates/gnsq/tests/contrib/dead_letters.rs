//! Messages that are given up to a topic, or to the log.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use gnsq::contrib::{JsonLogGiveUp, LogGiveUp, TopicGiveUp};
use gnsq::{ConnectionConfig, Consumer, Envelope, Error, Message, Producer};
use serde_json::Value;

use super::common::{ONE, serve_shutdown, text, within};
use super::{Server, against_both, event, log, receiving};

/// It comes to the other topic, and is finished in its own.
async fn a_dead_letter_arrives(server: Server) {
    let body = Envelope::new("body").header("tenant", "acme").encode().unwrap();
    for headers in [false, true] {
        let producer = server.producer();
        let dead = TopicGiveUp::new(producer.clone(), "dead").unwrap().headers(headers);
        let consumer = Consumer::builder("t", "c")
            .nsqd(server.address())
            .max_attempts(1)
            .requeue_delay(Duration::ZERO)
            .max_backoff(Duration::ZERO)
            .give_up_handler(dead.handler())
            .build()
            .unwrap();
        let handle = consumer.handle().clone();
        within(producer.publish("t", body.clone())).await.unwrap();
        let run = tokio::spawn(consumer.run(|_: Message| async { Err::<(), _>(io::Error::other("broken")) }));
        let mut letters = Consumer::builder("dead", "c").nsqd(server.address()).build().unwrap();
        let letter = within(letters.recv()).await.unwrap();
        if headers {
            let decoded = letter.envelope().unwrap();
            let header = |key| decoded.headers.get(key).unwrap().to_owned();
            assert_eq!((header("tenant"), header("dead-letter-topic")), ("acme".to_owned(), "t".to_owned()));
            assert_eq!(header("dead-letter-attempts"), "2");
            assert_eq!(header("dead-letter-nsqd"), server.address().to_string());
            assert_eq!((header("dead-letter-id").len(), decoded.body.as_ref()), (16, &b"body"[..]));
        } else {
            assert_eq!(letter.body(), &body);
        }
        letter.finish().unwrap();
        within(handle.shutdown()).await;
        assert_eq!((handle.stats().given_up, handle.stats().finished), (1, 1));
        within(run).await.unwrap();
        within(letters.handle().shutdown()).await;
    }
}

against_both! { a_dead_letter_arrives }

#[tokio::test]
async fn a_message_that_nobody_takes_is_requeued() {
    let nobody = "127.0.0.1:1";
    let producer = Producer::builder().nsqd(nobody).publish_timeout(Duration::from_millis(100)).build().unwrap();
    let dead = TopicGiveUp::new(producer, "dead").unwrap();
    let (consumer, handle, mut peer) = receiving(5, |builder| builder.give_up_handler(dead.handler())).await;
    let run = tokio::spawn(consumer.run(|_: Message| async { Ok::<_, Infallible>(()) }));
    peer.send_message(ONE, 1, 6, b"body").await;
    peer.expect_command(&format!("REQ {} 540000", text(ONE))).await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(run).await.unwrap();
}

#[tokio::test]
async fn a_letter_that_is_too_large_with_headers_goes_without() {
    let server = Server::embedded().await;
    let config = ConnectionConfig::new().max_msg_size(100);
    let producer = Producer::builder().nsqd(server.address()).connection(config).build().unwrap();
    let dead = TopicGiveUp::new(producer.clone(), "dead").unwrap().headers(true).handler();
    let body = "x".repeat(100);
    within(dead(event(body.clone()))).await.unwrap();
    let mut letters = Consumer::builder("dead", "c").nsqd(server.address()).build().unwrap();
    assert_eq!(within(letters.recv()).await.unwrap().body(), &body);
    assert!(matches!(TopicGiveUp::new(producer, "no topic"), Err(Error::Name(_))));
}

#[test]
fn the_log_tells_which_message_and_not_what_is_in_it() {
    log::keep();
    drop(LogGiveUp.handler()(event("secret")));
    let text = log::text();
    for part in ["ERROR", "topic=orders", "nsqd=127.0.0.1:4150", "id=0000000000000001", "attempts=6", "body_len=6"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn the_whole_message_is_logged_as_json() {
    log::keep();
    drop(JsonLogGiveUp.handler()(event(&b"\xff"[..])));
    let text = log::text();
    let (before, json) = text.split_once(": ").unwrap();
    assert!(before.ends_with("ERROR gnsq::give_up"), "{text}");
    let record: Value = serde_json::from_str(json).unwrap();
    assert_eq!((&record["encoding"], &record["body"]), (&"base64".into(), &"/w==".into()));
}
