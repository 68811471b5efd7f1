//! nsqlookupds whose addresses the user finds out.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::events::HandlerError;
use crate::http::LookupdClient;

/// The user's function that tells where nsqlookupds are.
#[derive(Clone)]
pub(crate) struct Source(Arc<dyn Fn() -> BoxFuture<'static, Result<Vec<String>, HandlerError>> + Send + Sync>);

impl Source {
    pub(crate) fn new<F, R, A, E>(source: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<A, E>> + Send + 'static,
        A: IntoIterator<Item: Into<String>>,
        E: Into<HandlerError>,
    {
        Self(Arc::new(move || {
            let addresses = source();
            async move {
                let addresses = addresses.await.map_err(Into::into)?;
                Ok(addresses.into_iter().map(Into::into).collect())
            }
            .boxed()
        }))
    }

    async fn addresses(&self) -> Result<Vec<String>, HandlerError> {
        let addresses = AssertUnwindSafe(async { (self.0)().await }).catch_unwind();
        match tokio::time::timeout(LONGEST, addresses).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("it panicked".into()),
            Err(_) => Err(format!("it took longer than {LONGEST:?}").into()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// The nsqlookupds that a [`Source`] has told of.
#[derive(Debug)]
pub(super) struct Sourced {
    source: Option<Source>,
    clients: BTreeMap<String, LookupdClient>,
}

impl Sourced {
    pub(super) fn new(source: Option<Source>) -> Self {
        Self { source, clients: BTreeMap::new() }
    }

    /// Asks the source. While it fails, those that it told of last hold. Returns whether it told, and them.
    pub(super) async fn refresh(&mut self) -> (bool, Vec<LookupdClient>) {
        let told = self.ask().await;
        (told, self.clients.values().cloned().collect())
    }

    async fn ask(&mut self) -> bool {
        let Some(source) = &self.source else { return true };
        let addresses = match source.addresses().await {
            Ok(addresses) => addresses,
            Err(error) => {
                tracing::warn!(%error, "where nsqlookupds are isn't known (lookupds_from)");
                return false;
            }
        };
        let mut clients = BTreeMap::new();
        for address in addresses {
            // One that is known keeps its connections.
            let client = match self.clients.remove(&address) {
                Some(client) => Ok(client),
                None => LookupdClient::new(address.as_str()),
            };
            match client {
                Ok(client) => drop(clients.insert(address, client)),
                Err(error) => tracing::warn!(%error, "no address of an nsqlookupd (lookupds_from)"),
            }
        }
        self.clients = clients;
        true
    }
}

/// Nobody waits for a resolver for longer.
const LONGEST: Duration = Duration::from_secs(10);
