//! `gnsq pub`: each message is confirmed or kept.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, mem, thread};

use gnsq_testkit::{Cluster, DEADLINE, Nsqd, Proxy, eventually};
use serde_json::json;

use crate::support::{Running, a_moment, at, gnsq, published, run, take, wait_published};
use crate::terminal::Terminal;

#[tokio::test]
async fn publishes_the_messages_of_the_command_line() {
    let nsqd = Nsqd::start().await;
    let done = run(["pub", "t", "one\n1", "two", "", &at(&nsqd)], "").await.expect(0);
    assert!(done.lines.is_empty());
    assert!(done.stderr.contains("published 2 messages (8 B) to t"), "{}", done.stderr);
    assert!(done.stderr.contains("1 empty and skipped"), "{}", done.stderr);
    assert_eq!(take(&nsqd, "t", "c", 2).await, ["one\n1", "two"]);
}

#[tokio::test]
async fn publishes_stdin_to_its_last_byte() {
    let nsqd = Nsqd::start().await;
    let done = run(["pub", "t", "--json", &at(&nsqd)], "a\n\n\nb\r\nlast").await.expect(0);
    let summary = done.json();
    assert_eq!(summary["event"], "summary");
    assert_eq!((&summary["published"], &summary["bytes"], &summary["empty"]), (&json!(3), &json!(7), &json!(2)));
    assert_eq!(summary["interrupted"], false);
    assert_eq!(take(&nsqd, "t", "c", 3).await, ["a", "b\r", "last"]);
}

#[tokio::test]
async fn publishes_a_file_cut_at_any_delimiter() {
    let nsqd = Nsqd::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("input");
    for (topic, delimiter, content) in [("nul", "\\0", "a\nb\0c\0"), ("text", "<->", "a\nb<->c")] {
        fs::write(&file, content).unwrap();
        let file = file.to_str().unwrap();
        run(["pub", topic, "--file", file, "--delimiter", delimiter, "-q", &at(&nsqd)], "").await.expect(0);
        assert_eq!(take(&nsqd, topic, "c", 2).await, ["a\nb", "c"]);
    }
}

#[tokio::test]
async fn publishes_batches() {
    let nsqd = Nsqd::start().await;
    let input: Vec<_> = (0..1234).map(|number| format!("{number}\n")).collect();
    run(["pub", "t", "--batch=100", &at(&nsqd)], input.concat()).await.expect(0);
    assert_eq!(published(&nsqd, "t").await, 1234);
}

#[tokio::test]
async fn publishes_no_faster_than_asked() {
    let nsqd = Nsqd::start().await;
    let begun = std::time::Instant::now();
    run(["pub", "t", "--rate=100", &at(&nsqd)], "x\n".repeat(50)).await.expect(0);
    // All but the first wait, and a little is made up for.
    assert!(begun.elapsed().as_millis() >= 450, "{:?}", begun.elapsed());
    assert_eq!(published(&nsqd, "t").await, 50);
}

#[tokio::test]
async fn defers() {
    let nsqd = Nsqd::start().await;
    nsqd.create_channel("t", "c").await;
    run(["pub", "t", "later", "--defer=1h", &at(&nsqd)], "").await.expect(0);
    nsqd.wait_for_channel("t", "c", |channel| channel.deferred_count == 1).await;
    let refused = run(["pub", "t", "later", "--defer=61m", &at(&nsqd)], "").await.expect(2);
    assert!(refused.stderr.contains("--defer"), "{}", refused.stderr);
}

#[tokio::test]
async fn balances_over_several_nsqds_or_copies_to_each() {
    let (a, b) = (Nsqd::start().await, Nsqd::start().await);
    let input = "x\n".repeat(10);
    run(["pub", "balanced", "--balance", &at(&a), &at(&b)], &input).await.expect(0);
    assert_eq!((published(&a, "balanced").await, published(&b, "balanced").await), (5, 5));
    let done = run(["pub", "copied", "--copy", "--json", &at(&a), &at(&b)], &input).await.expect(0);
    assert_eq!((published(&a, "copied").await, published(&b, "copied").await), (10, 10));
    assert_eq!(done.json()["published"], 10);
}

#[tokio::test]
async fn finds_nsqds_through_nsqlookupd() {
    let cluster = Cluster::start(2, 1).await;
    let lookupd = format!("--lookupd-http-address={}", cluster.lookupd_urls()[0]);
    run(["pub", "t", "--copy", "x", &lookupd], "").await.expect(0);
    for nsqd in &cluster.nsqds {
        assert_eq!(published(nsqd, "t").await, 1);
    }
}

