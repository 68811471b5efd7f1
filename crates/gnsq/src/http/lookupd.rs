//! The HTTP API of an nsqlookupd.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bytes::Bytes;
use gnsq_proto::{ChannelName, TopicName};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::builder::{HttpClient, HttpClientBuilder};
use super::transport::{Settings, Transport};
use super::types::{Channels, Nodes, Topics};
use super::{HttpError, Lookup, LookupdInfo, Node, Registration};

/// A client of one nsqlookupd's HTTP API.
///
/// An nsqlookupd knows the nsqds that announce themselves to it. Several know nothing of each other: ask them all, and
/// take the union. Clones share their connections.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use gnsq::TopicName;
/// use gnsq::http::LookupdClient;
///
/// let lookupd = LookupdClient::new("http://127.0.0.1:4161")?;
/// for producer in lookupd.lookup(&TopicName::new("orders")?).await?.producers {
///     println!("{:?}", producer.tcp_address());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LookupdClient {
    transport: Transport,
}

impl LookupdClient {
    /// A client of the nsqlookupd at `address`, with the defaults of [`HttpClientBuilder`]. Nothing is connected yet.
    ///
    /// `address` is `host`, `host:port`, `[ipv6]:port` (port 4161 when there is none), or a URL beginning with
    /// `http://` or `https://`, which means what it means elsewhere: without a port, 80 or 443. A path is kept as a
    /// prefix of each endpoint's. A query goes with every request, and is shown nowhere: it may be a secret.
    ///
    /// # Errors
    ///
    /// As [`HttpClientBuilder::build`].
    pub fn new(address: impl Into<String>) -> Result<Self, HttpError> {
        Self::builder(address).build()
    }

    /// Sets up a client of the nsqlookupd at `address`, which is as for [`new`](Self::new).
    pub fn builder(address: impl Into<String>) -> HttpClientBuilder<Self> {
        HttpClientBuilder::new(address)
    }

    /// The server's URL, such as `http://127.0.0.1:4161/`.
    pub fn address(&self) -> &str {
        self.transport.base().as_str()
    }

    /// The only IP address that this client uses, if [`resolve`](HttpClientBuilder::resolve) or
    /// [`resolved`](Self::resolved) chose one.
    pub fn resolved_to(&self) -> Option<IpAddr> {
        self.transport.settings().pinned.map(|address| address.ip())
    }

    /// Looks the host's name up now, and gives a client for each of its addresses, in a stable order.
    ///
    /// One name may stand for several nsqlookupd, each of which has to be asked. All else stays the same: the name
    /// in requests and for TLS, the port, the options. A client whose host is an IP address, or that uses one
    /// address already, gives only itself.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), gnsq::http::HttpError> {
    /// use gnsq::http::LookupdClient;
    ///
    /// for lookupd in LookupdClient::new("nsqlookupd.internal")?.resolved().await? {
    ///     println!("{:?}: {:?}", lookupd.resolved_to(), lookupd.topics().await);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Connect`](HttpError::Connect) when the name is not known, [`Timeout`](HttpError::Timeout) when the answer
    /// takes longer than `connect_timeout`.
    pub async fn resolved(&self) -> Result<Vec<Self>, HttpError> {
        let (base, settings) = (self.transport.base(), self.transport.settings());
        let (Some(domain), None) = (base.domain(), settings.pinned) else {
            return Ok(vec![self.clone()]);
        };
        let url = || base.as_str().to_owned();
        let after = settings.connect_timeout;
        let addresses: BTreeSet<_> = timeout(after, lookup_host((domain, base.port())))
            .await
            .map_err(|_| HttpError::Timeout { url: url(), after, connecting: true })?
            .map_err(|error| HttpError::Connect { url: url(), source: Box::new(error) })?
            .collect();
        addresses
            .into_iter()
            .map(|address| Settings { pinned: Some(address), ..settings.clone() })
            .map(|settings| Transport::new(base.clone(), settings).map(Self::over))
            .collect()
    }

