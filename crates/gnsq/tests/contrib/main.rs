//! What is built on top of the clients, with real, embedded and scripted nsqds.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

#[path = "../common/mod.rs"]
mod common;

mod deliver_at;
