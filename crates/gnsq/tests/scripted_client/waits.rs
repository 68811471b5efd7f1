//! Who waits for a peer that is slow or never stops, and who gives up.

use std::io::ErrorKind;
use std::sync::Arc;

use gnsq::{Error, NsqdTcpClient};
use gnsq_testkit::identify_reply;

use super::common::{ONE, client_with, subscribed_client, within};
use super::{SHORT, config};

#[tokio::test]
async fn a_peer_that_reads_nothing_for_the_write_timeout_counts_as_dead() {
    let (client, _peer) = client_with(config().write_timeout(SHORT), &identify_reply()).await;
    let outcomes = flood(&client).await;
    let Error::Io { source, .. } = within(client.closed()).await else { panic!("{outcomes:?}") };
    assert_eq!(source.kind(), ErrorKind::TimedOut);
    assert_partly_sent(&outcomes);
}

#[tokio::test]
async fn no_more_than_max_unsent_bytes_wait_for_a_peer_that_reads_nothing() {
    let (client, _peer) = client_with(config().max_unsent_bytes(1 << 20), &identify_reply()).await;
    let outcomes = flood(&client).await;
    let Error::Io { source, .. } = within(client.closed()).await else { panic!("{outcomes:?}") };
    assert_eq!(source.kind(), ErrorKind::OutOfMemory);
    assert_partly_sent(&outcomes);
}

#[tokio::test]
async fn a_message_larger_than_max_unsent_bytes_goes_to_a_peer_that_reads() {
    let (client, mut peer) = client_with(config().max_unsent_bytes(100), &identify_reply()).await;
    let (published, body) = tokio::join!(within(client.publish("t", vec![b'x'; 10_000])), async {
        let body = peer.expect_publish("t").await;
        peer.send_response("OK").await;
        body
    });
    published.unwrap();
    assert_eq!(body.len(), 10_000);
}

#[tokio::test]
async fn what_times_out_behind_a_slow_peer_may_still_be_carried_out() {
    let (client, mut peer) = client_with(config().answer_timeout(SHORT), &identify_reply()).await;
    let outcomes = flood(&client).await;
    for outcome in &outcomes {
        assert!(matches!(outcome, Error::Timeout { sent: true, .. }) && outcome.outcome_unknown(), "{outcome}");
    }
    for _ in &outcomes {
        assert_eq!(peer.expect_publish("t").await.len(), LARGE);
    }
}

// With threads of their own the client nearly always has something to read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_hold_while_the_peer_never_stops_sending() {
    let (client, mut peer) = client_with(config().answer_timeout(SHORT), &identify_reply()).await;
    let flood = frames(b"_heartbeat_").repeat(100_000);
    let published = within(async {
        let publish = client.publish("t", "body");
        tokio::pin!(publish);
        let flood = async {
            peer.expect_publish("t").await;
            loop {
                peer.send_raw(&flood).await;
            }
        };
        tokio::select! {
            published = &mut publish => published,
            () = flood => unreachable!("it never ends"),
        }
    })
    .await;
    assert!(published.unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_receiver_that_gave_up_waiting_takes_no_wake_up_from_another() {
    let (client, mut peer) = subscribed_client(config(), &identify_reply(), 1).await;
    let client = Arc::new(client);
    let (gave_up, has_given_up) = tokio::sync::oneshot::channel();
    let impatient = client.clone();
    let impatient = tokio::spawn(async move {
        assert!(futures_util::poll!(Box::pin(impatient.recv())).is_pending());
        gave_up.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    within(has_given_up).await.unwrap();
    let patient = client.clone();
    let patient = tokio::spawn(async move { patient.recv().await.map(|message| message.id()) });
    // It runs up to its wait before the peer's bytes can be read.
    tokio::task::yield_now().await;
    peer.send_message(ONE, 1, 1, b"body").await;
    assert_eq!(within(patient).await.unwrap().unwrap().0, *ONE);
    impatient.abort();
}

/// A response's frame.
fn frames(data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len() + 4).expect("it is short");
    [&size.to_be_bytes()[..], &[0; 4], data].concat()
}

async fn flood(client: &NsqdTcpClient) -> Vec<Error> {
    let body = bytes::Bytes::from(vec![b'x'; LARGE]);
    let publishes = (0..FLOOD).map(|_| client.publish("t", body.clone()));
    let outcomes = within(futures_util::future::join_all(publishes)).await;
    outcomes.into_iter().map(|outcome| outcome.expect_err("nobody answered")).collect()
}

/// The first messages were taken by the socket, the last ones never left.
fn assert_partly_sent(outcomes: &[Error]) {
    assert!(matches!(outcomes.first(), Some(Error::Lost { sent: true, .. })), "{outcomes:?}");
    assert!(matches!(outcomes.last(), Some(Error::Lost { sent: false, .. })), "{outcomes:?}");
}

/// Together more than a socket's buffers hold.
const LARGE: usize = 1 << 20;
const FLOOD: usize = 40;
