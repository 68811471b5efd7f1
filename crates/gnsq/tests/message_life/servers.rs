//! An nsqd of either kind.

use std::time::Duration;

use gnsq::http::{ChannelStats, StatsOptions};
use gnsq::{Address, ConnectionConfig, ConsumerBuilder, NsqdHttpClient, Producer};
use gnsq_testkit::eventually;

use super::support::{CHANNEL, DEADLINE, TOPIC, consumer};

pub(crate) struct Server {
    pub(crate) address: Address,
    pub(crate) http: NsqdHttpClient,
    _process: Process,
}

enum Process {
    Real { _nsqd: gnsq_testkit::Nsqd },
    Embedded { _nsqd: gnsq_server::Nsqd },
}

impl Server {
    pub(crate) async fn real() -> Self {
        let nsqd = gnsq_testkit::Nsqd::start().await;
        let http = NsqdHttpClient::new(nsqd.http_url()).unwrap();
        Self { address: nsqd.tcp_address().into(), http, _process: Process::Real { _nsqd: nsqd } }
    }

    pub(crate) async fn embedded() -> Self {
        let nsqd = gnsq_server::Nsqd::start().await.unwrap();
        let http = NsqdHttpClient::new(nsqd.http_url()).unwrap();
        Self { address: nsqd.tcp_address().parse().unwrap(), http, _process: Process::Embedded { _nsqd: nsqd } }
    }

    /// A consumer whose messages nsqd takes back after a second.
    pub(crate) fn short_lived(&self) -> ConsumerBuilder {
        let config = ConnectionConfig::new().msg_timeout(Duration::from_secs(1));
        consumer().nsqd(self.address.clone()).connection(config)
    }

    pub(crate) async fn publish(&self, bodies: impl IntoIterator<Item = impl Into<bytes::Bytes>>) {
        let producer = Producer::builder().nsqd(self.address.clone()).build().unwrap();
        for body in bodies {
            producer.publish(TOPIC, body).await.unwrap();
        }
        producer.close().await;
    }

    pub(crate) async fn channel(&self) -> ChannelStats {
        self.topic().await.1.expect("somebody has subscribed")
    }

    /// What waits in the topic, and the channel if it is there.
    async fn topic(&self) -> (i64, Option<ChannelStats>) {
        let stats = self.http.stats(&StatsOptions::new()).await.unwrap();
        let topic = stats.topics.into_iter().find(|topic| topic.topic_name.as_str() == TOPIC).unwrap();
        (topic.depth, topic.channels.into_iter().find(|channel| channel.channel_name.as_str() == CHANNEL))
    }

    /// Takes all messages from everyone.
    pub(crate) async fn empty_channel(&self) {
        self.http.empty_channel(&TOPIC.parse().unwrap(), &CHANNEL.parse().unwrap()).await.unwrap();
    }

    /// Waits until nothing waits in the channel, and nobody has anything.
    pub(crate) async fn wait_until_empty(&self) -> ChannelStats {
        eventually(DEADLINE, "an empty channel", async || {
            let (waiting, channel) = self.topic().await;
            let channel = channel?;
            (waiting + channel.depth + channel.deferred_count + channel.in_flight_count == 0).then_some(channel)
        })
        .await
    }
}
