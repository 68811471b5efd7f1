//! Several nsqds, registered with several nsqlookupds.

use std::net::SocketAddr;

use super::{Nsqd, NsqdBuilder, Nsqlookupd};

/// Several nsqds, each registered with each of several nsqlookupds.
#[derive(Debug)]
pub struct Cluster {
    /// The nsqds. They share one `--node-id`, as nsqds on one host do: message ids are unique on each, not among them.
    pub nsqds: Vec<Nsqd>,
    /// The nsqlookupds.
    pub lookupds: Vec<Nsqlookupd>,
}

impl Cluster {
    /// Starts them and returns once all nsqds are registered everywhere.
    ///
    /// # Panics
    ///
    /// If one doesn't start, or doesn't register in time.
    pub async fn start(nsqds: usize, lookupds: usize) -> Self {
        let mut cluster = Self { nsqds: Vec::new(), lookupds: Vec::new() };
        for _ in 0..lookupds {
            cluster.lookupds.push(Nsqlookupd::start().await);
        }
        for _ in 0..nsqds {
            let builder = cluster.lookupds.iter().fold(Nsqd::builder(), NsqdBuilder::lookupd);
            cluster.nsqds.push(builder.start().await);
        }
        for nsqd in &cluster.nsqds {
            for lookupd in &cluster.lookupds {
                nsqd.wait_until_registered(lookupd).await;
            }
        }
        cluster
    }

    /// Where the nsqds take the TCP protocol.
    pub fn nsqd_addresses(&self) -> Vec<SocketAddr> {
        self.nsqds.iter().map(Nsqd::tcp_address).collect()
    }

    /// Where the nsqlookupds take HTTP, as `http://127.0.0.1:port`.
    pub fn lookupd_urls(&self) -> Vec<String> {
        self.lookupds.iter().map(Nsqlookupd::http_url).collect()
    }
}
