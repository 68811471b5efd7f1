//! What nsqlookupds are asked for.

use std::collections::BTreeSet;
use std::fmt::Debug;

use gnsq_proto::TopicName;

use crate::address::Address;
use crate::http::{HttpError, LookupdClient, Producer};

/// Something that each nsqlookupd has its own answer to. The union of the answers counts.
pub(crate) trait Question: Send + Sync + 'static {
    type Found: Clone + Ord + Debug + Send + Sync + 'static;

    /// Asks one nsqlookupd, at one address.
    fn ask(&self, lookupd: &LookupdClient) -> impl Future<Output = Result<BTreeSet<Self::Found>, HttpError>> + Send;
}

/// Which nsqds there are, to publish to.
#[derive(Debug)]
pub(crate) struct Nodes;

/// An nsqd to publish to.
///
/// A tombstone says that a topic is on its way out at an nsqd, which a publish to it there would undo. So nothing may
/// be published to these topics at this nsqd. One whose every topic is tombstoned is on its way out itself, and isn't
/// found at all; one that has no topics yet is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nsqd {
    pub(crate) address: Address,
    /// The topics that aren't to be published to there.
    pub(crate) tombstoned: BTreeSet<TopicName>,
}

impl Question for Nodes {
    type Found = Nsqd;

    async fn ask(&self, lookupd: &LookupdClient) -> Result<BTreeSet<Nsqd>, HttpError> {
        let nodes = lookupd.nodes().await?.into_iter();
        let nsqds = nodes.filter_map(|node| {
            let leaving = !node.topics.is_empty() && node.topics.iter().all(|topic| topic.tombstoned);
            let address = if leaving { None } else { usable_address(lookupd, &node.producer) }?;
            let tombstoned = node.topics.into_iter().filter(|topic| topic.tombstoned).map(|topic| topic.topic);
            Some(Nsqd { address, tombstoned: tombstoned.collect() })
        });
        Ok(nsqds.collect())
    }
}

/// Where to reach an nsqd that nsqlookupd knows. One without a port listens on a unix socket, which can't be reached
/// from elsewhere.
pub(crate) fn usable_address(lookupd: &LookupdClient, producer: &Producer) -> Option<Address> {
    match producer.tcp_address()?.parse() {
        Ok(address) => Some(address),
        Err(error) => {
            tracing::warn!(lookupd = lookupd.address(), %error, "nsqd can't be used");
            None
        }
    }
}
