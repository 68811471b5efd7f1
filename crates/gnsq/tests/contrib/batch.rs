//! Messages worked on in batches.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gnsq::contrib::{BatchHandler, BatchOutcome};
use gnsq::{Consumer, ConsumerBuilder, ConsumerHandle, Error, HandlerError, Message, Requeue, ShutdownReport};
use gnsq_testkit::{DEADLINE, PeerConnection, eventually};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::common::{
    ONE, THREE, TWO, event, expect_nothing_sent, plain_consumer, reply_with, serve_end, serve_shutdown,
    subscribed_with, text, until_command, within,
};
use super::{Server, against_both, number, receiving};

const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A batch handler that runs, and its consumer's peer.
struct Run {
    peer: PeerConnection,
    handle: ConsumerHandle,
    running: JoinHandle<gnsq::Result<ShutdownReport>>,
}

impl Run {
    async fn with<H, F>(max_in_flight: u32, handler: BatchHandler, function: H) -> Self
    where
        H: Fn(Vec<Message>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<BatchOutcome, HandlerError>> + Send + 'static,
    {
        let (consumer, handle, peer) = receiving(max_in_flight, |builder| builder).await;
        Self { peer, handle, running: tokio::spawn(handler.run(consumer, function)) }
    }

    /// Waits for what becomes of messages that make one batch.
    async fn decide<H, F>(function: H) -> (Self, gnsq::SignalStream<gnsq::ExceptionEvent>)
    where
        H: Fn(Vec<Message>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<BatchOutcome, HandlerError>> + Send + 'static,
    {
        let mut run = Self::with(10, BatchHandler::new(3).max_wait(NEVER), function).await;
        let exceptions = run.handle.signals().on_exception.subscribe(10);
        run.deliver().await;
        (run, exceptions)
    }

    async fn deliver(&mut self) {
        for id in [ONE, TWO, THREE] {
            self.peer.send_message(id, 1, 1, b"body").await;
        }
    }

    async fn expect(&mut self, commands: [&str; 3]) {
        for (command, id) in commands.iter().zip([ONE, TWO, THREE]) {
            self.peer.expect_command(&command.replace("ID", text(id))).await;
        }
    }

    async fn end(self) -> ShutdownReport {
        let (report, ()) = tokio::join!(within(self.handle.shutdown()), serve_shutdown(self.peer));
        assert_eq!(within(self.running).await.unwrap().unwrap(), report);
        report
    }
}

fn broken() -> HandlerError {
    io::Error::other("broken").into()
}

const REQUEUED: [&str; 3] = ["REQ ID 90000"; 3];

#[tokio::test]
async fn a_full_batch_is_handed_over_in_the_order_of_its_messages() {
    let (sizes, mut batches) = mpsc::unbounded_channel();
    let (mut run, _) = Run::decide(move |messages| {
        sizes.send(messages.iter().map(|message| message.id().0).collect::<Vec<_>>()).unwrap();
        async { Ok(BatchOutcome::Finish) }
    })
    .await;
    assert_eq!(within(batches.recv()).await.unwrap(), [*ONE, *TWO, *THREE]);
    run.expect(["FIN ID"; 3]).await;
    assert_eq!(run.handle.stats().finished, 3);
    run.end().await;
}

#[tokio::test]
async fn a_batch_is_handed_over_when_its_first_message_has_waited() {
    let handler = BatchHandler::new(100).max_wait(Duration::from_millis(20));
    let mut run = Run::with(100, handler, |_| async { Ok(BatchOutcome::Finish) }).await;
    for id in [ONE, TWO] {
        run.peer.send_message(id, 1, 1, b"body").await;
        run.peer.expect_command(&format!("FIN {}", text(id))).await;
    }
    run.end().await;
}

#[tokio::test]
async fn a_batch_is_handed_over_when_no_more_messages_can_come() {
    let (sizes, mut batches) = mpsc::unbounded_channel();
    let mut run = Run::with(3, BatchHandler::new(100).max_wait(NEVER), move |messages| {
        sizes.send(messages.len()).unwrap();
        async { Ok(BatchOutcome::Finish) }
    })
    .await;
    run.deliver().await;
    assert_eq!(within(batches.recv()).await.unwrap(), 3);
    run.expect(["FIN ID"; 3]).await;
    run.end().await;
}

#[tokio::test]
async fn a_batch_is_handed_over_before_its_messages_time_is_over() {
    let peer = gnsq_testkit::ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(100).build().unwrap();
    let handle = consumer.handle().clone();
    let (given, mut batches) = mpsc::unbounded_channel();
    let running = tokio::spawn(BatchHandler::new(100).max_wait(NEVER).run(consumer, move |messages| {
        given.send(messages).unwrap();
        async { Ok::<_, io::Error>(BatchOutcome::Answered) }
    }));
    let mut peer = subscribed_with(&peer, &reply_with([("msg_timeout", json!(5000))])).await;
    peer.expect_command("RDY 100").await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let messages = within(batches.recv()).await.unwrap();
    assert!(messages.len() == 1 && !messages[0].is_expired());
    drop(messages);
    peer.expect_command(&format!("REQ {} 90000", text(ONE))).await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(running).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_takes_long_can_be_touched_meanwhile() {
    let peer = gnsq_testkit::ScriptedPeer::bind().await;
    let consumer = plain_consumer(&[&peer]).max_in_flight(10).auto_touch(true).build().unwrap();
    let handle = consumer.handle().clone();
    let gate = Arc::new(Semaphore::new(0));
    let wait = gate.clone();
    let running = tokio::spawn(BatchHandler::new(2).max_wait(NEVER).run(consumer, move |messages| {
        let wait = wait.clone();
        async move {
            wait.acquire().await.unwrap().forget();
            drop(messages);
            Ok::<_, io::Error>(BatchOutcome::Finish)
        }
    }));
    let mut peer = subscribed_with(&peer, &reply_with([("msg_timeout", json!(4000))])).await;
    peer.expect_command("RDY 10").await;
    for id in [ONE, TWO] {
        peer.send_message(id, 1, 1, b"body").await;
    }
    let mut touched = [peer.expect_line().await, peer.expect_line().await];
    touched.sort();
    assert_eq!(touched, [ONE, TWO].map(|id| format!("TOUCH {}", text(id))));
    gate.add_permits(1);
    for id in [ONE, TWO] {
        until_command(&mut peer, &format!("FIN {}", text(id))).await;
    }
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(running).await.unwrap().unwrap();
}

#[tokio::test]
async fn each_message_has_its_own_result() {
    let (mut run, mut exceptions) = Run::decide(|_| async {
        let requeue = Requeue::after(Duration::from_millis(7)).without_backoff();
        Ok(BatchOutcome::Each(vec![Err(broken()), Ok(()), Err(requeue.into())]))
    })
    .await;
    run.expect(["REQ ID 90000", "FIN ID", "REQ ID 7"]).await;
    let exception = event(&mut exceptions).await;
    assert_eq!((exception.message.id.0, exception.error.to_string().as_str()), (*ONE, "broken"));
    run.end().await;
    assert!(within(exceptions.recv()).await.is_none(), "to ask for a requeue is no exception");
}

#[tokio::test]
async fn an_error_requeues_all() {
    let (mut run, mut exceptions) = Run::decide(|_| async { Err(broken()) }).await;
    run.expect(REQUEUED).await;
    for id in [ONE, TWO, THREE] {
        let exception = event(&mut exceptions).await;
        assert_eq!((exception.message.id.0, exception.error.to_string().as_str()), (*id, "broken"));
    }
    run.end().await;
}

#[tokio::test]
async fn backoff_waits_for_no_full_batch() {
    let (consumer, handle, mut peer) = receiving(100, |builder| builder.max_backoff(Duration::from_millis(10))).await;
    let running = tokio::spawn(BatchHandler::new(2).max_wait(NEVER).run(consumer, |messages| async move {
        if messages.len() == 2 { Err(broken()) } else { Ok(BatchOutcome::Finish) }
    }));
    for id in [ONE, TWO] {
        peer.send_message(id, 1, 1, b"body").await;
    }
    until_command(&mut peer, "RDY 1").await;
    // The one message that backoff wants to see.
    peer.send_message(THREE, 1, 1, b"body").await;
    until_command(&mut peer, &format!("FIN {}", text(THREE))).await;
    until_command(&mut peer, "RDY 100").await;
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(running).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_error_may_ask_for_a_delay() {
    let (mut run, _) = Run::decide(|_| async { Err(Requeue::after(Duration::from_millis(5)).into()) }).await;
    run.expect(["REQ ID 5"; 3]).await;
    run.end().await;
}

#[tokio::test]
async fn a_panic_requeues_all() {
    let (mut run, mut exceptions) = Run::decide(|messages| async move {
        assert!(messages.is_empty(), "not what was expected");
        Ok(BatchOutcome::Finish)
    })
    .await;
    run.expect(REQUEUED).await;
    assert_eq!(event(&mut exceptions).await.error.to_string(), "the handler panicked: not what was expected");
    run.deliver().await;
    run.expect(REQUEUED).await;
    run.end().await;
}

#[tokio::test]
async fn what_nobody_decided_about_is_requeued() {
    let (mut run, mut exceptions) = Run::decide(|_| async { Ok(BatchOutcome::Each(vec![Ok(())])) }).await;
    run.expect(["FIN ID", "REQ ID 90000", "REQ ID 90000"]).await;
    assert_eq!(event(&mut exceptions).await.message.id.0, *TWO);
    run.end().await;

    let (kept, mut keeping) = mpsc::unbounded_channel();
    let (mut run, _) = Run::decide(move |messages| {
        let mut messages = messages.into_iter();
        messages.next().unwrap().finish().unwrap();
        let message = messages.next().unwrap();
        message.detach();
        kept.send(message).unwrap();
        async { Ok(BatchOutcome::Answered) }
    })
    .await;
    run.peer.expect_command(&format!("FIN {}", text(ONE))).await;
    run.peer.expect_command(&format!("REQ {} 90000", text(THREE))).await;
    expect_nothing_sent(&mut run.peer).await;
    drop(within(keeping.recv()).await.unwrap());
    run.peer.expect_command(&format!("REQ {} 0", text(TWO))).await;
    run.end().await;
}

#[tokio::test]
async fn what_the_function_has_answered_is_left_alone() {
    let (mut run, mut exceptions) = Run::decide(|messages| async {
        for (message, finish) in messages.into_iter().zip([true, false]) {
            if finish { message.finish()? } else { message.requeue(Duration::from_millis(3))? }
        }
        Err(broken())
    })
    .await;
    run.expect(["FIN ID", "REQ ID 3", "REQ ID 90000"]).await;
    assert_eq!(event(&mut exceptions).await.message.id.0, *THREE);
    run.end().await;
    assert!(within(exceptions.recv()).await.is_none());
}

#[tokio::test]
async fn so_many_batches_are_worked_on_at_once_and_no_more() {
    let (start, mut begun) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let wait = gate.clone();
    let mut run = Run::with(10, BatchHandler::new(1).concurrency(2), move |messages| {
        start.send(messages[0].id().0).unwrap();
        let wait = wait.clone();
        async move {
            wait.acquire().await.unwrap().forget();
            Ok(BatchOutcome::Finish)
        }
    })
    .await;
    run.deliver().await;
    within(begun.recv()).await.unwrap();
    within(begun.recv()).await.unwrap();
    eventually(DEADLINE, "the third", async || (run.handle.total_in_flight() == 3).then_some(())).await;
    expect_nothing_sent(&mut run.peer).await;
    assert!(begun.try_recv().is_err());
    gate.add_permits(1);
    assert_eq!(within(begun.recv()).await.unwrap(), *THREE);
    gate.add_permits(2);
    until_command(&mut run.peer, &format!("FIN {}", text(THREE))).await;
    run.end().await;
}

#[tokio::test]
async fn a_shutdown_gives_back_what_is_gathered_and_waits_for_what_is_worked_on() {
    let gate = Arc::new(Semaphore::new(0));
    let wait = gate.clone();
    let (start, mut begun) = mpsc::unbounded_channel();
    let mut run = Run::with(10, BatchHandler::new(1).max_wait(NEVER), move |_| {
        start.send(()).unwrap();
        let wait = wait.clone();
        async move {
            wait.acquire().await.unwrap().forget();
            Ok(BatchOutcome::Finish)
        }
    })
    .await;
    run.deliver().await;
    within(begun.recv()).await.unwrap();
    // One is gathered, and full; the other is still in the consumer.
    eventually(DEADLINE, "the third", async || (run.handle.stats().queued == 1).then_some(())).await;
    let handle = run.handle.clone();
    let shutdown = tokio::spawn(async move { handle.shutdown().await });
    run.peer.expect_command("CLS").await;
    run.peer.send_response("CLOSE_WAIT").await;
    let mut given_back = Vec::new();
    while given_back.len() < 2 {
        let line = run.peer.expect_line().await;
        given_back.extend((line != "RDY 0").then_some(line));
    }
    given_back.sort();
    assert_eq!(given_back, [TWO, THREE].map(|id| format!("REQ {} 0", text(id))));
    gate.add_permits(1);
    until_command(&mut run.peer, &format!("FIN {}", text(ONE))).await;
    serve_end(run.peer).await;
    let report = within(shutdown).await.unwrap();
    assert_eq!((report.requeued_unstarted, report.finished, report.requeued_unfinished), (2, 1, 0));
    assert!(begun.try_recv().is_err());
    assert_eq!(within(run.running).await.unwrap().unwrap(), report);
}

#[tokio::test]
async fn dropping_it_gives_everything_back() {
    let (start, mut begun) = mpsc::unbounded_channel();
    let mut run = Run::with(10, BatchHandler::new(2).max_wait(NEVER), move |_| {
        start.send(()).unwrap();
        std::future::pending()
    })
    .await;
    run.deliver().await;
    within(begun.recv()).await.unwrap();
    eventually(DEADLINE, "the third", async || {
        let stats = run.handle.stats();
        (stats.in_flight == 3 && stats.queued == 0).then_some(())
    })
    .await;
    run.running.abort();
    until_command(&mut run.peer, "CLS").await;
    run.peer.send_response("CLOSE_WAIT").await;
    let lines = serve_end(run.peer).await;
    assert!(!lines.iter().any(|line| line.starts_with("FIN")), "{lines:?}");
    let stats = run.handle.stats();
    assert_eq!((stats.finished, stats.in_flight), (0, 0));
}

#[tokio::test]
async fn what_cant_be_is_refused() {
    for (handler, name) in [
        (BatchHandler::new(0), "size"),
        (BatchHandler::new(1_000_000), "size"),
        (BatchHandler::new(1).concurrency(0), "concurrency"),
        (BatchHandler::new(1).max_wait(NEVER * 2), "max_wait"),
    ] {
        let consumer = Consumer::builder("t", "c").nsqd("127.0.0.1:1").build().unwrap();
        let run = handler.run(consumer, |_| async { Ok::<_, io::Error>(BatchOutcome::Finish) });
        let error = within(run).await.unwrap_err();
        assert!(matches!(error, Error::Option { option, .. } if option == name), "{error}");
    }
}

/// Every message is finished, some after failures, and none twice.
async fn all_are_finished_once(server: Server) {
    const COUNT: u64 = 1000;
    server.fill(0..COUNT).await;
    let builder: ConsumerBuilder = Consumer::builder("t", "c").nsqd(server.address());
    let consumer = builder.max_in_flight(200).max_attempts(0).requeue_delay(Duration::ZERO).build().unwrap();
    let handle = consumer.handle().clone();
    let mut finishes = handle.signals().on_finish.subscribe(2000);
    let tries = Arc::new(Mutex::new(HashMap::<u64, u32>::new()));
    let counter = tries.clone();
    let running = tokio::spawn(BatchHandler::new(50).max_wait(Duration::from_millis(5)).concurrency(3).run(
        consumer,
        move |messages| {
            let mut tries = counter.lock().unwrap();
            let results = messages.iter().map(|message| {
                let count = tries.entry(number(message)).or_default();
                *count += 1;
                // Some fail at first, and none is tried again that was done.
                let fails = number(message) % 7 == 3 && *count == 1;
                if fails { Err(Requeue::after(Duration::ZERO).without_backoff().into()) } else { Ok(()) }
            });
            let outcome = BatchOutcome::Each(results.collect());
            async { Ok::<_, HandlerError>(outcome) }
        },
    ));
    for _ in 0..COUNT {
        event(&mut finishes).await;
    }
    let report = within(handle.shutdown()).await;
    within(running).await.unwrap().unwrap();
    assert_eq!((report.requeued_unstarted, report.requeued_unfinished), (0, 0));
    let tries = tries.lock().unwrap();
    assert_eq!(tries.len() as u64, COUNT);
    assert!(tries.iter().all(|(number, count)| *count == if number % 7 == 3 { 2 } else { 1 }));
}

against_both! { all_are_finished_once }
