//! Messages that are given up to a file.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Wake};
use std::thread::{self, Thread};

use futures_util::future::join_all;
use gnsq::contrib::FileGiveUp;
use gnsq::{Error, Message};
use serde_json::Value;
use tempfile::TempDir;

use super::common::{ONE, serve_shutdown, text, within};
use super::{event, receiving};

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn bodies(path: &Path) -> Vec<String> {
    lines(path).iter().map(|line| line["body"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_message_is_in_the_file_before_it_is_finished() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("dead.json");
    for sync in [false, true] {
        let dead = FileGiveUp::builder(&path).sync(sync).build().unwrap();
        let (consumer, handle, mut peer) = receiving(5, |builder| builder.give_up_handler(dead.handler())).await;
        let run = tokio::spawn(consumer.run(|_: Message| async { Ok::<_, Infallible>(()) }));
        peer.send_message(ONE, 7, 6, b"bo\ndy").await;
        peer.expect_command(&format!("FIN {}", text(ONE))).await;
        let line = lines(&path).pop().unwrap();
        assert_eq!(
            (&line["topic"], &line["id"], &line["attempts"], &line["timestamp"], &line["encoding"], &line["body"]),
            (&"t".into(), &text(ONE).into(), &6.into(), &7.into(), &"utf-8".into(), &"bo\ndy".into())
        );
        let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
        within(run).await.unwrap();
    }
    assert_eq!(lines(&path).len(), 2);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_message_that_a_full_disk_does_not_take_is_requeued() {
    let dead = FileGiveUp::builder("/dev/full").build().unwrap();
    let (consumer, handle, mut peer) = receiving(5, |builder| builder.give_up_handler(dead.handler())).await;
    let run = tokio::spawn(consumer.run(|_: Message| async { Ok::<_, Infallible>(()) }));
    for attempts in [6, 7] {
        peer.send_message(ONE, 1, attempts, b"body").await;
        peer.expect_command(&format!("REQ {} {}", text(ONE), u32::from(attempts) * 90_000)).await;
    }
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(run).await.unwrap();
}

#[tokio::test]
async fn what_comes_at_once_stays_on_lines_of_its_own() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("dead.json");
    let dead = FileGiveUp::builder(&path).build().unwrap();
    let handlers = [dead.clone().handler(), dead.handler()];
    let body = |number: usize| format!("{number} {}", "x".repeat(number % 700));
    let writes = (0..500).map(|number| tokio::spawn(handlers[number % 2](event(body(number)))));
    for outcome in within(join_all(writes)).await {
        outcome.unwrap().unwrap();
    }
    let mut found = bodies(&path);
    let mut expected: Vec<_> = (0..500).map(body).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_large_file_is_renamed_and_the_oldest_goes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("dead.json");
    let dead = FileGiveUp::builder(&path).max_size(1).keep(2).sync(true).build().unwrap().handler();
    for number in 0..5 {
        within(dead(event(number.to_string()))).await.unwrap();
    }
    for (name, body) in [("dead.json", "4"), ("dead.json.1", "3"), ("dead.json.2", "2")] {
        assert_eq!(bodies(&directory.path().join(name)), [body]);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[tokio::test]
async fn a_file_that_was_moved_or_removed_is_opened_anew() {
    let directory = TempDir::new().unwrap();
    let (path, moved) = (directory.path().join("dead.json"), directory.path().join("moved"));
    let dead = FileGiveUp::builder(&path).build().unwrap().handler();
    within(dead(event("first"))).await.unwrap();
    fs::rename(&path, &moved).unwrap();
    within(dead(event("second"))).await.unwrap();
    // As logrotate does: a new file is there already.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    within(dead(event("third"))).await.unwrap();
    assert_eq!((bodies(&moved), bodies(&path)), (vec!["first".to_owned()], vec!["third".to_owned()]));

    fs::remove_dir_all(directory.path()).unwrap();
    let error = within(dead(event("fourth"))).await.unwrap_err();
    assert!(error.to_string().contains("dead.json"), "{error}");
    fs::create_dir(directory.path()).unwrap();
    within(dead(event("fourth"))).await.unwrap();
    assert_eq!(bodies(&path), ["fourth"]);
}

#[tokio::test]
async fn a_line_that_was_torn_is_ended_first() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("dead.json");
    fs::write(&path, "{}\n{\"torn").unwrap();
    let dead = FileGiveUp::builder(&path).build().unwrap().handler();
    within(dead(event("whole"))).await.unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[1]), (3, "{\"torn"));
    assert!(lines[2].ends_with("\"whole\"}"), "{}", lines[2]);
}

#[test]
fn it_needs_no_runtime_of_the_program() {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let directory = TempDir::new().unwrap();
    let path = directory.path().join("dead.json");
    let mut writing = FileGiveUp::builder(&path).build().unwrap().handler()(event("body"));
    let waker = Arc::new(Unpark(thread::current())).into();
    while writing.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        thread::park_timeout(gnsq_testkit::DEADLINE);
    }
    assert_eq!(bodies(&path), ["body"]);
}

#[test]
fn what_cant_be_is_refused_when_built() {
    let directory = TempDir::new().unwrap();
    let inside = directory.path().join("dead.json");
    for (builder, name) in [
        (FileGiveUp::builder(directory.path()), "path"),
        (FileGiveUp::builder(directory.path().join("missing/dead.json")), "path"),
        (FileGiveUp::builder(""), "path"),
        (FileGiveUp::builder(&inside).max_size(0), "max_size"),
        (FileGiveUp::builder(&inside).keep(0), "keep"),
        (FileGiveUp::builder(&inside).keep(1001), "keep"),
    ] {
        let error = builder.build().unwrap_err();
        assert!(matches!(error, Error::Option { option, .. } if option == name), "{error}");
    }
}
