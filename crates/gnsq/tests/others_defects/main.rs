//! What was seen to go wrong in other NSQ clients, and doesn't here: `docs/defects.md` lists it all, these are the tests
//! that have no better place.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod answers;
mod discovery;
mod flow;
mod identify;
mod log;
mod publishing;
mod reconnecting;
mod writing;
