//! One connection against a peer that says what nsqd may say, and what it never would.

#[path = "../common/mod.rs"]
mod common;

mod ends;
mod errors;
mod garbage;
mod handshake;
mod heartbeats;
mod waits;

use std::time::Duration;

use gnsq::ConnectionConfig;

const SHORT: Duration = Duration::from_millis(200);

fn config() -> ConnectionConfig {
    ConnectionConfig::new()
}
