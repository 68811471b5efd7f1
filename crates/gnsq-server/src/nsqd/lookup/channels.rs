//! Asks nsqlookupds which channels a topic has elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use gnsq_proto::{ChannelName, TopicName};
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::link::LIMIT;
use super::{Http, LookupPeers};
use crate::nsqd::topic::Topic;

/// Before NSQ 1.0 it was wrapped in `data`.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    channels: Vec<String>,
    data: Option<Channels>,
}

#[derive(Debug, Deserialize)]
struct Channels {
    channels: Vec<String>,
}

impl LookupPeers {
    /// The channels of `topic` that any nsqlookupd knows, without the ephemeral ones: those that have to be there before
    /// its first message is handed out.
    ///
    /// Asks all at once, and is done when all have answered or failed. One that isn't connected is waited for, but only
    /// if this is the first time, and for no longer than a connection may take.
    pub(in crate::nsqd) async fn known_channels(&self, topic: &TopicName) -> Vec<ChannelName> {
        let ask = async {
            let Ok(_place) = self.places.acquire().await else { return BTreeSet::new() };
            self.ask_all(topic).await
        };
        self.stop.run_until_cancelled(ask).await.into_iter().flatten().collect()
    }

    /// Gives a new topic the channels that it has elsewhere, and then lets it pass its messages on.
    pub(in crate::nsqd) async fn prepare(&self, topic: &Arc<Topic>) {
        for channel in self.known_channels(topic.name()).await {
            if let Err(refused) = topic.channel_or_create(&channel) {
                tracing::warn!(topic = %topic.name(), %channel, %refused, "a channel isn't created beforehand");
            }
        }
        topic.release();
    }

    async fn ask_all(&self, topic: &TopicName) -> BTreeSet<ChannelName> {
        let peers: Vec<_> = self.peers.lock().values().map(|peer| peer.http.clone()).collect();
        let mut questions = JoinSet::new();
        for mut http in peers {
            let (client, topic) = (self.client.clone(), topic.clone());
            questions.spawn(async move {
                // Connection, hello and answer have this much time each.
                let known = timeout(LIMIT * 3, http.wait_for(|http| *http != Http::NotYet)).await;
                let Ok(Ok(Http::Known(address))) = known.map(|known| known.map(|http| http.clone())) else {
                    return Vec::new();
                };
                ask(&client, &address, &topic).await.unwrap_or_else(|error| {
                    tracing::warn!(lookupd = address, %topic, error, "an nsqlookupd isn't asked for a topic's channels");
                    Vec::new()
                })
            });
        }
        let mut channels = BTreeSet::new();
        while let Some(answer) = questions.join_next().await {
            let names = answer.unwrap_or_default().into_iter();
            // A name that can't be is of no use.
            channels.extend(names.filter_map(|name| ChannelName::new(name).ok()).filter(|name| !name.is_ephemeral()));
        }
        channels
    }
}

async fn ask(client: &reqwest::Client, address: &str, topic: &TopicName) -> Result<Vec<String>, String> {
    // The one character of a name that a URL doesn't take as it is.
    let url = format!("http://{address}/channels?topic={}", topic.as_str().replace('#', "%23"));
    let request = client.get(url).header(reqwest::header::ACCEPT, "application/vnd.nsq; version=1.0");
    let mut response = request.send().await.map_err(|error| error.to_string())?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(format!("it answers with status {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| error.to_string())? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(format!("its answer has more than {MAX_ANSWER} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    let answer: Answer = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    Ok(answer.data.map_or(answer.channels, |data| data.channels))
}

/// A hundred thousand channels.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
