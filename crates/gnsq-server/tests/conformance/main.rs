//! What nsqd and nsqlookupd do, as a socket sees it: one set of tests, for the real servers and for the embedded ones.
//!
//! The real servers are the measure: a test that they fail is wrong. Where the embedded ones differ on purpose,
//! `differences.rs` says how, and nothing else does.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

/// Makes of each generic test function one test for each side.
macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        mod real {
            $(#[tokio::test]
            async fn $name() {
                super::$name::<crate::real::Real>().await;
            })*
        }

        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::$name::<crate::embedded::Embedded>().await;
            })*
        }
    };
}

mod answers;
mod auth;
mod auth_server;
mod certificates;
mod compression;
mod delivery;
mod differences;
mod embedded;
mod heartbeats;
mod hello;
mod http;
mod http_config;
mod http_publish;
mod http_routes;
mod http_stats;
mod http_topics;
mod identify;
mod in_flight;
mod life;
mod like;
mod lookupd_http;
mod lookupd_tcp;
mod publish;
mod real;
mod registration;
mod requeue;
mod server;
mod state;
mod stats;
mod statsd;
mod subscribe;
mod tls;
mod unix_sockets;
mod wire;
