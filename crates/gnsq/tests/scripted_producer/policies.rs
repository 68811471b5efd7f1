//! Where publishes go by load and by key, and what they do without a connection.
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use gnsq::{Error, PublishOptions, Routing, WhenDisconnected};
use gnsq_testkit::{DEADLINE, ScriptedPeer, eventually};

use super::common::{expect_nothing_sent, identified, producer, publishing, within};
use super::{Pair, SHORT, body, connected_with_listener};

/// Which of the two a publish arrived at, unanswered, and its message.
async fn arrival(pair: &mut Pair) -> (usize, String) {
    let (index, connection) = tokio::select! {
        line = pair.first.expect_line() => { assert_eq!(line, "PUB t"); (0, &mut pair.first) }
        line = pair.second.expect_line() => { assert_eq!(line, "PUB t"); (1, &mut pair.second) }
    };
    (index, String::from_utf8(connection.expect_body().await).unwrap())
}

#[tokio::test]
async fn the_one_with_the_fewest_outstanding_is_next() {
    let mut pair = Pair::new(|builder| builder.routing(Routing::LeastOutstanding).batching(false)).await;
    let mut tasks = Vec::new();
    let mut counts = [0, 0];
    for number in 0..6 {
        tasks.push(publishing(&pair.producer, number.to_string()));
        counts[arrival(&mut pair).await.0] += 1;
    }
    assert_eq!(counts, [3, 3]);
    // The first answers two of its three: the next two are its.
    for _ in 0..2 {
        pair.first.send_response("OK").await;
    }
    let address = pair.peers[0].address().to_string();
    eventually(DEADLINE, "the answers", async || {
        let stats = pair.producer.stats();
        stats.nsqds.iter().any(|nsqd| nsqd.address.to_string() == address && nsqd.outstanding == 1).then_some(())
    })
    .await;
    for number in 6..8 {
        tasks.push(publishing(&pair.producer, number.to_string()));
        assert_eq!(arrival(&mut pair).await.0, 0);
    }
    for _ in 0..3 {
        pair.first.send_response("OK").await;
        pair.second.send_response("OK").await;
    }
    for task in tasks {
        within(task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_key_stays_with_its_nsqd_goes_elsewhere_without_it_and_comes_back() {
    let mut pair = Pair::new(|builder| builder.routing(Routing::ByKey)).await;
    let mut owners = BTreeMap::new();
    for round in 0..3 {
        for key in 0..20_u32 {
            let options = PublishOptions::new().key(key.to_string());
            let producer = pair.producer.clone();
            let publish = tokio::spawn(async move { producer.publish_with("t", "x", options).await });
            let (owner, _) = arrival(&mut pair).await;
            [&mut pair.first, &mut pair.second][owner].send_response("OK").await;
            within(publish).await.unwrap().unwrap();
            assert_eq!(*owners.entry(key).or_insert(owner), owner, "key {key} in round {round}");
        }
    }
    assert_eq!(owners.values().collect::<std::collections::BTreeSet<_>>().len(), 2, "each has some keys");

    let (key, _) = owners.iter().find(|(_, owner)| **owner == 0).unwrap();
    let publish = |producer: &gnsq::Producer| {
        let (producer, options) = (producer.clone(), PublishOptions::new().key(key.to_string()));
        tokio::spawn(async move { producer.multipublish_with("t", ["x"], options).await })
    };
    pair.first.reset();
    eventually(DEADLINE, "the end to be known", async || (pair.producer.connections() == 1).then_some(())).await;
    let elsewhere = publish(&pair.producer);
    pair.second.expect_command("MPUB t").await;
    pair.second.expect_body().await;
    pair.second.send_response("OK").await;
    within(elsewhere).await.unwrap().unwrap();
    pair.first = identified(&pair.peers[0]).await;
    eventually(DEADLINE, "its return", async || (pair.producer.connections() == 2).then_some(())).await;
    let back = publish(&pair.producer);
    pair.first.expect_command("MPUB t").await;
    pair.first.expect_body().await;
    pair.first.send_response("OK").await;
    within(back).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_has_no_key_goes_to_one_after_the_other() {
    let mut pair = Pair::new(|builder| builder.routing(Routing::ByKey)).await;
    let mut counts = [0, 0];
    for _ in 0..6 {
        let publish = publishing(&pair.producer, "x");
        let (index, _) = arrival(&mut pair).await;
        counts[index] += 1;
        [&mut pair.first, &mut pair.second][index].send_response("OK").await;
        within(publish).await.unwrap().unwrap();
    }
    assert_eq!(counts, [3, 3]);
}

#[tokio::test]
async fn a_publish_has_its_own_delay_and_time_limit() {
    let (producer, mut peer, _listener) = connected_with_listener().await;
    let options = PublishOptions::new().delay(Duration::from_millis(7)).timeout(SHORT);
    let (outcome, ()) = tokio::join!(within(producer.publish_with("t", "x", options)), async {
        peer.expect_command("DPUB t 7").await;
        peer.expect_body().await;
    });
    assert!(matches!(outcome, Err(Error::Timeout { after: SHORT, sent: true })), "{outcome:?}");
    for (options, option) in [
        (PublishOptions::new().timeout(Duration::ZERO), "timeout"),
        (PublishOptions::new().timeout(Duration::MAX), "timeout"),
        (PublishOptions::new().delay(SHORT), "delay"),
    ] {
        let outcome = within(producer.multipublish_with("t", ["x"], options)).await;
        assert!(matches!(&outcome, Err(Error::Option { option: named, .. }) if *named == option), "{outcome:?}");
    }
    expect_nothing_sent(&mut peer).await;
}

#[tokio::test]
async fn failing_fast_waits_for_no_connection() {
    let peer = ScriptedPeer::bind().await;
    let producer = producer(&[&peer]).when_disconnected(WhenDisconnected::FailFast).build().unwrap();
    let error = within(producer.publish("t", "x")).await.unwrap_err();
    assert!(matches!(&error, Error::NoConnections { after: Duration::ZERO, .. }), "{error}");
    assert!(error.is_retryable() && !error.is_timeout() && !error.outcome_unknown());
    assert!(error.to_string().starts_with("no nsqd is connected"), "{error}");
    let mut connection = identified(&peer).await;
    within(producer.ready()).await.unwrap();
    let publish = publishing(&producer, "y");
    assert_eq!(body(&mut connection).await, "y");
    connection.send_response("OK").await;
    within(publish).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_buffer_holds_so_many_and_refuses_more() {
    let peer = ScriptedPeer::bind().await;
    let buffer = WhenDisconnected::Buffer { messages: 3, bytes: 20 };
    let producer = producer(&[&peer]).when_disconnected(buffer).build().unwrap();
    let mut waiting = vec![publishing(&producer, "1234567890")];
    eventually(DEADLINE, "it to wait", async || (producer.stats().waiting == 1).then_some(())).await;
    // Too many bytes, then too many messages.
    let error = within(producer.publish("t", "12345678901")).await.unwrap_err();
    assert!(matches!(&error, Error::BufferFull { messages: 3, bytes: 20, .. }), "{error}");
    assert!(error.is_retryable() && !error.outcome_unknown());
    waiting.push(publishing(&producer, "b"));
    waiting.push(publishing(&producer, "c"));
    eventually(DEADLINE, "them to wait", async || (producer.stats().waiting == 3).then_some(())).await;
    let error = within(producer.publish("t", "d")).await.unwrap_err();
    assert!(matches!(&error, Error::BufferFull { .. }), "{error}");
    // Who gives up makes room.
    waiting.pop().unwrap().abort();
    eventually(DEADLINE, "the room", async || (producer.stats().waiting == 2).then_some(())).await;
    waiting.push(publishing(&producer, "e"));
    eventually(DEADLINE, "it to wait", async || (producer.stats().waiting == 3).then_some(())).await;

    let mut connection = identified(&peer).await;
    let mut left = 3;
    while left > 0 {
        let line = connection.expect_line().await;
        let body = connection.expect_body().await;
        left -= if line == "PUB t" { 1 } else { super::batching::messages(&body).len() };
        connection.send_response("OK").await;
    }
    for task in waiting {
        within(task).await.unwrap().unwrap();
    }
    assert_eq!(producer.stats().waiting, 0);
}

#[tokio::test]
async fn a_full_buffer_refuses_also_where_there_is_no_room() {
    let peer = ScriptedPeer::bind().await;
    let buffer = WhenDisconnected::Buffer { messages: 1, bytes: 100 };
    let producer = producer(&[&peer]).when_disconnected(buffer).max_outstanding(1).build().unwrap();
    let waiting = publishing(&producer, "waiting");
    eventually(DEADLINE, "it to wait", async || (producer.stats().waiting == 1).then_some(())).await;
    assert!(matches!(within(producer.publish("t", "x")).await, Err(Error::BufferFull { .. })));
    within(producer.close()).await;
    assert!(matches!(within(waiting).await.unwrap(), Err(Error::Closed)));
}
