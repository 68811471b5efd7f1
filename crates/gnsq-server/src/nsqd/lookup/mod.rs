//! The nsqlookupds of an nsqd: it registers with each what it has, and asks them for the channels of a new topic.

mod channels;
mod link;
mod peer;
mod registered;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::broker::Broker;
use super::options::NsqdOptions;
use crate::http::{ClientError, client};

/// The nsqlookupds of an nsqd.
#[derive(Debug)]
pub(super) struct LookupPeers {
    peers: Mutex<BTreeMap<String, Peer>>,
    client: reqwest::Client,
    /// Bounds how many questions are under way, however many topics are new.
    places: Semaphore,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Peer {
    stop: CancellationToken,
    http: watch::Receiver<Http>,
}

/// Where an nsqlookupd answers over HTTP, which it tells when an nsqd introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Http {
    /// The first connection isn't there yet.
    NotYet,
    /// The first connection has failed, or it doesn't tell.
    Unknown,
    /// `host:port`.
    Known(String),
}

impl LookupPeers {
    /// None as yet: [`run`](Self::run) brings them.
    ///
    /// # Errors
    ///
    /// When the system doesn't allow for an HTTP client.
    pub(super) fn new(options: &NsqdOptions) -> Result<Arc<Self>, ClientError> {
        let client = client(options.http_client_connect_timeout, options.http_client_request_timeout, false)?;
        Ok(Arc::new(Self {
            peers: Mutex::default(),
            client,
            places: Semaphore::new(MAX_QUESTIONS),
            stop: CancellationToken::new(),
        }))
    }

    /// Whether there are any to ask.
    pub(super) fn is_empty(&self) -> bool {
        self.peers.lock().is_empty()
    }

    /// Sees to it that every nsqlookupd of the broker's settings, as they are from time to time, knows what the broker
    /// has, until `stop` is cancelled.
    ///
    /// Those of the beginning are there when this returns, so that a topic may be created.
    pub(super) fn run(
        self: Arc<Self>,
        broker: Arc<Broker>,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let mut addresses = broker.settings().lookupd_tcp_addresses.subscribe();
        let mut tasks = JoinSet::new();
        self.follow(&addresses.borrow_and_update(), &broker, &mut tasks);
        async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    changed = addresses.changed() => if changed.is_err() { break },
                    // Those that are no longer wanted.
                    Some(_) = tasks.join_next() => continue,
                }
                let wanted = addresses.borrow_and_update().clone();
                self.follow(&wanted, &broker, &mut tasks);
            }
            self.stop.cancel();
            self.peers.lock().clear();
            tasks.shutdown().await;
        }
    }

    /// Leaves those that aren't wanted any more, and begins with those that are new.
    fn follow(&self, wanted: &[String], broker: &Arc<Broker>, tasks: &mut JoinSet<()>) {
        let mut wanted: Vec<_> = wanted.iter().filter(|address| !address.is_empty()).collect();
        if wanted.len() > MAX_PEERS {
            tracing::warn!(MAX_PEERS, "there are too many nsqlookupds: the last ones are ignored");
            wanted.truncate(MAX_PEERS);
        }
        let mut peers = self.peers.lock();
        peers.retain(|address, peer| {
            let stays = wanted.contains(&address);
            if !stays {
                tracing::info!(lookupd = address, "an nsqlookupd is left");
                peer.stop.cancel();
            }
            stays
        });
        for address in wanted {
            if peers.contains_key(address) {
                continue;
            }
            let (stop, (sender, http)) = (CancellationToken::new(), watch::channel(Http::NotYet));
            peers.insert(address.clone(), Peer { stop: stop.clone(), http });
            let follow = peer::follow(address.clone(), broker.clone(), sender);
            tasks.spawn(async move {
                stop.run_until_cancelled_owned(follow).await;
            });
        }
    }
}

/// Beyond any cluster; a list of addresses may come over HTTP.
const MAX_PEERS: usize = 100;

const MAX_QUESTIONS: usize = 32;
