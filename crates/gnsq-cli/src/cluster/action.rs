//! What is done to topics and channels, server by server.

use std::fmt;

use futures_util::StreamExt;
use futures_util::stream;
use gnsq::http::HttpError;
use gnsq::{ChannelName, LookupdClient, NsqdHttpClient, TopicName};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
}

/// What it is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Topic(TopicName),
    Channel(TopicName, ChannelName),
}

/// A server to do it on.
#[derive(Debug, Clone)]
pub(crate) enum Server {
    Nsqd(NsqdHttpClient),
    Lookupd(LookupdClient),
}

/// What became of it on one server.
#[derive(Debug)]
pub(crate) struct Step {
    /// `nsqd` or `nsqlookupd`.
    pub(crate) server: &'static str,
    pub(crate) address: String,
    /// What was to be done, in a word.
    pub(crate) action: &'static str,
    pub(crate) result: StepResult,
}

/// What a server said.
#[derive(Debug)]
pub(crate) enum StepResult {
    Done,
    /// It has no such topic or channel.
    Absent,
    Failed(HttpError),
}

impl Step {
    /// An nsqlookupd could not be asked.
    pub(crate) fn lookup_failed(address: String, failure: HttpError) -> Self {
        Self { server: "nsqlookupd", address, action: "ask", result: StepResult::Failed(failure) }
    }
}

impl Target {
    pub(crate) fn topic(&self) -> &TopicName {
        match self {
            Self::Topic(topic) | Self::Channel(topic, _) => topic,
        }
    }

    pub(crate) fn channel(&self) -> Option<&ChannelName> {
        match self {
            Self::Topic(_) => None,
            Self::Channel(_, channel) => Some(channel),
        }
    }
}

impl Verb {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Empty => "empty",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
        }
    }
}

impl Server {
    /// What `result` is of something done on it.
    pub(crate) fn step(&self, action: &'static str, result: Result<(), HttpError>) -> Step {
        let (server, address) = match self {
            Self::Nsqd(client) => ("nsqd", client.address().to_owned()),
            Self::Lookupd(client) => ("nsqlookupd", lookupd_address(client)),
        };
        let result = match result {
            Ok(()) => StepResult::Done,
            Err(error) if error.is_not_found() => StepResult::Absent,
            Err(error) => StepResult::Failed(error),
        };
        Step { server, address, action, result }
    }

    async fn carry_out(self, verb: Verb, target: &Target) -> Step {
        let result = match &self {
            Self::Nsqd(nsqd) => on_nsqd(nsqd, verb, target).await,
            Self::Lookupd(lookupd) => on_lookupd(lookupd, verb, target).await,
        };
        self.step(verb.word(), result)
    }
}

/// Does it on each of the servers, some at a time; the steps are in the servers' order.
pub(crate) async fn carry_out(servers: Vec<Server>, verb: Verb, target: &Target) -> Vec<Step> {
    let steps: Vec<_> = servers.into_iter().map(|server| server.carry_out(verb, target)).collect();
    stream::iter(steps).buffered(AT_A_TIME).collect().await
}

/// Its URL, and which of its name's addresses it is asked at.
pub(crate) fn lookupd_address(client: &LookupdClient) -> String {
    match client.resolved_to() {
        Some(ip) => format!("{} ({ip})", client.address()),
        None => client.address().to_owned(),
    }
}

async fn on_nsqd(nsqd: &NsqdHttpClient, verb: Verb, target: &Target) -> Result<(), HttpError> {
    match (target, verb) {
        (Target::Topic(topic), Verb::Create) => nsqd.create_topic(topic).await,
        (Target::Topic(topic), Verb::Delete) => nsqd.delete_topic(topic).await,
        (Target::Topic(topic), Verb::Empty) => nsqd.empty_topic(topic).await,
        (Target::Topic(topic), Verb::Pause) => nsqd.pause_topic(topic).await,
        (Target::Topic(topic), Verb::Unpause) => nsqd.unpause_topic(topic).await,
        (Target::Channel(topic, channel), Verb::Create) => nsqd.create_channel(topic, channel).await,
        (Target::Channel(topic, channel), Verb::Delete) => nsqd.delete_channel(topic, channel).await,
        (Target::Channel(topic, channel), Verb::Empty) => nsqd.empty_channel(topic, channel).await,
        (Target::Channel(topic, channel), Verb::Pause) => nsqd.pause_channel(topic, channel).await,
        (Target::Channel(topic, channel), Verb::Unpause) => nsqd.unpause_channel(topic, channel).await,
    }
}

async fn on_lookupd(lookupd: &LookupdClient, verb: Verb, target: &Target) -> Result<(), HttpError> {
    match (target, verb) {
        (Target::Topic(topic), Verb::Create) => lookupd.create_topic(topic).await,
        (Target::Topic(topic), Verb::Delete) => lookupd.delete_topic(topic).await,
        (Target::Channel(topic, channel), Verb::Create) => lookupd.create_channel(topic, channel).await,
        (Target::Channel(topic, channel), Verb::Delete) => lookupd.delete_channel(topic, channel).await,
        // nsqlookupd has no messages: these are done on nsqds only.
        (_, Verb::Empty | Verb::Pause | Verb::Unpause) => Ok(()),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(topic) => write!(f, "topic {topic}"),
            Self::Channel(topic, channel) => write!(f, "channel {channel} of topic {topic}"),
        }
    }
}

/// A large cluster is not asked all at once.
const AT_A_TIME: usize = 16;
