//! Heartbeats: when they come, and what becomes of a client that keeps silent.

use std::time::Duration;

use crate::server::{Nsqd, Side};
use crate::wire::command;

conformance! {
    a_silent_client_is_closed_after_two_intervals,
    any_command_keeps_the_connection,
    they_can_be_turned_off,
    they_come_between_answers,
}

async fn a_silent_client_is_closed_after_two_intervals<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for subscribed in [false, true] {
        let mut client = nsqd.connect().await;
        client.send(command("IDENTIFY", r#"{"heartbeat_interval":1000}"#)).await;
        client.ok().await;
        if subscribed {
            client.send("SUB t c\n").await;
            client.ok().await;
        }
        let (heartbeats, elapsed) = client.heartbeats_until_end().await;
        // The second one and the end are due at the same time.
        assert!((1..=2).contains(&heartbeats), "{heartbeats} heartbeats");
        assert!(elapsed > Duration::from_millis(1900), "closed after {elapsed:?}");
    }
}

async fn any_command_keeps_the_connection<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.connect().await;
    client.send(command("IDENTIFY", r#"{"heartbeat_interval":1000}"#)).await;
    client.ok().await;
    for _ in 0..4 {
        client.expect("_heartbeat_").await;
        client.send("NOP\n").await;
    }
    client.stays().await;
}

async fn they_can_be_turned_off<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut quiet = nsqd.connect().await;
    quiet.send(command("IDENTIFY", r#"{"heartbeat_interval":-1}"#)).await;
    quiet.ok().await;
    let mut other = nsqd.connect().await;
    other.send(command("IDENTIFY", r#"{"heartbeat_interval":1000}"#)).await;
    other.ok().await;
    other.heartbeats_until_end().await;
    quiet.stays().await;
}

async fn they_come_between_answers<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.connect().await;
    client.send(command("IDENTIFY", r#"{"heartbeat_interval":1000}"#)).await;
    client.ok().await;
    let publish = command("PUB t", "x");
    // A command that is on its way doesn't keep the heartbeat from coming.
    client.send(&publish[..publish.len() - 1]).await;
    client.expect("_heartbeat_").await;
    client.send(&publish[publish.len() - 1..]).await;
    client.ok().await;
    client.expect("_heartbeat_").await;
}
