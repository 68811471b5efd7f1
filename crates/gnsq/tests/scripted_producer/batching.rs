//! What is published together shares a command, and keeps its own outcome.
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use gnsq::{ConnectionConfig, Error, Packer, Producer, ProducerBuilder, PublishLimits, PublishOptions};
use gnsq_testkit::{PeerConnection, ScriptedPeer};
use tokio::task::JoinHandle;

use super::common::{expect_nothing_sent, identified, producer, publishing, within};
use super::{SHORT, body};

async fn connected(
    configure: impl FnOnce(ProducerBuilder) -> ProducerBuilder,
) -> (Producer, PeerConnection, ScriptedPeer) {
    let peer = ScriptedPeer::bind().await;
    let producer = configure(producer(&[&peer])).build().unwrap();
    let connection = identified(&peer).await;
    within(producer.ready()).await.unwrap();
    (producer, connection, peer)
}

/// Publishes in tasks of their own, in this order.
async fn publish_all<T: ToString>(
    producer: &Producer,
    bodies: impl IntoIterator<Item = T>,
) -> Vec<JoinHandle<gnsq::Result<()>>> {
    let mut tasks = Vec::new();
    for body in bodies {
        let before = producer.outstanding();
        tasks.push(publishing(producer, body.to_string()));
        gnsq_testkit::eventually(gnsq_testkit::DEADLINE, "the publish", async || {
            (producer.outstanding() > before).then_some(())
        })
        .await;
    }
    tasks
}

/// The messages of the next command, which is an MPUB.
async fn batch(connection: &mut PeerConnection) -> Vec<String> {
    connection.expect_command("MPUB t").await;
    messages(&connection.expect_body().await)
}

/// The messages of an MPUB's body.
pub(super) fn messages(body: &[u8]) -> Vec<String> {
    let size = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 4;
    let bodies: Vec<_> = (0..size(0))
        .map(|_| {
            let start = at + 4;
            at = start + size(at);
            String::from_utf8(body[start..at].to_vec()).unwrap()
        })
        .collect();
    assert_eq!(at, body.len());
    bodies
}

async fn all_confirmed(tasks: Vec<JoinHandle<gnsq::Result<()>>>) {
    for task in tasks {
        within(task).await.unwrap().unwrap();
    }
}

/// Four messages under way, each with a command of its own, so that the next one waits.
async fn four_under_way(producer: &Producer, peer: &mut PeerConnection) -> Vec<JoinHandle<gnsq::Result<()>>> {
    let mut tasks = Vec::new();
    for message in ["1", "2", "3", "4"] {
        tasks.extend(publish_all(producer, [message]).await);
        assert_eq!(body(peer).await, message);
    }
    tasks
}

async fn all_at_once(producer: &Producer, bodies: impl IntoIterator<Item = String>) -> Vec<gnsq::Result<()>> {
    within(futures_util::future::join_all(bodies.into_iter().map(|body| producer.publish("t", body)))).await
}

