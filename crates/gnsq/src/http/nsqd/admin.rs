//! Topics and channels of one nsqd.

use gnsq_proto::{ChannelName, TopicName};

use super::NsqdHttpClient;
use crate::http::HttpError;

impl NsqdHttpClient {
    /// Makes the topic on this nsqd, which then announces it to nsqlookupd. A topic that exists stays as it is.
    ///
    /// # Errors
    ///
    /// See [`HttpError`].
    pub async fn create_topic(&self, topic: &TopicName) -> Result<(), HttpError> {
        self.topic("create", topic).await
    }

    /// Deletes the topic with its channels and messages, and closes the connections of its consumers. A consumer that
    /// connects again makes it again.
    ///
    /// # Errors
    ///
    /// `TOPIC_NOT_FOUND`, told by [`is_not_found`](HttpError::is_not_found).
    pub async fn delete_topic(&self, topic: &TopicName) -> Result<(), HttpError> {
        self.topic("delete", topic).await
    }

    /// Drops the messages that wait in the topic itself; those in its channels stay.
    ///
    /// # Errors
    ///
    /// `TOPIC_NOT_FOUND`, told by [`is_not_found`](HttpError::is_not_found).
    pub async fn empty_topic(&self, topic: &TopicName) -> Result<(), HttpError> {
        self.topic("empty", topic).await
    }

    /// Holds messages back in the topic: channels get none until it is unpaused. It outlives a restart of nsqd.
    ///
    /// # Errors
    ///
    /// `TOPIC_NOT_FOUND`, told by [`is_not_found`](HttpError::is_not_found).
    pub async fn pause_topic(&self, topic: &TopicName) -> Result<(), HttpError> {
        self.topic("pause", topic).await
    }

    /// Lets messages go from the topic to its channels again.
    ///
    /// # Errors
    ///
    /// `TOPIC_NOT_FOUND`, told by [`is_not_found`](HttpError::is_not_found).
    pub async fn unpause_topic(&self, topic: &TopicName) -> Result<(), HttpError> {
        self.topic("unpause", topic).await
    }

    /// Makes the channel, which gets every message published from now on; the topic's first channel also gets those
    /// that wait in the topic. A channel that exists stays as it is.
    ///
    /// # Errors
    ///
    /// `TOPIC_NOT_FOUND`, told by [`is_not_found`](HttpError::is_not_found): the topic must exist.
    pub async fn create_channel(&self, topic: &TopicName, channel: &ChannelName) -> Result<(), HttpError> {
        self.channel("create", topic, channel).await
    }

    /// Deletes the channel with its messages, and closes the connections of its consumers. A consumer that connects
    /// again makes it again.
    ///
    /// # Errors
    ///
    /// `TOPIC_NOT_FOUND` or `CHANNEL_NOT_FOUND`, told by [`is_not_found`](HttpError::is_not_found).
    pub async fn delete_channel(&self, topic: &TopicName, channel: &ChannelName) -> Result<(), HttpError> {
        self.channel("delete", topic, channel).await
    }

    /// Drops the channel's messages, also those in flight and those deferred.
    ///
    /// # Errors
    ///
    /// `TOPIC_NOT_FOUND` or `CHANNEL_NOT_FOUND`, told by [`is_not_found`](HttpError::is_not_found).
    pub async fn empty_channel(&self, topic: &TopicName, channel: &ChannelName) -> Result<(), HttpError> {
        self.channel("empty", topic, channel).await
    }

    /// Holds messages back in the channel: consumers get none until it is unpaused. It outlives a restart of nsqd.
    ///
    /// # Errors
    ///
    /// `TOPIC_NOT_FOUND` or `CHANNEL_NOT_FOUND`, told by [`is_not_found`](HttpError::is_not_found).
    pub async fn pause_channel(&self, topic: &TopicName, channel: &ChannelName) -> Result<(), HttpError> {
        self.channel("pause", topic, channel).await
    }

    /// Lets messages go from the channel to its consumers again.
    ///
    /// # Errors
    ///
    /// `TOPIC_NOT_FOUND` or `CHANNEL_NOT_FOUND`, told by [`is_not_found`](HttpError::is_not_found).
    pub async fn unpause_channel(&self, topic: &TopicName, channel: &ChannelName) -> Result<(), HttpError> {
        self.channel("unpause", topic, channel).await
    }

    async fn topic(&self, action: &str, topic: &TopicName) -> Result<(), HttpError> {
        self.transport.post(&["topic", action]).query("topic", topic.as_str()).send().await?;
        Ok(())
    }

    async fn channel(&self, action: &str, topic: &TopicName, channel: &ChannelName) -> Result<(), HttpError> {
        let request = self.transport.post(&["channel", action]).query("topic", topic.as_str());
        request.query("channel", channel.as_str()).send().await?;
        Ok(())
    }
}
