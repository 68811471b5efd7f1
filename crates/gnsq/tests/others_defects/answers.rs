//! One answer for each message.

use gnsq::ConnectionConfig;
use gnsq_testkit::identify_reply;

use super::common::{ONE, expect_nothing_sent, subscribed_client, text, within};

// Seen in other clients: a message that was finished by its id is answered again by the message itself.
#[tokio::test]
async fn a_message_that_was_finished_by_its_id_is_not_answered_again() {
    let (client, mut peer) = subscribed_client(ConnectionConfig::new(), &identify_reply(), 1).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = within(client.recv()).await.unwrap();
    client.finish(message.id()).unwrap();
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    drop(message);
    expect_nothing_sent(&mut peer).await;
}
