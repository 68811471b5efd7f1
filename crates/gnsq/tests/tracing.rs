//! What the log tells of messages and connections, at which level, and how often.
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, Once};

use common::{
    ONE, expect_nothing_sent, identified, plain_consumer, producer, publishing, ready, serve_shutdown, text,
    until_command, within,
};
use gnsq::{HandlerError, Message};
use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// One line of the log.
#[derive(Debug, Clone)]
struct Line {
    level: Level,
    fields: BTreeMap<&'static str, String>,
}

impl Line {
    fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    fn message(&self) -> &str {
        self.get("message").unwrap_or_default()
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

/// Everything that gnsq tells, of every thread: connections live on one of their own.
struct Log;

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("gnsq")
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line { level: *event.metadata().level(), fields: BTreeMap::new() };
        event.record(&mut line);
        LINES.lock().unwrap().push(line);
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
}

/// What was told of this peer.
fn lines_of(peer: &ScriptedPeer) -> Vec<Line> {
    let address = peer.address().to_string();
    LINES.lock().unwrap().iter().filter(|line| line.get("nsqd") == Some(&address)).cloned().collect()
}

#[tokio::test]
async fn a_messages_life_can_be_followed_by_its_id() {
    listen();
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(5).build().unwrap();
    let handle = consumer.handle().clone();
    let run = tokio::spawn(consumer.run(|message: Message| async move {
        if message.attempts() == 1 { Err::<(), HandlerError>("broken".into()) } else { Ok(()) }
    }));
    let mut connection = ready(&peer, 5).await;
    connection.send_message(ONE, 1, 1, b"body").await;
    until_command(&mut connection, &format!("REQ {} 90000", text(ONE))).await;
    connection.send_message(ONE, 1, 2, b"body").await;
    until_command(&mut connection, &format!("FIN {}", text(ONE))).await;
    connection.send_error(&format!("E_FIN_FAILED FIN {} failed ID not in flight", text(ONE))).await;
    expect_nothing_sent(&mut connection).await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(connection));
    within(run).await.unwrap();

    let lines: Vec<_> = lines_of(&peer).into_iter().filter(|line| line.get("id") == Some(text(ONE))).collect();
    let told: Vec<_> = lines
        .iter()
        .filter(|line| !line.message().starts_with("the handler failed"))
        .map(|line| (line.message(), line.get("attempts")))
        .collect();
    assert_eq!(
        told,
        [
            ("message received", Some("1")),
            ("message requeued", None),
            ("message received", Some("2")),
            ("message handled", Some("2")),
            ("message finished", None),
            ("an answer came too late for nsqd", None),
        ]
    );
    for line in &lines {
        assert_eq!((line.get("topic"), line.get("channel")), (Some("t"), Some("c")), "{line:?}");
    }
    let failed = LINES.lock().unwrap().iter().any(|line| {
        line.get("id") == Some(text(ONE)) && line.get("error") == Some("broken") && line.level == Level::WARN
    });
    assert!(failed);
    assert_eq!(lines.last().and_then(|line| line.get("error")).map(|error| error.contains("E_FIN_FAILED")), Some(true));
}

#[tokio::test]
async fn a_publish_tells_where_it_went_and_how_it_ended() {
    listen();
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).build().unwrap();
    let mut connection = identified(&peer).await;
    let publish = publishing(&producer, "seven b");
    connection.expect_publish("t").await;
    connection.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
    let published = lines_of(&peer).into_iter().find(|line| line.message() == "published").unwrap();
    assert_eq!(published.level, Level::TRACE);
    let fields = ["topic", "messages", "size", "outcome"].map(|field| published.get(field).unwrap());
    assert_eq!(fields, ["t", "1", "7", "ok"]);

    let publish = publishing(&producer, "unknown to nsqd");
    connection.expect_publish("t").await;
    connection.reset();
    within(publish).await.unwrap().unwrap_err();
    let lines = LINES.lock().unwrap().clone();
    let failed = lines.iter().find(|line| line.message() == "not published" && line.get("size") == Some("15")).unwrap();
    assert_eq!((failed.level, failed.get("outcome")), (Level::DEBUG, Some("unknown")));
    assert!(failed.get("error").is_some());
}