#[tokio::test]
async fn a_lone_message_is_a_pub() {
    let (producer, mut peer, _listener) = connected(|builder| builder).await;
    for number in 0..3 {
        let publish = publishing(&producer, number.to_string());
        assert_eq!(body(&mut peer).await, number.to_string());
        peer.send_response("OK").await;
        within(publish).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_comes_together_goes_out_together_and_in_order() {
    let (producer, mut peer, _listener) = connected(|builder| builder).await;
    let bodies: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    let (outcomes, ()) = tokio::join!(all_at_once(&producer, bodies.clone()), async {
        assert_eq!(batch(&mut peer).await, bodies);
        expect_nothing_sent(&mut peer).await;
        peer.send_response("OK").await;
    });
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(producer.outstanding(), 0);
}

#[tokio::test]
async fn what_waits_goes_out_together_after_an_answer_or_when_it_is_as_much_as_is_under_way() {
    let (producer, mut peer, _listener) = connected(|builder| builder).await;
    let mut tasks = four_under_way(&producer, &mut peer).await;
    tasks.extend(publish_all(&producer, ["a", "b", "c"]).await);
    expect_nothing_sent(&mut peer).await;
    tasks.extend(publish_all(&producer, ["d"]).await);
    assert_eq!(batch(&mut peer).await, ["a", "b", "c", "d"]);
    tasks.extend(publish_all(&producer, ["e", "f"]).await);
    peer.send_response("OK").await;
    expect_nothing_sent(&mut peer).await;
    peer.send_response("OK").await;
    assert_eq!(batch(&mut peer).await, ["e", "f"]);
    for _ in 0..4 {
        peer.send_response("OK").await;
    }
    all_confirmed(tasks).await;
    assert_eq!((producer.stats().batches, producer.stats().batched), (2, 6));
}

#[tokio::test]
async fn each_topic_has_its_own_commands() {
    let (producer, mut peer, _listener) = connected(|builder| builder).await;
    let topics = ["x", "y", "x", "z", "y", "x"];
    let publishes = topics.iter().enumerate().map(|(number, topic)| producer.publish(*topic, number.to_string()));
    let (outcomes, ()) = tokio::join!(within(futures_util::future::join_all(publishes)), async {
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..3 {
            let line = peer.expect_line().await;
            let body = peer.expect_body().await;
            let (command, topic) = line.split_once(' ').unwrap();
            let bodies = if command == "MPUB" { messages(&body) } else { vec![String::from_utf8(body).unwrap()] };
            seen.insert(topic.to_owned(), bodies);
            peer.send_response("OK").await;
        }
        let bodies = |topic: &str| seen[topic].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!((bodies("x"), bodies("y"), bodies("z")), (vec!["0", "2", "5"], vec!["1", "4"], vec!["3"]));
    });
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[tokio::test]
async fn as_many_as_may_share_a_command_wait_for_nothing() {
    let (producer, mut peer, _listener) = connected(|builder| builder.batch_messages(3)).await;
    let bodies = (0..7).map(|number| number.to_string());
    let (outcomes, ()) = tokio::join!(all_at_once(&producer, bodies), async {
        assert_eq!(batch(&mut peer).await, ["0", "1", "2"]);
        assert_eq!(batch(&mut peer).await, ["3", "4", "5"]);
        assert_eq!(body(&mut peer).await, "6");
        for _ in 0..3 {
            peer.send_response("OK").await;
        }
    });
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[tokio::test]
async fn no_command_is_larger_than_batch_bytes_and_a_larger_message_goes_alone() {
    // The number of messages, and two messages of 10 bytes with their sizes.
    let (producer, mut peer, _listener) = connected(|builder| builder.batch_bytes(4 + 2 * 14)).await;
    let bodies: Vec<_> = [10, 9, 2, 8, 100, 5].into_iter().map(|size| "x".repeat(size)).collect();
    let (outcomes, ()) = tokio::join!(all_at_once(&producer, bodies.clone()), async {
        assert_eq!(batch(&mut peer).await, bodies[..2]);
        assert_eq!(batch(&mut peer).await, bodies[2..4]);
        assert_eq!(body(&mut peer).await, bodies[4]);
        assert_eq!(body(&mut peer).await, bodies[5]);
        for _ in 0..4 {
            peer.send_response("OK").await;
        }
    });
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[tokio::test]
async fn what_can_share_no_command_overtakes_nothing() {
    for deferred in [true, false] {
        let (producer, mut peer, _listener) = connected(|builder| builder).await;
        let mut tasks = four_under_way(&producer, &mut peer).await;
        tasks.extend(publish_all(&producer, ["c"]).await);
        expect_nothing_sent(&mut peer).await;
        let (outcome, ()) = tokio::join!(
            async {
                if deferred {
                    within(producer.publish_deferred("t", "later", Duration::from_millis(5))).await
                } else {
                    within(producer.multipublish("t", ["x", "y"])).await
                }
            },
            async {
                assert_eq!(body(&mut peer).await, "c");
                if deferred {
                    peer.expect_command("DPUB t 5").await;
                    assert_eq!(peer.expect_body().await, b"later");
                } else {
                    assert_eq!(batch(&mut peer).await, ["x", "y"]);
                }
                for _ in 0..6 {
                    peer.send_response("OK").await;
                }
            }
        );
        outcome.unwrap();
        all_confirmed(tasks).await;
    }
}

#[tokio::test]
async fn without_batching_each_message_has_its_command() {
    let (producer, mut peer, _listener) = connected(|builder| builder.batching(false)).await;
    let bodies: Vec<_> = (0..5).map(|number| number.to_string()).collect();
    let (outcomes, ()) = tokio::join!(all_at_once(&producer, bodies.clone()), async {
        for expected in bodies {
            assert_eq!(body(&mut peer).await, expected);
            peer.send_response("OK").await;
        }
    });
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[tokio::test]
async fn a_refused_message_in_a_batch_fails_alone() {
    for code in ["E_BAD_MESSAGE", "E_BAD_BODY", "E_INVALID"] {
        let (producer, mut peer, listener) = connected(|builder| builder).await;
        let bodies = ["a", "bad", "c", "d"].map(str::to_owned);
        let (outcomes, ()) = tokio::join!(all_at_once(&producer, bodies), async {
            assert_eq!(batch(&mut peer).await, ["a", "bad", "c", "d"]);
            peer.send_error(&format!("{code} MPUB invalid message(1) body size")).await;
            // Now each by itself: what stands behind the bad one comes again.
            let mut confirmed = Vec::new();
            while confirmed.len() < 3 {
                peer = identified(&listener).await;
                while confirmed.len() < 3 {
                    let message = body(&mut peer).await;
                    if message == "bad" {
                        peer.send_error("E_BAD_MESSAGE PUB invalid message body size").await;
                        break;
                    }
                    peer.send_response("OK").await;
                    confirmed.push(message);
                }
            }
            confirmed.sort();
            assert_eq!(confirmed, ["a", "c", "d"]);
        });
        for (place, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(()) => assert_ne!(place, 1),
                Err(error) => {
                    assert_eq!(place, 1, "{error}");
                    assert!(
                        matches!(&error, Error::Refused { source, .. } if source.code().as_str() == "E_BAD_MESSAGE")
                    );
                    assert!(!error.outcome_unknown());
                }
            }
        }
        assert_eq!(producer.outstanding(), 0);
    }
}

#[tokio::test]
async fn a_refusal_that_concerns_the_topic_is_everyones() {
    let (producer, mut peer, _listener) = connected(|builder| builder).await;
    let bodies = ["a", "b", "c"].map(str::to_owned);
    let (outcomes, ()) = tokio::join!(all_at_once(&producer, bodies), async {
        batch(&mut peer).await;
        peer.send_error("E_UNAUTHORIZED AUTH failed for MPUB on \"t\" \"\"").await;
    });
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, Error::Refused { .. }) && !error.outcome_unknown(), "{error}");
    }
}

#[tokio::test]
async fn what_may_be_stored_in_part_is_unknown_for_each() {
    let (producer, mut peer, _listener) = connected(|builder| builder).await;
    let bodies = ["a", "b", "c"].map(str::to_owned);
    let (outcomes, ()) = tokio::join!(all_at_once(&producer, bodies), async {
        batch(&mut peer).await;
        peer.send_error("E_MPUB_FAILED MPUB failed disk full").await;
    });
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, Error::Refused { .. }) && error.outcome_unknown(), "{error}");
    }
}