#[tokio::test]
async fn nothing_is_read_when_nobody_can_be_reached() {
    let mut nsqd = Nsqd::start().await;
    let address = at(&nsqd);
    nsqd.stop().await;
    let failed = run(["pub", "t", &address], "x\n").await.expect(1);
    assert!(failed.stderr.starts_with("gnsq: nothing is published: can't connect to"), "{}", failed.stderr);
    // A copy for each, or for none.
    let alive = Nsqd::start().await;
    run(["pub", "t", "--copy", "x", &address, &at(&alive)], "").await.expect(1);
    assert_eq!(published(&alive, "t").await, 0);
    // One of several is enough otherwise.
    run(["pub", "t", "x", &address, &at(&alive)], "").await.expect(0);
    assert_eq!(published(&alive, "t").await, 1);
}

#[tokio::test]
async fn what_an_nsqd_that_dies_did_not_confirm_is_kept() {
    let mut nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let address = format!("--nsqd-tcp-address={}", proxy.address());
    let directory = tempfile::tempdir().unwrap();
    let failed = directory.path().join("failed");
    let path = failed.to_str().unwrap();
    let mut running = Running::start(gnsq(["pub", "t", "--json", "--timeout=1s", "--failed", path, &address]));
    let lines: Vec<_> = (0..40).map(|number| format!("{number:02}\n")).collect();
    running.write(lines[..20].concat());
    wait_published(&nsqd, "t", 20).await;
    // What is sent from now on reaches nsqd no more.
    proxy.upstream().stall();
    running.write(lines[20..].concat());
    nsqd.kill().await;
    let done = running.finish().await.expect(3);
    let summary = done.json();
    assert_eq!(summary["published"], 20);
    assert_eq!(summary["not_published"].as_u64().unwrap() + summary["unknown"].as_u64().unwrap(), 20);
    assert_eq!(summary["failed_messages"], path);
    let mut kept: Vec<_> = fs::read_to_string(&failed).unwrap().lines().map(|line| format!("{line}\n")).collect();
    kept.sort();
    assert_eq!(kept, lines[20..]);
    assert!(done.objects().iter().any(|line| line["event"] == "not_published"), "{:?}", done.lines);
}

#[tokio::test]
async fn what_is_kept_can_be_published_again() {
    let nsqd = Nsqd::builder().arg("--max-msg-size=100").start().await;
    let directory = tempfile::tempdir().unwrap();
    let failed = directory.path().join("failed");
    let path = failed.to_str().unwrap();
    let large = "x".repeat(300_000);
    let input = format!("one\n{large}\ntwo");
    let done = run(["pub", "t", "--max-msg-size=100", "--failed", path, &at(&nsqd)], input).await.expect(3);
    assert!(done.stderr.contains("it has 300000 bytes"), "{}", done.stderr);
    assert!(done.stderr.contains(&format!("what is not published is in {path}")), "{}", done.stderr);
    assert_eq!(fs::read_to_string(&failed).unwrap(), large + "\n");
    assert_eq!(take(&nsqd, "t", "c", 2).await, ["one", "two"]);
    let other = Nsqd::start().await;
    run(["pub", "t", "--file", path, &at(&other)], "").await.expect(0);
    assert_eq!(published(&other, "t").await, 1);
}

#[tokio::test]
async fn what_is_not_published_is_on_stderr_unless_a_file_takes_it() {
    let nsqd = Nsqd::start().await;
    let done = run(["pub", "t", "--max-msg-size=3", &at(&nsqd)], "abc\nabcdef\n").await.expect(3);
    assert!(done.stderr.contains("abcdef\n"), "{}", done.stderr);
    if cfg!(target_os = "linux") {
        let full = ["pub", "t", "--max-msg-size=3", "--failed=/dev/full", &at(&nsqd)];
        let done = run(full, "abc\nabcdef\n").await.expect(1);
        assert!(done.stderr.contains("can't write /dev/full"), "{}", done.stderr);
        assert!(done.stderr.contains("abcdef\n"), "{}", done.stderr);
    }
    let done = run(["pub", "t", "--failed=/nowhere/failed", &at(&nsqd)], "abc\n").await.expect(2);
    assert!(done.stderr.contains("/nowhere/failed"), "{}", done.stderr);
}

#[tokio::test]
async fn one_refused_message_does_not_keep_the_others_of_its_batch() {
    let nsqd = Nsqd::builder().arg("--max-msg-size=5").start().await;
    let done = run(["pub", "t", "--batch=3", "--json", "one", "too large", "three", &at(&nsqd)], "").await.expect(3);
    let summary = done.json();
    assert_eq!((&summary["published"], &summary["not_published"]), (&json!(2), &json!(1)));
    assert_eq!(take(&nsqd, "t", "c", 2).await, ["one", "three"]);
    assert!(done.stderr.contains("too large"), "{}", done.stderr);
}

