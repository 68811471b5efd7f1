//! Asks every nsqd.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;
use gnsq::http::StatsOptions;
use gnsq::{ChannelName, NsqdHttpClient, TopicName};

use super::model::{Poll, Polled};
use crate::cluster;
use crate::options::Connection;

/// Asks the nsqds that were named and those that any nsqlookupd knows.
#[derive(Debug)]
pub(super) struct Poller {
    connection: Connection,
    options: StatsOptions,
    /// By their names. One that was found stays while no nsqlookupd answers.
    nsqds: BTreeMap<String, NsqdHttpClient>,
}

impl Poller {
    /// About one topic and channel only, if they are given.
    pub(super) fn new(connection: Connection, topic: Option<&TopicName>, channel: Option<&ChannelName>) -> Self {
        // Clients are many, and are only looked at one by one when a channel is.
        let mut options = StatsOptions::new().include_mem(false).include_clients(channel.is_some());
        if let Some(topic) = topic {
            options = options.topic(topic);
        }
        if let Some(channel) = channel {
            options = options.channel(channel);
        }
        Self { connection, options, nsqds: BTreeMap::new() }
    }

    /// Asks each of them once.
    pub(super) async fn poll(&mut self) -> Poll {
        let problems = self.discover().await;
        let options = &self.options;
        let asking: Vec<_> = self
            .nsqds
            .iter()
            .map(|(node, nsqd)| async move {
                let answer = nsqd.stats(options).await.map_err(|error| error.to_string());
                Polled { node: node.clone(), answer }
            })
            .collect();
        Poll { nodes: stream::iter(asking).buffered(AT_A_TIME).collect().await, problems }
    }

    /// Returns what is wrong with the nsqlookupds.
    async fn discover(&mut self) -> Vec<String> {
        let found = match cluster::nodes(&self.connection.lookupds).await {
            Ok(found) => found,
            Err(failure) => {
                self.add_named();
                return vec![failure.to_string()];
            }
        };
        let mut problems: Vec<_> = found.failures.iter().map(|(_, failure)| failure.to_string()).collect();
        let mut nsqds = BTreeMap::new();
        for node in found.answers {
            let name = node.producer.node();
            let client = match (self.nsqds.remove(&name), node.producer.http_address()) {
                (Some(client), _) => client,
                (None, Some(address)) => match self.connection.nsqd_http_client(&address) {
                    Ok(client) => client,
                    Err(error) => {
                        problems.push(error.to_string());
                        continue;
                    }
                },
                (None, None) => {
                    problems.push(format!("nsqd on {} has no HTTP port, so it can't be asked", node.producer.hostname));
                    continue;
                }
            };
            nsqds.insert(name, client);
        }
        self.nsqds = nsqds;
        self.add_named();
        problems
    }

    fn add_named(&mut self) {
        for nsqd in self.connection.http_clients() {
            let address = nsqd.address();
            let name = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
            self.nsqds.entry(name.to_owned()).or_insert_with(|| nsqd.clone());
        }
    }
}

/// A large cluster is not asked all at once.
const AT_A_TIME: usize = 16;