    /// Makes sure that nsqlookupd is there.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn ping(&self) -> Result<(), HttpError> {
        self.transport.get(&["ping"]).send().await?.ok()
    }

    /// nsqlookupd's version.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn info(&self) -> Result<LookupdInfo, HttpError> {
        self.transport.get(&["info"]).send().await?.json()
    }

    /// Each nsqd that has the topic, and the topic's channels.
    ///
    /// A topic that nsqlookupd does not know (it answers 404 `TOPIC_NOT_FOUND`) has none of either, and is no error:
    /// this is how it is before the first message is published.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn lookup(&self, topic: &TopicName) -> Result<Lookup, HttpError> {
        match self.transport.get(&["lookup"]).query("topic", topic.as_str()).send().await {
            Err(error) if error.is_not_found() => Ok(Lookup::default()),
            answer => answer?.json(),
        }
    }

    /// All topics, also those that no nsqd has any more.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn topics(&self) -> Result<Vec<TopicName>, HttpError> {
        let topics: Topics = self.transport.get(&["topics"]).send().await?.json()?;
        Ok(topics.topics)
    }

    /// The topic's channels; none for a topic that nsqlookupd does not know.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn channels(&self, topic: &TopicName) -> Result<Vec<ChannelName>, HttpError> {
        let request = self.transport.get(&["channels"]).query("topic", topic.as_str());
        let channels: Channels = request.send().await?.json()?;
        Ok(channels.channels)
    }

    /// Each nsqd that was heard of lately, with its topics.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn nodes(&self) -> Result<Vec<Node>, HttpError> {
        let nodes: Nodes = self.transport.get(&["nodes"]).send().await?.json()?;
        Ok(nodes.producers)
    }

    /// Makes the topic known, without any nsqd that has it.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn create_topic(&self, topic: &TopicName) -> Result<(), HttpError> {
        self.transport.post(&["topic", "create"]).query("topic", topic.as_str()).send().await?;
        Ok(())
    }

    /// Forgets the topic and its channels, known or not. An nsqd that has the topic keeps it, and announces it again
    /// when it connects again: delete it there, too.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn delete_topic(&self, topic: &TopicName) -> Result<(), HttpError> {
        self.transport.post(&["topic", "delete"]).query("topic", topic.as_str()).send().await?;
        Ok(())
    }

    /// Makes the channel known (and the topic), without any nsqd that has it: an nsqd that makes the topic later makes
    /// the channel with it.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn create_channel(&self, topic: &TopicName, channel: &ChannelName) -> Result<(), HttpError> {
        self.channel("create", topic, channel).await
    }

    /// Forgets the channel. An nsqd that has it keeps it: delete it there, too.
    ///
    /// # Errors
    ///
    /// `CHANNEL_NOT_FOUND`, told by [`is_not_found`](HttpError::is_not_found), also when the topic is not known.
    pub async fn delete_channel(&self, topic: &TopicName, channel: &ChannelName) -> Result<(), HttpError> {
        self.channel("delete", topic, channel).await
    }

    /// Leaves an nsqd out of lookups of the topic for a while (nsqlookupd's `-tombstone-lifetime`, 45 s), so that
    /// consumers do not come back while the topic is deleted there.
    ///
    /// `node` is what [`Producer::node`](super::Producer::node) tells: `broadcast_address:http_port`, an IPv6 address
    /// without brackets. A node that nsqlookupd does not know is no error.
    ///
    /// # Errors
    ///
    /// `MISSING_ARG_NODE` when `node` is empty.
    pub async fn tombstone_topic(&self, topic: &TopicName, node: &str) -> Result<(), HttpError> {
        let request = self.transport.post(&["topic", "tombstone"]).query("topic", topic.as_str());
        // To nsqlookupd, a parameter without a value is there.
        let request = if node.is_empty() { request } else { request.query("node", node) };
        request.send().await?;
        Ok(())
    }

    /// All that nsqlookupd knows: under `category:topic:channel` (where the category is `client`, `topic` or
    /// `channel`, and the rest may be empty) each nsqd that registered it.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn debug(&self) -> Result<BTreeMap<String, Vec<Registration>>, HttpError> {
        self.transport.get(&["debug"]).send().await?.json()
    }

    /// The answer of any other endpoint that is read with GET, such as `debug/pprof/cmdline`.
    ///
    /// # Errors
    ///
    /// See [`HttpError`]; `NOT_FOUND` for a path that nsqlookupd does not have.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Bytes, HttpError> {
        self.transport.get_path(path, query).await
    }

    async fn channel(&self, action: &str, topic: &TopicName, channel: &ChannelName) -> Result<(), HttpError> {
        let request = self.transport.post(&["channel", action]).query("topic", topic.as_str());
        request.query("channel", channel.as_str()).send().await?;
        Ok(())
    }
}

impl HttpClient for LookupdClient {
    const DEFAULT_PORT: u16 = 4161;

    fn over(transport: Transport) -> Self {
        Self { transport }
    }
}
