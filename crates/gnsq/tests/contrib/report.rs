//! Reports for an error tracker.

use std::io;

use gnsq::Message;
use gnsq::contrib::{Failure, report_errors};
use tokio::sync::mpsc;

use super::common::{ONE, TWO, serve_shutdown, text, within};
use super::receiving;

#[tokio::test]
async fn failures_and_messages_given_up_are_reported_until_nobody_wants_to_know() {
    let (consumer, handle, mut peer) = receiving(5, |builder| builder.max_attempts(1)).await;
    let (told, mut reports) = mpsc::unbounded_channel();
    let reporting = report_errors(&handle, move |report| told.send(report.clone()).unwrap());
    let run = tokio::spawn(consumer.run(|_: Message| async { Err::<(), _>(io::Error::other("broken")) }));
    peer.send_message(ONE, 1, 1, b"body").await;
    peer.expect_command(&format!("REQ {} 90000", text(ONE))).await;
    let report = within(reports.recv()).await.unwrap();
    assert_eq!((report.message.topic.as_str(), report.channel.as_str(), report.message.attempts), ("t", "c", 1));
    assert!(matches!(&report.failure, Failure::Handler(error) if error.to_string() == "broken"));
    peer.send_message(TWO, 1, 2, b"body").await;
    peer.expect_command(&format!("FIN {}", text(TWO))).await;
    let report = within(reports.recv()).await.unwrap();
    assert_eq!(report.message.id.0, *TWO);
    assert!(matches!(report.failure, Failure::GivenUp));
    drop(reporting);
    assert!(within(reports.recv()).await.is_none());
    let (_, ()) = tokio::join!(within(handle.shutdown()), serve_shutdown(peer));
    within(run).await.unwrap();
}
