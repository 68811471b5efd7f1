//! Asking several nsqlookupds for one answer.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use gnsq::LookupdClient;
use gnsq::http::{HttpError, Node};

use crate::exit::Failure;

/// What the nsqlookupds say together.
#[derive(Debug)]
pub(crate) struct Found<T> {
    /// The answers, one for each nsqlookupd that gave one.
    pub(crate) answers: Vec<T>,
    /// Why the others gave none.
    pub(crate) failures: Vec<HttpError>,
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
    let mut found = Found { answers: Vec::new(), failures: Vec::new() };
    let mut clients = Vec::new();
    for resolved in join_all(lookupds.iter().map(LookupdClient::resolved)).await {
        match resolved {
            Ok(resolved) => clients.extend(resolved),
            Err(failure) => found.failures.push(failure),
        }
    }
    for answer in join_all(clients.iter().map(|client| ask(client))).await {
        match answer {
            Ok(answer) => found.answers.push(answer),
            Err(failure) => found.failures.push(failure),
        }
    }
    if found.answers.is_empty() && !lookupds.is_empty() {
        let reasons: Vec<_> = found.failures.iter().map(ToString::to_string).collect();
        return Err(Failure::failed(format!("no nsqlookupd answers: {}", reasons.join("; "))));
    }
    Ok(found)
}

/// Each nsqd that any nsqlookupd has heard of lately, once, in the order of their addresses.
///
/// # Errors
///
/// As [`ask_all`].
pub(crate) async fn nodes(lookupds: &[LookupdClient]) -> Result<(Vec<Node>, Vec<HttpError>), Failure> {
    let found = ask_all(lookupds, async |lookupd| lookupd.nodes().await).await?;
    Ok((union(found.answers), found.failures))
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
