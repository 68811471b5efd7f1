//! How many publishes are on their way at a time, and who waits for room.

use gnsq::Error;
use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually};

use super::common::{expect_nothing_sent, identified, producer, publishing, within};
use super::{SHORT, body};

#[tokio::test]
async fn a_publish_that_found_no_room_in_time_was_not_sent() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).publish_timeout(SHORT).max_outstanding(1).build().unwrap();
    let mut connection = identified(&peer).await;
    within(producer.ready()).await.unwrap();
    let (first, second) = tokio::join!(within(producer.publish("t", "first")), within(producer.publish("t", "second")));
    assert!(matches!(first, Err(Error::Timeout { sent: true, .. })), "{first:?}");
    // The first one's end may have made room just in time, and then it is its turn to be sent or not.
    let error = second.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(body(&mut connection).await, "first");
    if error.outcome_unknown() {
        assert_eq!(body(&mut connection).await, "second");
    }
    expect_nothing_sent(&mut connection).await;
}

#[tokio::test]
async fn no_more_than_max_outstanding_are_on_their_way() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).max_outstanding(2).batching(false).build().unwrap();
    let mut connection = identified(&peer).await;
    let tasks: Vec<_> = (0..5).map(|number| publishing(&producer, number.to_string())).collect();
    for on_the_way in [2, 1, 1, 1] {
        for _ in 0..on_the_way {
            body(&mut connection).await;
        }
        expect_nothing_sent(&mut connection).await;
        assert_eq!(producer.outstanding(), 2);
        connection.send_response("OK").await;
    }
    connection.send_response("OK").await;
    for task in tasks {
        within(task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn no_more_than_max_outstanding_bytes_are_on_their_way() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).max_outstanding_bytes(100).build().unwrap();
    let mut connection = identified(&peer).await;
    // The third is larger than all the room there is.
    let tasks = [60, 60, 500, 1].map(|size| {
        let producer = producer.clone();
        async move { producer.publish("t", vec![b'x'; size]).await }
    });
    let (outcomes, ()) = tokio::join!(within(futures_util::future::join_all(tasks)), async {
        for size in [60, 60, 500] {
            assert_eq!(connection.expect_publish("t").await.len(), size);
            expect_nothing_sent(&mut connection).await;
            connection.send_response("OK").await;
        }
        assert_eq!(connection.expect_publish("t").await.len(), 1);
        connection.send_response("OK").await;
    });
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(producer.outstanding(), 0);
}

#[tokio::test]
async fn who_gives_up_waiting_for_room_leaves_no_trace() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).max_outstanding(2).max_outstanding_bytes(10).build().unwrap();
    let mut connection = identified(&peer).await;
    let first = publishing(&producer, "1234567890");
    body(&mut connection).await;
    let given_up = publishing(&producer, "never sent");
    eventually(DEADLINE, "the second to wait", async || (producer.outstanding() == 2).then_some(())).await;
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    assert_eq!(producer.outstanding(), 1);
    connection.send_response("OK").await;
    within(first).await.unwrap().unwrap();
    let next = publishing(&producer, "next");
    assert_eq!(body(&mut connection).await, "next");
    connection.send_response("OK").await;
    within(next).await.unwrap().unwrap();
}