#[tokio::test]
async fn a_lost_batch_is_unknown_and_what_waits_goes_elsewhere() {
    let (producer, mut peer, listener) = connected(|builder| builder).await;
    let bodies = ["a", "b", "c"].map(str::to_owned);
    let (outcomes, ()) = tokio::join!(all_at_once(&producer, bodies), async {
        batch(&mut peer).await;
        let mut lost = Vec::new();
        for message in ["1", "2", "3"] {
            lost.extend(publish_all(&producer, [message]).await);
            assert_eq!(body(&mut peer).await, message);
        }
        let waiting = publish_all(&producer, ["d", "e"]).await;
        expect_nothing_sent(&mut peer).await;
        peer.close().await;
        let mut peer = identified(&listener).await;
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let line = peer.expect_line().await;
            let body = peer.expect_body().await;
            if line == "MPUB t" {
                seen.extend(messages(&body));
            } else {
                assert_eq!(line, "PUB t");
                seen.push(String::from_utf8(body).unwrap());
            }
            peer.send_response("OK").await;
        }
        seen.sort();
        assert_eq!(seen, ["d", "e"]);
        all_confirmed(waiting).await;
        for task in lost {
            assert!(within(task).await.unwrap().unwrap_err().outcome_unknown());
        }
    });
    assert!(outcomes.into_iter().all(|outcome| outcome.unwrap_err().outcome_unknown()));
}

