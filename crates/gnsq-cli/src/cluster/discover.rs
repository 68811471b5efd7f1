//! Asking several servers for one answer.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use gnsq::http::{HttpError, Node, StatsOptions};
use gnsq::{LookupdClient, NsqdHttpClient, TopicName};

use super::action::{Server, Step, lookupd_address};
use crate::exit::Failure;
use crate::options::Connection;

/// What the nsqlookupds say together.
#[derive(Debug)]
pub(crate) struct Found<T> {
    /// The answers, one for each nsqlookupd that gave one.
    pub(crate) answers: Vec<T>,
    /// The addresses of the others, and why they gave none.
    pub(crate) failures: Vec<(String, HttpError)>,
}

/// A client for each address of each nsqlookupd's name, and the names that aren't known.
pub(crate) async fn resolve(lookupds: &[LookupdClient]) -> Found<LookupdClient> {
    let mut found = Found { answers: Vec::new(), failures: Vec::new() };
    let resolving = lookupds.iter().map(async |lookupd| (lookupd, lookupd.resolved().await));
    for (lookupd, resolved) in join_all(resolving).await {
        match resolved {
            Ok(resolved) => found.answers.extend(resolved),
            Err(failure) => found.failures.push((lookupd.address().to_owned(), failure)),
        }
    }
    found
}

/// Asks each nsqlookupd, at each address of its name, at the same time.
///
/// # Errors
///
/// When none answers, with the reasons.
pub(crate) async fn ask_all<T>(
    lookupds: &[LookupdClient],
    ask: impl AsyncFn(&LookupdClient) -> Result<T, HttpError>,
) -> Result<Found<T>, Failure> {
    let Found { answers: clients, mut failures } = resolve(lookupds).await;
    let mut answers = Vec::new();
    for (client, answer) in join_all(clients.iter().map(async |client| (client, ask(client).await))).await {
        match answer {
            Ok(answer) => answers.push(answer),
            Err(failure) => failures.push((lookupd_address(client), failure)),
        }
    }
    if answers.is_empty() && !lookupds.is_empty() {
        let reasons: Vec<_> = failures.iter().map(|(_, failure)| failure.to_string()).collect();
        return Err(Failure::failed(format!("no nsqlookupd answers: {}", reasons.join("; "))));
    }
    Ok(Found { answers, failures })
}

/// Each nsqd that any nsqlookupd has heard of lately, once, in the order of their addresses.
///
/// # Errors
///
/// As [`ask_all`].
pub(crate) async fn nodes(lookupds: &[LookupdClient]) -> Result<Found<Node>, Failure> {
    let Found { answers, failures } = ask_all(lookupds, async |lookupd| lookupd.nodes().await).await?;
    Ok(Found { answers: union(answers), failures })
}

/// Each nsqd that has the topic: those of which any nsqlookupd says so, and those of the nsqds named that say so
/// themselves. Servers that could not be asked are in `steps`.
///
/// # Errors
///
/// As [`ask_all`].
pub(crate) async fn holders(
    connection: &Connection,
    topic: &TopicName,
    steps: &mut Vec<Step>,
) -> Result<Vec<NsqdHttpClient>, Failure> {
    let Found { answers, failures } =
        ask_all(&connection.lookupds, async |lookupd| lookupd.lookup(topic).await).await?;
    steps.extend(failures.into_iter().map(|(address, failure)| Step::lookup_failed(address, failure)));
    let mut holders: BTreeMap<String, NsqdHttpClient> = BTreeMap::new();
    for producer in answers.into_iter().flat_map(|lookup| lookup.producers) {
        let Some(address) = producer.http_address() else {
            tracing::warn!(nsqd = %producer.hostname, "it has no HTTP port, so it can't be asked");
            continue;
        };
        let client = connection.nsqd_http_client(&address).map_err(Failure::failed)?;
        holders.insert(client.address().to_owned(), client);
    }
    let options = StatsOptions::new().topic(topic).include_clients(false).include_mem(false);
    let asking = connection.http_clients().iter().map(async |nsqd| (nsqd, nsqd.stats(&options).await));
    for (nsqd, stats) in join_all(asking).await {
        match stats {
            Ok(stats) if stats.topics.is_empty() => {}
            Ok(_) => drop(holders.insert(nsqd.address().to_owned(), nsqd.clone())),
            Err(failure) => steps.push(Server::Nsqd(nsqd.clone()).step("ask", Err(failure))),
        }
    }
    Ok(holders.into_values().collect())
}

/// One node for each address. A topic is tombstoned if any nsqlookupd says so.
fn union(answers: Vec<Vec<Node>>) -> Vec<Node> {
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    for node in answers.into_iter().flatten() {
        match nodes.get_mut(&node.producer.node()) {
            None => drop(nodes.insert(node.producer.node(), node)),
            Some(known) => {
                for topic in node.topics {
                    match known.topics.iter_mut().find(|other| other.topic == topic.topic) {
                        Some(other) => other.tombstoned |= topic.tombstoned,
                        None => known.topics.push(topic),
                    }
                }
            }
        }
    }
    for node in nodes.values_mut() {
        node.topics.sort_by(|a, b| a.topic.cmp(&b.topic));
    }
    nodes.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16, topics: &[(&str, bool)]) -> Node {
        let (names, tombstones): (Vec<_>, Vec<_>) = topics.iter().copied().unzip();
        let json =
            serde_json::json!({"broadcast_address": "h", "http_port": port, "topics": names, "tombstones": tombstones});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn an_nsqd_that_several_nsqlookupds_know_is_one() {
        let all =
            union(vec![vec![node(2, &[("b", false)]), node(1, &[])], vec![node(2, &[("a", false), ("b", true)])]]);
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].producer.node(), "h:2");
        let topics: Vec<_> = all[1].topics.iter().map(|topic| (topic.topic.as_str(), topic.tombstoned)).collect();
        assert_eq!(topics, [("a", false), ("b", true)]);
    }
}
