//! The log of a message's life.

mod common;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use common::{ONE, THREE, TWO, expect_nothing_sent, plain_consumer, ready, serve_shutdown, text, within};
use gnsq::{HandlerError, Io, Message};
use gnsq_testkit::ScriptedPeer;
use tracing::Level;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics meanwhile").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The lines about messages.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().expect("nobody panics meanwhile").clone()).expect("it is text");
        text.lines().map(|line| line.trim().to_owned()).filter(|line| line.contains("00000000000000")).collect()
    }
}

/// What is logged at this level while three messages come: one is handled well, one is not, and one has failed too often.
async fn logged(level: Level) -> (String, Vec<String>) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    // All that is tested runs on this thread.
    let _logging = tracing::subscriber::set_default(subscriber);
    let peer = ScriptedPeer::bind().await;
    let consumer =
        plain_consumer(&[&peer]).io(Io::Current).max_in_flight(5).max_attempts(2).build().expect("it is right");
    let handle = consumer.handle().clone();
    let run = tokio::spawn(consumer.run(|message: Message| async move {
        tracing::info!("in the handler");
        message.touch()?;
        if message.id().0 == *TWO { Err::<(), HandlerError>("broken".into()) } else { Ok(()) }
    }));
    let mut connection = ready(&peer, 5).await;
    for (id, attempts) in [(ONE, 1), (TWO, 2), (THREE, 3)] {
        connection.send_message(id, 7, attempts, b"secret").await;
        if id != THREE {
            connection.expect_command(&format!("TOUCH {}", text(id))).await;
        }
        connection.expect_line().await;
    }
    expect_nothing_sent(&mut connection).await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(connection));
    within(run).await.expect("it ends well");
    (peer.address().to_string(), log.lines())
}

#[tokio::test]
async fn each_event_of_a_message_names_it_in_the_same_words() {
    let (nsqd, lines) = logged(Level::TRACE).await;
    let fields = |id: &[u8; 16]| format!("topic=\"t\" channel=\"c\" nsqd={nsqd} id={}", text(id));
    let expected = |id, events: &[(&str, &str)]| -> Vec<String> {
        events.iter().map(|(text, more)| format!("{text} {}{more}", fields(id))).collect()
    };
    let of = |id| -> Vec<String> {
        let mut lines: Vec<_> = lines.iter().filter(|line| line.contains(text(id))).cloned().collect();
        // The level, and where it is: in the handler the span comes before.
        for line in &mut lines {
            *line = line.split_once("gnsq::message: ").map_or(line.clone(), |(_, rest)| rest.to_owned());
        }
        lines.retain(|line| !line.contains("in the handler") && !line.contains("REQ"));
        lines
    };
    assert_eq!(
        of(ONE),
        expected(ONE, &[("received", " attempts=1"), ("touched", ""), ("handled", " attempts=1"), ("finished", "")])
    );
    let failed = "the handler failed, the message will be tried again";
    assert_eq!(
        of(TWO),
        expected(
            TWO,
            &[
                ("received", " attempts=2"),
                ("touched", ""),
                (failed, " attempts=2 error=broken"),
                ("requeued", " delay=180s backoff=true"),
            ]
        )
    );
    assert_eq!(
        of(THREE),
        expected(THREE, &[("received", " attempts=3"), ("given up", " attempts=3"), ("finished", "")])
    );
    // What the handler logs is in the message's span.
    let span = format!("message{{{} attempts=2}}", fields(TWO));
    assert!(lines.iter().any(|line| line.contains(&span) && line.contains("in the handler")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("secret")));
}

#[tokio::test]
async fn what_goes_well_is_no_news() {
    let (_, lines) = logged(Level::WARN).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("the handler failed") && lines[1].contains("given up"), "{lines:?}");
}
