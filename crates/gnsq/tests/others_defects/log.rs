//! What goes wrong is told.

use std::io::{Error, Write};
use std::sync::{Arc, Mutex};

use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually};

use super::common::{ONE, plain_consumer, ready, text};

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// Seen in other clients: what an asynchronous handler fails with is swallowed.
#[tokio::test]
async fn what_a_handler_fails_with_is_in_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(1).build().unwrap();
    let _running = tokio::spawn(consumer.run(|_| async { Err::<(), _>(Error::other("out of coffee")) }));
    let mut connection = ready(&peer, 1).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    assert!(connection.expect_line().await.starts_with(&format!("REQ {}", text(ONE))));
    eventually(DEADLINE, "the log to tell", async || {
        let text = log.text();
        (text.contains("WARN") && text.contains("out of coffee") && text.contains(super::common::text(ONE)))
            .then_some(())
    })
    .await;
}