#[tokio::test]
async fn an_interrupt_ends_the_reading_and_loses_nothing() {
    let nsqd = Nsqd::start().await;
    for (signal, code) in [(Running::interrupt as fn(&Running), 130), (Running::terminate, 143)] {
        let topic = format!("t{code}");
        let mut running = Running::start(gnsq(["pub", &topic, "--json", &at(&nsqd)]));
        running.write("one\ntwo\n");
        wait_published(&nsqd, &topic, 2).await;
        signal(&running);
        running.says("stopping").await;
        let summary = running.finish().await.expect(code).json();
        assert_eq!((&summary["published"], &summary["interrupted"]), (&json!(2), &json!(true)));
    }
    let mut running = Running::start(gnsq(["pub", "half", &at(&nsqd)]));
    running.write("whole\nhal");
    wait_published(&nsqd, "half", 1).await;
    running.interrupt();
    running.says("stopping").await;
    let done = running.finish().await.expect(3);
    assert!(done.stderr.contains("it was not read to its end\nhal\n"), "{}", done.stderr);
}

#[tokio::test]
async fn a_second_interrupt_ends_the_waiting_and_keeps_what_is_not_confirmed() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let address = format!("--nsqd-tcp-address={}", proxy.address());
    let mut running = Running::start(gnsq(["pub", "t", "--max-outstanding=2", &address]));
    running.write("0\n");
    wait_published(&nsqd, "t", 1).await;
    proxy.upstream().stall();
    running.write("1\n2\n3\n4\n5");
    // The first two are sent, and the others wait behind them, once it has read them; nothing tells.
    a_moment().await;
    running.interrupt();
    running.says("stopping").await;
    running.interrupt();
    let done = running.finish().await.expect(3);
    for number in 1..=5 {
        assert!(done.stderr.contains(&format!("\n{number}\n")), "{}", done.stderr);
    }
    assert!(done.stderr.contains("2 sent but not confirmed"), "{}", done.stderr);
}

#[tokio::test]
async fn no_more_is_read_than_may_be_outstanding() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let address = format!("--nsqd-tcp-address={}", proxy.address());
    let mut running = Running::start(gnsq(["pub", "t", "--max-outstanding=100", &address]));
    running.write("first\n");
    wait_published(&nsqd, "t", 1).await;
    proxy.upstream().stall();
    let written = Arc::new(AtomicU64::new(0));
    let (count, mut stdin) = (written.clone(), running.take_stdin());
    thread::spawn(move || {
        while stdin.write_all(&[b'x'; 1023]).and_then(|()| stdin.write_all(b"\n")).is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut before = 0;
    let still = eventually(DEADLINE, "the program to read no more", async || {
        a_moment().await;
        let now = written.load(Ordering::Relaxed);
        (now > 0 && mem::replace(&mut before, now) == now).then_some(now)
    })
    .await;
    // What is outstanding, a piece of 64 KiB read ahead, and what the pipe holds.
    assert!(still <= 100 + 64 + 64 + 2, "{still}");
    running.interrupt();
    running.says("stopping").await;
    running.interrupt();
    running.finish().await.expect(3);
}

#[tokio::test]
async fn people_at_a_terminal_see_how_far_it_is() {
    let nsqd = Nsqd::start().await;
    let mut terminal = Terminal::open(100, 24);
    let mut child = terminal.start(gnsq(["pub", "t", "--rate=5", &at(&nsqd)]));
    terminal.has_written("reading messages from the terminal").await;
    terminal.type_in("one\ntwo\nthree\n");
    terminal.has_written(" published, ").await;
    wait_published(&nsqd, "t", 3).await;
    // The end of what is typed.
    terminal.type_in("\u{4}");
    terminal.has_written("published 3 messages (11 B) to t").await;
    let status = eventually(DEADLINE, "it to end", async || child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "x\n").unwrap();
    let file = file.to_str().unwrap();
    let address = "--nsqd-tcp-address=127.0.0.1:1";
    for (arguments, reason) in [
        (vec!["pub", "t", "--file", file, "--failed", file, address], "same file"),
        (vec!["pub", "t"], "no server is named"),
        (vec!["pub", "bad topic", "x", address], "bad topic"),
        (vec!["pub", "t", "--batch=2", "--defer=1s", address], "cannot be used with"),
        (vec!["pub", "t", "--copy", "--balance", address], "cannot be used with"),
        (vec!["pub", "t", "x", "--file", file, address], "cannot be used with"),
        (vec!["pub", "t", "--rate=0", address], "messages a second"),
        (vec!["pub", "t", "--delimiter=", address], "--delimiter"),
        (vec!["pub", "t", "--nsqd-http-address=127.0.0.1:1"], "--nsqd-http-address is of no use"),
    ] {
        let refused = run(&arguments, "").await.expect(2);
        assert!(refused.stderr.contains(reason), "{arguments:?}: {}", refused.stderr);
    }
    let missing = run(["pub", "t", "--file=/nowhere/file", address], "").await.expect(1);
    assert!(missing.stderr.contains("/nowhere/file"), "{}", missing.stderr);
}
