//! Which topics a consumer takes messages of.

use std::collections::BTreeSet;
use std::fmt;

use gnsq_proto::TopicName;

use crate::error::{Error, Result};
#[cfg(feature = "http")]
use crate::{
    address::Address,
    fleet::{Question, usable_address},
    http::{HttpError, LookupdClient},
};

#[derive(Debug, Clone)]
pub(super) enum Topics {
    Named(BTreeSet<TopicName>),
    /// Those whose names match, as nsqlookupd knows them.
    #[cfg(feature = "http")]
    Matching(regex::Regex),
}

impl Topics {
    #[cfg(feature = "http")]
    pub(super) fn matching(pattern: &str) -> Result<Self> {
        let pattern = regex::RegexBuilder::new(pattern).size_limit(MAX_PATTERN_SIZE).build();
        pattern.map(Self::Matching).map_err(|error| {
            // Of a report with the place in the pattern, the last line is the reason.
            let reason = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Error::Option { option: "matching", reason }
        })
    }

    /// Adds one to those that are named.
    pub(super) fn add<T>(&mut self, topic: T) -> Result<()>
    where
        T: TryInto<TopicName, Error: Into<Error>>,
    {
        match self {
            Self::Named(topics) => {
                topics.insert(topic.try_into().map_err(Into::into)?);
                Ok(())
            }
            #[cfg(feature = "http")]
            Self::Matching(_) => {
                let reason = "the pattern says which topics: make it match this one too".to_owned();
                Err(Error::Option { option: "topics", reason })
            }
        }
    }

    /// The names, where these are known beforehand.
    pub(super) fn named(&self) -> impl Iterator<Item = &TopicName> {
        let named = match self {
            Self::Named(topics) => Some(topics),
            #[cfg(feature = "http")]
            Self::Matching(_) => None,
        };
        named.into_iter().flatten()
    }
}

#[cfg(feature = "http")]
impl Question for Topics {
    type Found = (TopicName, Address);

    async fn ask(&self, lookupd: &LookupdClient) -> Result<BTreeSet<Self::Found>, HttpError> {
        let mut found = BTreeSet::new();
        match self {
            Self::Named(topics) => {
                for topic in topics {
                    let producers = lookupd.lookup(topic).await?.producers;
                    let addresses = producers.iter().filter_map(|producer| usable_address(lookupd, producer));
                    found.extend(addresses.map(|address| (topic.clone(), address)));
                }
            }
            // One answer tells the topics of all nsqds, where `/topics` would need a lookup for each.
            Self::Matching(pattern) => {
                for node in lookupd.nodes().await? {
                    let Some(address) = usable_address(lookupd, &node.producer) else { continue };
                    let wanted =
                        |topic: &crate::http::NodeTopic| !topic.tombstoned && pattern.is_match(topic.topic.as_str());
                    let topics = node.topics.into_iter().filter(wanted);
                    found.extend(topics.map(|topic| (topic.topic, address.clone())));
                }
            }
        }
        Ok(found)
    }
}

impl fmt::Display for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(topics) => {
                let names: Vec<_> = topics.iter().map(TopicName::as_str).collect();
                f.write_str(&names.join(","))
            }
            #[cfg(feature = "http")]
            Self::Matching(pattern) => f.write_str(pattern.as_str()),
        }
    }
}

/// Bytes that a compiled pattern may take: a name has at most 64 characters, and no pattern for that needs more.
#[cfg(feature = "http")]
const MAX_PATTERN_SIZE: usize = 1 << 20;

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_is_none_is_refused_with_the_reason() {
        for (pattern, reason) in [
            ("orders(", "unclosed group"),
            ("[z-a]", "invalid character class range"),
            ("(a{1000}){1000}", "exceeds size limit"),
        ] {
            let error = Topics::matching(pattern).unwrap_err().to_string();
            assert!(error.starts_with("option matching: ") && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_pattern_says_alone_which_topics() {
        let error = Topics::matching("^orders").unwrap().add("bills").unwrap_err().to_string();
        assert!(error.starts_with("option topics: "), "{error}");
    }
}
