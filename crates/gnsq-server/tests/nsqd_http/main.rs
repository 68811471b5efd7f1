//! The HTTP API of the embedded nsqd, answer by answer beside the real one's.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod answers;
mod clients;
mod limits;
mod requests;
mod sockets;
mod stats;
