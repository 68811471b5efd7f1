//! Reading statistics.

use gnsq_proto::{ChannelName, TopicName};

use super::NsqdHttpClient;
use crate::http::transport::Request;
use crate::http::{HttpError, Stats};

/// Which statistics to read. The default is all of them.
///
/// ```
/// use gnsq::http::StatsOptions;
///
/// // The depths of one topic's channels, cheap to make and to read.
/// let options = StatsOptions::new().topic(gnsq::TopicName::new("orders")?).include_clients(false).include_mem(false);
/// # Ok::<(), gnsq::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsOptions {
    topic: Option<TopicName>,
    channel: Option<ChannelName>,
    include_clients: bool,
    include_mem: bool,
}

impl StatsOptions {
    /// All statistics.
    pub fn new() -> Self {
        Self { topic: None, channel: None, include_clients: true, include_mem: true }
    }

    /// Only this topic. Default: all.
    pub fn topic(mut self, topic: impl Into<TopicName>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Only this channel of each topic. Default: all.
    pub fn channel(mut self, channel: impl Into<ChannelName>) -> Self {
        self.channel = Some(channel.into());
        self
    }

    /// Whether to list the clients of each channel, and the producers. Default: true.
    pub fn include_clients(mut self, include: bool) -> Self {
        self.include_clients = include;
        self
    }

    /// Whether to tell of nsqd's memory, for which it stops for a moment. Default: true.
    pub fn include_mem(mut self, include: bool) -> Self {
        self.include_mem = include;
        self
    }
}

impl Default for StatsOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl NsqdHttpClient {
    /// What nsqd counts of its topics, channels and clients.
    ///
    /// A topic or channel that nsqd does not have is no error: the lists are empty.
    ///
    /// # Errors
    ///
    /// [`ResponseTooLarge`](HttpError::ResponseTooLarge) when there are more topics and clients than fit in
    /// `max_response_size`; ask for less.
    pub async fn stats(&self, options: &StatsOptions) -> Result<Stats, HttpError> {
        self.stats_request("json", options).send().await?.json()
    }

    /// The same for people to read.
    ///
    /// # Errors
    ///
    /// As [`stats`](Self::stats).
    pub async fn stats_text(&self, options: &StatsOptions) -> Result<String, HttpError> {
        self.stats_request("text", options).send().await?.text()
    }

    fn stats_request(&self, format: &str, options: &StatsOptions) -> Request<'_> {
        let mut request = self.transport.get(&["stats"]).query("format", format);
        if let Some(topic) = &options.topic {
            request = request.query("topic", topic.as_str());
        }
        if let Some(channel) = &options.channel {
            request = request.query("channel", channel.as_str());
        }
        // The defaults go unsaid: servers before 1.1 don't know these.
        if !options.include_clients {
            request = request.query("include_clients", "false");
        }
        if !options.include_mem {
            request = request.query("include_mem", "false");
        }
        request
    }
}