#[tokio::test]
async fn what_has_not_been_sent_in_time_says_so_and_what_is_sent_keeps_its_answer() {
    let (producer, mut peer, _listener) = connected(|builder| builder.publish_timeout(5 * SHORT)).await;
    let tasks = four_under_way(&producer, &mut peer).await;
    let waiting = publish_all(&producer, ["c"]).await;
    for task in tasks {
        assert!(matches!(within(task).await.unwrap(), Err(Error::Timeout { sent: true, .. })));
    }
    for task in waiting {
        assert!(matches!(within(task).await.unwrap(), Err(Error::Timeout { sent: false, .. })));
    }
    assert_eq!(producer.outstanding(), 0);
    // Four answers are owed still: the fifth is the next message's.
    let next = publishing(&producer, "next");
    for _ in 0..4 {
        peer.send_response("OK").await;
    }
    assert_eq!(body(&mut peer).await, "next");
    expect_nothing_sent(&mut peer).await;
    assert!(!next.is_finished());
    peer.send_response("OK").await;
    within(next).await.unwrap().unwrap();
}

/// Both what is sent and what comes back undelivered.
#[tokio::test]
async fn a_packed_batch_is_one_command_again_after_a_lost_connection() {
    let (producer, mut connection, peer) = connected(|builder| builder.retry_unknown(true)).await;
    let mut packer = Packer::new(PublishLimits::default(), 2);
    // Too large to be copied once more, and small enough to be.
    for text in ["x".repeat(10_000), "second".to_owned()] {
        packer.push(text.as_bytes()).unwrap();
    }
    let batch = packer.finish().unwrap();
    let publish = tokio::spawn({
        let producer = producer.clone();
        async move { producer.multipublish_packed("t", batch, PublishOptions::new()).await }
    });
    let expected = ["x".repeat(10_000), "second".to_owned()];
    assert_eq!(self::batch(&mut connection).await, expected);
    connection.reset();
    let mut connection = identified(&peer).await;
    assert_eq!(self::batch(&mut connection).await, expected);
    let mut closing = pin!(producer.close());
    assert!(poll_fn(|cx| Poll::Ready(closing.as_mut().poll(cx).is_pending())).await);
    connection.reset();
    let report = within(closing).await;
    assert_eq!(report.undelivered.len(), 1);
    assert_eq!(report.undelivered[0].bodies, expected);
    assert!(within(publish).await.unwrap().unwrap_err().outcome_unknown());
}

#[tokio::test]
async fn a_packed_batch_is_held_against_the_producers_own_limits() {
    let (producer, mut connection, _peer) =
        connected(|builder| builder.connection(ConnectionConfig::new().max_msg_size(5))).await;
    let mut packer = Packer::new(PublishLimits::default(), 1);
    packer.push(b"123456").unwrap();
    let batch = packer.finish().unwrap();
    let outcome = producer.multipublish_packed("t", batch, PublishOptions::new()).await;
    assert!(matches!(outcome, Err(Error::Limit(_))), "{outcome:?}");
    expect_nothing_sent(&mut connection).await;
}