#[tokio::test]
async fn connections_are_told_of_and_messages_are_not() {
    listen();
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(5).build().unwrap();
    let handle = consumer.handle().clone();
    let run = tokio::spawn(consumer.run(|_: Message| async { Ok::<(), HandlerError>(()) }));
    let mut connection = ready(&peer, 5).await;
    for number in 1..=20 {
        let id = common::id(number);
        connection.send_message(&id, 1, 1, b"body").await;
        until_command(&mut connection, &format!("FIN {}", text(&id))).await;
    }
    connection.reset();
    let connection = ready(&peer, 5).await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(connection));
    within(run).await.unwrap();
    let told: Vec<_> = lines_of(&peer)
        .into_iter()
        .filter(|line| line.level <= Level::INFO)
        .map(|line| {
            assert_eq!((line.get("topic"), line.get("channel")), (Some("t"), Some("c")), "{line:?}");
            (line.level, line.message().to_owned())
        })
        .collect();
    let count = |line: (Level, &str)| told.iter().filter(|(level, message)| (*level, &**message) == line).count();
    assert_eq!(count((Level::WARN, "the connection is lost")), 1, "{told:?}");
    assert_eq!(count((Level::INFO, "disconnected")), 1, "{told:?}");
    // The second comes so soon after the first that it is no news, on a machine that isn't too busy.
    let connected = count((Level::INFO, "connected"));
    assert!((1..=2).contains(&connected) && told.len() == connected + 2, "{told:?}");
}

#[tokio::test]
async fn what_goes_wrong_again_and_again_is_told_once() {
    listen();
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).build().unwrap();
    for _ in 0..3 {
        // Refused before it is in use.
        peer.accept().await.reset();
    }
    for _ in 0..3 {
        // Lost as soon as it is.
        common::subscribed(&peer).await.reset();
    }
    eventually(DEADLINE, "the third loss", async || {
        let lost = lines_of(&peer).iter().filter(|line| line.message().starts_with("the connection is lost")).count();
        (lost >= 3).then_some(())
    })
    .await;
    let alarms: Vec<_> = lines_of(&peer)
        .into_iter()
        .filter(|line| line.level <= Level::WARN)
        .map(|line| line.message().to_owned())
        .collect();
    assert_eq!(alarms, ["can't use nsqd, will try again", "the connection is lost"]);
    drop(consumer);
}

#[cfg(feature = "http")]
#[tokio::test]
async fn an_nsqlookupd_that_keeps_silent_is_told_of_once() {
    listen();
    let consumer = gnsq::Consumer::builder("silence", "c")
        .lookupd("http://127.0.0.1:1")
        .lookupd_poll_interval(std::time::Duration::from_millis(60))
        .build()
        .unwrap();
    let of_lookupd = || {
        let lines = LINES.lock().unwrap().clone();
        lines.into_iter().filter(|line| line.get("lookupd") == Some("http://127.0.0.1:1/")).collect::<Vec<_>>()
    };
    eventually(DEADLINE, "some questions", async || (of_lookupd().len() >= 4).then_some(())).await;
    let levels: Vec<_> = of_lookupd().iter().map(|line| line.level).take(4).collect();
    assert_eq!(levels, [Level::WARN, Level::DEBUG, Level::DEBUG, Level::DEBUG]);
    drop(consumer);
}

#[tokio::test]
async fn nothing_that_is_told_has_a_secret_or_a_body_in_it() {
    listen();
    let peer = ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).auth_secret("hunter2").max_in_flight(5).build().unwrap();
    let handle = consumer.handle().clone();
    let run = tokio::spawn(consumer.run(|message: Message| async move {
        if message.attempts() == 1 { Err::<(), HandlerError>("broken".into()) } else { Ok(()) }
    }));
    let mut connection = peer.accept().await;
    connection.handshake_with(&common::reply_with([("auth_required", serde_json::json!(true))])).await;
    connection.expect_command("AUTH").await;
    assert_eq!(connection.expect_body().await, b"hunter2");
    connection.send_response(r#"{"identity":"me","identity_url":"","permission_count":1}"#).await;
    connection.expect_subscribe("t", "c").await;
    connection.expect_command("RDY 5").await;
    for attempts in [1, 2] {
        connection.send_message(ONE, 1, attempts, b"confidential").await;
        connection.expect_line().await;
    }
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(connection));
    within(run).await.unwrap();
    let shown = format!("{:?}", lines_of(&peer));
    assert!(shown.contains("finished"), "{shown}");
    let all = format!("{:?}", LINES.lock().unwrap());
    assert!(!all.contains("hunter2") && !all.contains("confidential"), "{all}");
}
