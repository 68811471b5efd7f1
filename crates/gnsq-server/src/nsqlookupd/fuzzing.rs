//! An nsqlookupd without sockets, as the fuzz targets drive it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::{Bytes, BytesMut};
use gnsq_proto::lookupd::PeerInfo;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::registry::Registry;
use super::session::Session;
use super::{Shared, api};
use crate::clock::Clock;
use crate::fuzzing::HttpAnswer;
use crate::http::fuzzing::request;

/// An nsqlookupd that nobody can connect to but its owner.
pub struct FuzzedNsqlookupd {
    shared: Arc<Shared>,
    router: Router,
}

/// A connection of its TCP protocol.
pub struct LookupdSession(Session);

impl FuzzedNsqlookupd {
    /// One with limits that are soon reached.
    pub fn new(clock: &Clock, max_registrations: usize, max_body_size: usize) -> Self {
        let shared = Arc::new(Shared {
            registry: Mutex::new(Registry::new(max_registrations, Duration::from_secs(300), Duration::from_secs(45))),
            changes: watch::Sender::new(()),
            clock: clock.clone(),
            myself: PeerInfo::default(),
            max_body_size,
        });
        Self { router: api::router(shared.clone()), shared }
    }

    /// A connection.
    pub fn connect(&self) -> LookupdSession {
        LookupdSession(Session::new(self.shared.clone(), "127.0.0.1:1".to_owned()))
    }

    /// Answers a request; nothing if method or URI can't be.
    pub fn request(&self, method: &[u8], uri: &[u8], body: Vec<Bytes>) -> Option<HttpAnswer> {
        request(&self.router, method, uri, body)
    }
}

impl LookupdSession {
    /// Answers the commands that are complete; false if that was the last answer.
    pub fn answer(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> bool {
        self.0.answer(input, out)
    }
}

impl fmt::Debug for FuzzedNsqlookupd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FuzzedNsqlookupd").finish_non_exhaustive()
    }
}

impl fmt::Debug for LookupdSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupdSession").finish_non_exhaustive()
    }
}
