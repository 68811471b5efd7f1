//! The embedded nsqlookupd, beside the real one where both can be asked the same.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod bad_input;
mod http;
mod nsqds;
mod peer;
mod tcp;

use std::net::SocketAddr;
use std::time::Duration;

use gnsq_server::{Nsqlookupd, TopicRegistration};
use tokio::time::timeout;

/// Waits for registrations, or fails with those that are there.
async fn wait_until(lookupd: &Nsqlookupd, wanted: impl FnMut(&[TopicRegistration]) -> bool) -> Vec<TopicRegistration> {
    timeout(Duration::from_secs(20), lookupd.wait_until(wanted))
        .await
        .unwrap_or_else(|_| panic!("unwanted registrations: {:?}", lookupd.registrations()))
}

fn tcp(lookupd: &Nsqlookupd) -> SocketAddr {
    lookupd.tcp_address().parse().unwrap()
}

fn web(lookupd: &Nsqlookupd) -> SocketAddr {
    lookupd.http_address().parse().unwrap()
}
