//! Which topics to read.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream;
use gnsq::{LookupdClient, TopicName};
use regex::Regex;

use crate::cluster;
use crate::exit::Failure;

/// All topics that any nsqlookupd knows.
pub(super) async fn known(lookupds: &[LookupdClient]) -> Result<BTreeSet<TopicName>, Failure> {
    let found = cluster::ask_all(lookupds, async |lookupd| lookupd.topics().await).await?;
    for (_, failure) in &found.failures {
        tracing::warn!("{failure}");
    }
    Ok(found.answers.into_iter().flatten().collect())
}

/// The topics that match, each once: at each interval those that are new. It never ends.
pub(super) fn matching(
    lookupds: Vec<LookupdClient>,
    regex: Regex,
    interval: Duration,
    seen: BTreeSet<TopicName>,
) -> impl Stream<Item = Vec<TopicName>> {
    stream::unfold((lookupds, regex, seen), move |(lookupds, regex, mut seen)| async move {
        loop {
            tokio::time::sleep(interval).await;
            let topics = match known(&lookupds).await {
                Ok(topics) => topics,
                Err(failure) => {
                    tracing::warn!("{failure}");
                    continue;
                }
            };
            let new = unseen(topics, &regex, &mut seen);
            if !new.is_empty() {
                return Some((new, (lookupds, regex, seen)));
            }
        }
    })
}

/// The matching ones that are not among `seen`, where they are from now on.
pub(super) fn unseen(topics: BTreeSet<TopicName>, regex: &Regex, seen: &mut BTreeSet<TopicName>) -> Vec<TopicName> {
    let new: Vec<_> =
        topics.into_iter().filter(|topic| regex.is_match(topic.as_str()) && !seen.contains(topic)).collect();
    seen.extend(new.iter().cloned());
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_new_once() {
        let topics = |names: &[&str]| names.iter().map(|name| TopicName::new(name).unwrap()).collect::<BTreeSet<_>>();
        let regex = Regex::new("^log").unwrap();
        let mut seen = topics(&["log.a"]);
        let new = unseen(topics(&["log.a", "log.b", "orders", "catalog"]), &regex, &mut seen);
        assert_eq!(new, [TopicName::new("log.b").unwrap()]);
        assert!(unseen(topics(&["log.a", "log.b"]), &regex, &mut seen).is_empty());
    }
}
