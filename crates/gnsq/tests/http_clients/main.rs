//! The HTTP clients against the real nsqd and nsqlookupd, and against servers that misbehave.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod failures;
mod lookupd;
mod nsqd;
mod options;
mod raw;

use gnsq::{ChannelName, HttpError, TopicName};

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

/// The status and NSQ's code of a refused call.
fn refusal<T: std::fmt::Debug>(result: Result<T, HttpError>) -> (u16, String) {
    match result {
        Err(HttpError::Status { status, code, .. }) => (status, code),
        other => panic!("expected the server to refuse, not {other:?}"),
    }
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
