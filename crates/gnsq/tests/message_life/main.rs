//! What a message goes through between nsqd and its user, on the real nsqd and on the embedded one.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

#[path = "../support/mod.rs"]
mod support;

mod auto_touch;
mod bytes;
mod confirmed;
mod keyed;
mod servers;
