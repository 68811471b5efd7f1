//! Publishes whose futures are dropped, wherever they stand.
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

use std::pin::pin;
use std::task::Context;

use gnsq::{Error, Producer};
use gnsq_testkit::{DEADLINE, PeerConnection, ScriptedPeer, eventually};
use tokio::task::JoinHandle;

use super::batching::messages;
use super::body;
use super::common::{expect_nothing_sent, identified, producer, publishing, within};

/// Polls the future so many times, each time after the others have run, and drops it.
async fn poll_and_drop(future: impl Future, polls: usize) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready() {
            return;
        }
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
}

/// Answers each command as it comes, up to the end of the connection; returns the messages.
fn serve(mut peer: PeerConnection) -> JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(line) = peer.next_line().await {
            let body = peer.expect_body().await;
            match line.as_str() {
                "MPUB t" => seen.extend(messages(&body)),
                "PUB t" => seen.push(String::from_utf8(body).unwrap()),
                other => panic!("{other}"),
            }
            peer.send_response("OK").await;
        }
        seen
    })
}

async fn nothing_is_left(producer: &Producer) {
    within(producer.flush()).await.unwrap();
    let stats = producer.stats();
    assert_eq!((stats.outstanding, stats.outstanding_bytes, stats.waiting), (0, 0, 0));
    assert!(stats.nsqds.iter().all(|nsqd| nsqd.outstanding == 0), "{stats:?}");
}

#[tokio::test]
async fn a_dropped_publish_takes_no_answer_from_another_and_leaves_nothing() {
    for batching in [true, false] {
        let peer = ScriptedPeer::bind().await;
        let producer = producer(&[&peer]).batching(batching).build().unwrap();
        let serving = serve(identified(&peer).await);
        within(producer.ready()).await.unwrap();
        let mut expected = Vec::new();
        for polls in 0..12 {
            let neighbours = [0, 1].map(|number| publishing(&producer, format!("{polls} {number}")));
            poll_and_drop(producer.publish("t", format!("{polls} dropped")), polls).await;
            poll_and_drop(producer.multipublish("t", [format!("{polls} dropped too")]), polls).await;
            for neighbour in neighbours {
                within(neighbour).await.unwrap().unwrap();
            }
            expected.extend([format!("{polls} 0"), format!("{polls} 1")]);
        }
        nothing_is_left(&producer).await;
        within(producer.close()).await;
        let mut seen = within(serving).await.unwrap();
        // What was polled once was asked for.
        assert_eq!(seen.iter().filter(|message| message.ends_with("dropped")).count(), 11);
        assert_eq!(seen.iter().filter(|message| message.ends_with("too")).count(), 11);
        seen.retain(|message| !message.contains("dropped"));
        seen.sort_by_key(|message| message.split(' ').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>());
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn a_refusal_meets_the_one_that_was_refused_though_others_gave_up() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).batching(false).build().unwrap();
    let mut connection = identified(&peer).await;
    within(producer.ready()).await.unwrap();
    poll_and_drop(producer.publish("t", "given up"), 1).await;
    let refused = publishing(&producer, "refused");
    assert_eq!(body(&mut connection).await, "given up");
    assert_eq!(body(&mut connection).await, "refused");
    connection.send_response("OK").await;
    connection.send_error("E_BAD_MESSAGE why").await;
    assert!(matches!(within(refused).await.unwrap(), Err(Error::Refused { .. })));
    nothing_is_left(&producer).await;
}

#[tokio::test]
async fn who_gives_up_waiting_for_room_or_a_connection_takes_none_away() {
    for polls in 0..4 {
        let peer = ScriptedPeer::bind().await;
        let producer = producer(&[&peer]).max_outstanding(1).max_outstanding_bytes(10).build().unwrap();
        // Without a connection.
        poll_and_drop(producer.publish("t", "1234567890"), polls).await;
        assert_eq!((producer.outstanding(), producer.stats().waiting), (0, 0));
        let mut connection = identified(&peer).await;
        within(producer.ready()).await.unwrap();
        // Without room.
        let first = publishing(&producer, "first");
        assert_eq!(body(&mut connection).await, "first");
        poll_and_drop(producer.publish("t", "1234567890"), polls).await;
        assert_eq!(producer.stats().waiting, 0);
        {
            // Given room, which it never looks at.
            let mut waiting = pin!(producer.publish("t", "1234567890"));
            assert!(waiting.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
            connection.send_response("OK").await;
            within(first).await.unwrap().unwrap();
            assert_eq!(producer.outstanding(), 1);
        }
        assert_eq!(producer.outstanding(), 0);
        let next = publishing(&producer, "next");
        assert_eq!(body(&mut connection).await, "next");
        expect_nothing_sent(&mut connection).await;
        connection.send_response("OK").await;
        within(next).await.unwrap().unwrap();
        nothing_is_left(&producer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_which_half_gives_up_loses_nothing_else() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).max_outstanding(20).build().unwrap();
    let serving = serve(identified(&peer).await);
    let tasks: Vec<_> = (0..200)
        .map(|number: usize| {
            let producer = producer.clone();
            tokio::spawn(async move {
                if number.is_multiple_of(2) {
                    poll_and_drop(producer.publish("t", number.to_string()), number % 7).await;
                    return None;
                }
                within(producer.publish("t", number.to_string())).await.unwrap();
                Some(number.to_string())
            })
        })
        .collect();
    let mut published = Vec::new();
    for task in tasks {
        published.extend(within(task).await.unwrap());
    }
    nothing_is_left(&producer).await;
    eventually(DEADLINE, "no room to be taken", async || (producer.outstanding() == 0).then_some(())).await;
    within(producer.close()).await;
    let seen = within(serving).await.unwrap();
    for message in published {
        assert_eq!(seen.iter().filter(|other| **other == message).count(), 1, "{message}");
    }
}
