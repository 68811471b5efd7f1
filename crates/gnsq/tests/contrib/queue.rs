//! Several tasks that share a consumer.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::StreamExt;
use gnsq::Consumer;
use gnsq::contrib::{MessageQueue, TakeError};
use gnsq_testkit::{DEADLINE, eventually};
use tokio::task::JoinSet;

use super::common::{ONE, TWO, id, serve_end, serve_shutdown, text, until_command, within};
use super::{Server, against_both, number, receiving};

#[tokio::test]
async fn who_does_not_wait_is_told_that_there_is_nothing() {
    let (consumer, _, mut peer) = receiving(5, |builder| builder).await;
    let mut queue = MessageQueue::new(consumer);
    assert_eq!(queue.try_get().unwrap_err(), TakeError::Empty);
    assert_eq!(queue.get_timeout(Duration::from_millis(1)).await.unwrap_err(), TakeError::Empty);
    assert!(queue.is_empty());
    for number in 0..3 {
        peer.send_message(&id(number), 1, 1, b"body").await;
    }
    eventually(DEADLINE, "three messages", async || (queue.len() == 3).then_some(())).await;
    let messages = [
        queue.try_get().unwrap(),
        within(queue.get_timeout(DEADLINE)).await.unwrap(),
        within(queue.next()).await.unwrap(),
    ];
    for (number, message) in messages.into_iter().enumerate() {
        assert_eq!(message.id().0, id(number));
        message.finish().unwrap();
    }
    let (_, ()) = tokio::join!(within(queue.close()), serve_shutdown(peer));
    assert_eq!(queue.try_get().unwrap_err(), TakeError::Closed);
    assert_eq!(queue.get_timeout(DEADLINE).await.unwrap_err(), TakeError::Closed);
    assert!(queue.get().await.is_none());
}

#[tokio::test]
async fn who_gave_up_waiting_takes_no_message_from_others() {
    let (consumer, _, mut peer) = receiving(5, |builder| builder).await;
    let mut impatient = MessageQueue::new(consumer);
    let mut patient = impatient.clone();
    for number in 0..20 {
        assert!(impatient.get().now_or_never().is_none());
        assert_eq!(impatient.try_get().unwrap_err(), TakeError::Empty);
        let waiting = tokio::spawn(async move {
            let message = within(patient.get()).await.unwrap();
            (patient, message)
        });
        tokio::task::yield_now().await;
        assert!(impatient.get().now_or_never().is_none());
        peer.send_message(&id(number), 1, 1, b"body").await;
        let message;
        (patient, message) = within(waiting).await.unwrap();
        message.finish().unwrap();
        peer.expect_command(&format!("FIN {}", text(&id(number)))).await;
    }
    let (_, ()) = tokio::join!(within(patient.close()), serve_shutdown(peer));
}

#[tokio::test]
async fn what_waits_goes_back_when_it_is_closed() {
    let (consumer, handle, mut peer) = receiving(5, |builder| builder).await;
    let mut queue = MessageQueue::new(consumer);
    for id in [ONE, TWO] {
        peer.send_message(id, 1, 1, b"body").await;
    }
    let taken = within(queue.get()).await.unwrap();
    eventually(DEADLINE, "the other", async || (queue.len() == 1).then_some(())).await;
    let mut closing = queue.clone();
    let closing = tokio::spawn(async move { closing.close().await });
    peer.expect_command("CLS").await;
    peer.send_response("CLOSE_WAIT").await;
    until_command(&mut peer, &format!("REQ {} 0", text(TWO))).await;
    taken.finish().unwrap();
    until_command(&mut peer, &format!("FIN {}", text(ONE))).await;
    serve_end(peer).await;
    let report = within(closing).await.unwrap();
    assert_eq!((report.requeued_unstarted, report.finished), (1, 1));
    assert_eq!(within(handle.finished()).await, report);
}

#[tokio::test]
async fn the_last_one_to_go_shuts_the_consumer_down() {
    let (consumer, handle, mut peer) = receiving(5, |builder| builder).await;
    let first = MessageQueue::new(consumer);
    let mut second = first.clone();
    drop(first);
    peer.send_message(ONE, 1, 1, b"body").await;
    within(second.get()).await.unwrap().finish().unwrap();
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    drop(second);
    until_command(&mut peer, "CLS").await;
    peer.send_response("CLOSE_WAIT").await;
    serve_end(peer).await;
    within(handle.finished()).await;
}

/// Each message goes to one task.
async fn messages_are_shared_among_tasks(server: Server) {
    const COUNT: u64 = 1000;
    server.fill(0..COUNT).await;
    let consumer = Consumer::builder("t", "c").nsqd(server.address()).build().unwrap();
    let mut queue = MessageQueue::new(consumer);
    let mut finishes = queue.handle().signals().on_finish.subscribe(2000);
    let mut tasks = JoinSet::new();
    for task in 0..4 {
        let mut queue = queue.clone();
        tasks.spawn(async move {
            let mut taken = Vec::new();
            loop {
                // Some are patient and some aren't.
                let message = match task {
                    0 => match queue.get_timeout(Duration::from_millis(1)).await {
                        Err(TakeError::Empty) => continue,
                        other => other.ok(),
                    },
                    _ => queue.get().await,
                };
                let Some(message) = message else { return taken };
                taken.push(number(&message));
                message.finish().unwrap();
            }
        });
    }
    for _ in 0..COUNT {
        within(finishes.recv()).await.unwrap();
    }
    within(queue.close()).await;
    let taken = within(tasks.join_all()).await.concat();
    assert_eq!(taken.len() as u64, COUNT);
    assert_eq!(taken.into_iter().collect::<HashSet<_>>(), (0..COUNT).collect());
}

against_both! { messages_are_shared_among_tasks }
