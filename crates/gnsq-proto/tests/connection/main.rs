//! A connection as dialogues with a scripted nsqd, in a time that only the tests move.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod by_hand;
mod close;
mod deadlines;
mod garbage;
mod heartbeats;
mod identify;
mod loss;
mod messages;
mod model;
#[path = "../reader/mod.rs"]
mod reader;
mod states;
mod support;
