//! Strangers at the embedded nsqd and nsqlookupd: whatever they do, they get the protocol's error, the memory stays
//! bounded, and others are served.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod bombs;
mod client;
mod floods;
mod garbage;
mod http;
mod idle;
mod limits;
mod lookupd;
mod memory;
mod readers;
mod server;
mod sizes;
