//! An nsqd without sockets, as the fuzz targets drive it.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use bytes::Bytes;

use super::broker::Broker;
pub use super::connection::fuzzing::{FuzzedConnection, identify};
use super::stats::StatsFilter;
use super::{NsqdOptions, Stats, http};
use crate::fuzzing::HttpAnswer;
use crate::http::fuzzing::{poll_once, request};

/// An nsqd that nobody can connect to but its owner.
pub struct FuzzedNsqd {
    broker: Arc<Broker>,
    router: Router,
}

impl FuzzedNsqd {
    /// Its addresses are made up.
    pub fn new(options: NsqdOptions) -> Self {
        let broker = Broker::alone(options);
        Self { router: http::router(broker.clone()), broker }
    }

    /// What `Nsqd::stats` tells.
    pub fn stats(&self) -> Stats {
        self.broker.stats(&StatsFilter::default())
    }

    /// How many messages it keeps, and how many bytes they count as.
    pub fn kept(&self) -> (usize, usize) {
        let budget = &self.broker.shared().budget;
        (budget.messages(), budget.bytes())
    }

    /// A client comes.
    pub fn connect(&self) -> FuzzedConnection {
        FuzzedConnection::new(&self.broker)
    }

    /// Does what is due: its clock was moved.
    pub fn look_at_the_time(&self) {
        poll_once(self.broker.shared().alarms.run(self.broker.clock()));
    }

    /// Answers a request whose body comes in pieces; nothing if method or URI can't be.
    pub fn request(&self, method: &[u8], uri: &[u8], body: Vec<Bytes>) -> Option<HttpAnswer> {
        request(&self.router, method, uri, body)
    }
}

impl fmt::Debug for FuzzedNsqd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FuzzedNsqd").finish_non_exhaustive()
    }
}
