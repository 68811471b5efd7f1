//! Producer and consumer without async, with the real and the embedded nsqd.
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod consuming;
mod ends;
mod handlers;
mod publishing;
mod server;
mod threads;
