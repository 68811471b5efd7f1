//! What all nsqds tell together, and how it changes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use gnsq::http::{ChannelStats, Stats};

use super::counts::{Counters, Counts, of_channel, of_topic};

/// What one round of asking brought.
#[derive(Debug, Default)]
pub(super) struct Poll {
    pub(super) nodes: Vec<Polled>,
    /// What is wrong with the nsqlookupds.
    pub(super) problems: Vec<String>,
}

/// What one nsqd said.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) node: String,
    pub(super) answer: Result<Stats, String>,
}

/// The sums over all nsqds, as of the last round.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Topics and channels; a topic comes before its channels.
    pub(super) rows: BTreeMap<Key, Row>,
    pub(super) nodes: Vec<Node>,
    pub(super) problems: Vec<String>,
    /// The clients of the one channel that is looked at.
    pub(super) clients: Vec<Client>,
    pub(super) totals: Totals,
    /// How many rounds there were.
    pub(super) rounds: u64,
    before: BTreeMap<String, Before>,
}

/// A topic, or a channel of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) topic: String,
    pub(super) channel: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) counts: Counts,
    /// Messages a second, once there were two rounds.
    pub(super) rates: Option<Rates>,
    /// The depth at each of the last rounds.
    pub(super) depths: VecDeque<u64>,
}

/// Messages a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Rates {
    /// Published to the topic, or come into the channel.
    pub(super) incoming: f64,
    /// Gone from the channel, mostly since they were finished; of a topic always 0.
    pub(super) outgoing: f64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) version: String,
    /// Why it doesn't answer, or what is wrong with it.
    pub(super) problem: Option<String>,
}

/// A consumer of the channel that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) node: String,
    pub(super) ready: i64,
    pub(super) in_flight: i64,
    pub(super) finished: u64,
    pub(super) requeued: u64,
    pub(super) user_agent: String,
}

/// The whole cluster.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) depth: u64,
    pub(super) in_flight: u64,
    pub(super) rates: Option<Rates>,
    /// The rates at each of the last rounds.
    pub(super) incoming: VecDeque<u64>,
    pub(super) outgoing: VecDeque<u64>,
}

/// The counters of one nsqd when it last answered.
#[derive(Debug)]
struct Before {
    at: Instant,
    start_time: i64,
    counters: BTreeMap<Key, Counters>,
}

impl Model {
    /// Takes in a round of answers, which came at `now`. The clients of `looked_at` are kept one by one.
    pub(super) fn update(&mut self, poll: Poll, looked_at: Option<&Key>, now: Instant) {
        let mut histories: BTreeMap<_, _> =
            std::mem::take(&mut self.rows).into_iter().map(|(key, row)| (key, row.depths)).collect();
        self.rounds += 1;
        self.problems = poll.problems;
        self.nodes.clear();
        self.clients.clear();
        let known: Vec<_> = poll.nodes.iter().map(|polled| polled.node.clone()).collect();
        self.before.retain(|node, _| known.contains(node));
        for Polled { node, answer } in poll.nodes {
            let (version, problem) = match answer {
                Err(problem) => (String::new(), Some(problem)),
                Ok(stats) => {
                    self.add(&node, &stats, looked_at, now);
                    let unwell = stats.health != "OK" && !stats.health.is_empty();
                    (stats.version, unwell.then_some(stats.health))
                }
            };
            self.nodes.push(Node { name: node, version, problem });
        }
        for (key, row) in &mut self.rows {
            row.depths = histories.remove(key).unwrap_or_default();
            remember(&mut row.depths, row.counts.depth);
        }
        self.sum();
    }

    fn add(&mut self, node: &str, stats: &Stats, looked_at: Option<&Key>, now: Instant) {
        // Counters begin anew with the process.
        let before = self.before.remove(node).filter(|before| before.start_time == stats.start_time);
        let mut counters = BTreeMap::new();
        for topic in &stats.topics {
            let key = Key { topic: topic.topic_name.to_string(), channel: None };
            let (counts, now_counters) = of_topic(topic);
            self.add_row(&key, counts, now_counters, before.as_ref(), now);
            counters.insert(key.clone(), now_counters);
            for channel in &topic.channels {
                let key = Key { channel: Some(channel.channel_name.to_string()), ..key.clone() };
                let (counts, now_counters) = of_channel(channel);
                self.add_row(&key, counts, now_counters, before.as_ref(), now);
                if looked_at == Some(&key) {
                    self.clients.extend(clients(channel, node));
                }
                counters.insert(key, now_counters);
            }
        }
        self.before.insert(node.to_owned(), Before { at: now, start_time: stats.start_time, counters });
    }

    fn add_row(&mut self, key: &Key, counts: Counts, counters: Counters, before: Option<&Before>, now: Instant) {
        let row = self.rows.entry(key.clone()).or_default();
        row.counts += counts;
        let Some(before) = before else { return };
        let seconds = now.saturating_duration_since(before.at).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        // What wasn't there before has come since.
        let past = before.counters.get(key).copied().unwrap_or_default();
        // A topic deleted and made again counts from zero.
        let past = if past.messages > counters.messages { Counters::default() } else { past };
        let incoming = counters.messages - past.messages;
        let rates = row.rates.get_or_insert_default();
        rates.incoming += count(incoming) / seconds;
        if key.channel.is_some() {
            rates.outgoing += count(incoming.saturating_add(past.held).saturating_sub(counters.held)) / seconds;
        }
    }

    fn sum(&mut self) {
        let mut rates = None::<Rates>;
        (self.totals.depth, self.totals.in_flight) = (0, 0);
        for (key, row) in &self.rows {
            self.totals.depth = self.totals.depth.saturating_add(row.counts.depth);
            self.totals.in_flight = self.totals.in_flight.saturating_add(row.counts.in_flight);
            if let Some(of_row) = row.rates {
                let all = rates.get_or_insert_default();
                // A message is published once, and comes into each channel.
                all.incoming += if key.channel.is_none() { of_row.incoming } else { 0.0 };
                all.outgoing += of_row.outgoing;
            }
        }
        self.totals.rates = rates;
        if let Some(rates) = rates {
            remember(&mut self.totals.incoming, whole(rates.incoming));
            remember(&mut self.totals.outgoing, whole(rates.outgoing));
        }
    }
}

fn clients<'a>(channel: &'a ChannelStats, node: &'a str) -> impl Iterator<Item = Client> + 'a {
    channel.clients.iter().map(move |client| Client {
        name: if client.client_id.is_empty() { client.remote_address.clone() } else { client.client_id.clone() },
        node: node.to_owned(),
        ready: client.ready_count,
        in_flight: client.in_flight_count,
        finished: client.finish_count,
        requeued: client.requeue_count,
        user_agent: client.user_agent.clone(),
    })
}

#[allow(clippy::cast_precision_loss, reason = "rates are shown with a few digits")]
fn count(messages: u64) -> f64 {
    messages as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is neither negative nor that large")]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

fn remember(history: &mut VecDeque<u64>, value: u64) {
    history.push_back(value);
    if history.len() > MAX_HISTORY {
        history.pop_front();
    }
}

/// As wide as any terminal.
const MAX_HISTORY: usize = 240;

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    /// The answer of an nsqd with one topic and one channel.
    pub(in super::super) fn polled(node: &str, start_time: i64, messages: u64, depth: u64, in_flight: u64) -> Polled {
        let stats = json!({
            "version": "1.3.0", "health": "OK", "start_time": start_time,
            "topics": [{
                "topic_name": "orders", "depth": 2, "message_count": messages, "paused": false,
                "channels": [{
                    "channel_name": "billing", "depth": depth, "in_flight_count": in_flight, "deferred_count": 1,
                    "message_count": messages, "requeue_count": 3, "timeout_count": 1, "client_count": 1, "paused": true,
                    "clients": [{"client_id": "app", "ready_count": 10, "in_flight_count": in_flight, "finish_count": 7}],
                }],
            }],
        });
        Polled { node: node.to_owned(), answer: Ok(serde_json::from_value(stats).unwrap()) }
    }

    pub(in super::super) fn poll(nodes: Vec<Polled>) -> Poll {
        Poll { nodes, problems: Vec::new() }
    }

    pub(in super::super) fn channel() -> Key {
        Key { topic: "orders".to_owned(), channel: Some("billing".to_owned()) }
    }

    fn topic() -> Key {
        Key { channel: None, ..channel() }
    }

    #[test]
    fn counts_are_summed_over_nsqds() {
        let mut model = Model::default();
        model.update(poll(vec![polled("a", 1, 100, 5, 2), polled("b", 1, 50, 1, 0)]), None, Instant::now());
        let row = &model.rows[&channel()];
        let expected = Counts {
            depth: 6,
            on_disk: 0,
            in_flight: 2,
            deferred: 2,
            messages: 150,
            requeued: 6,
            timed_out: 2,
            clients: 2,
            nodes: 2,
            paused: 2,
        };
        assert_eq!((row.counts, row.rates), (expected, None));
        assert_eq!(model.rows[&topic()].counts.depth, 4);
        assert_eq!((model.totals.depth, model.totals.in_flight), (10, 2));
    }

    #[test]
    fn rates_are_what_changed_between_two_rounds() {
        let mut model = Model::default();
        let start = Instant::now();
        model.update(poll(vec![polled("a", 1, 100, 5, 2)]), None, start);
        model.update(poll(vec![polled("a", 1, 300, 15, 2)]), None, start + Duration::from_secs(2));
        // 200 have come, 10 of them still wait.
        assert_eq!(model.rows[&channel()].rates, Some(Rates { incoming: 100.0, outgoing: 95.0 }));
        assert_eq!(model.rows[&topic()].rates, Some(Rates { incoming: 100.0, outgoing: 0.0 }));
        assert_eq!(model.totals.rates, Some(Rates { incoming: 100.0, outgoing: 95.0 }));
        assert_eq!(model.rows[&channel()].depths, [5, 15]);
        assert_eq!(model.totals.incoming, [100]);
    }

    #[test]
    fn an_nsqd_that_restarted_counts_anew() {
        let mut model = Model::default();
        let start = Instant::now();
        model.update(poll(vec![polled("a", 1, 100, 5, 2), polled("b", 1, 100, 0, 0)]), None, start);
        let second = poll(vec![polled("a", 9, 20, 5, 2), polled("b", 1, 110, 0, 0)]);
        model.update(second, None, start + Duration::from_secs(1));
        assert_eq!(model.rows[&channel()].rates, Some(Rates { incoming: 10.0, outgoing: 10.0 }));
    }

    #[test]
    fn an_nsqd_that_did_not_answer_is_shown_and_its_rate_is_made_up_for() {
        let mut model = Model::default();
        let start = Instant::now();
        model.update(poll(vec![polled("a", 1, 100, 5, 2)]), None, start);
        let silent = Polled { node: "a".to_owned(), answer: Err("no answer".to_owned()) };
        model.update(poll(vec![silent]), None, start + Duration::from_secs(1));
        assert_eq!(model.nodes[0].problem.as_deref(), Some("no answer"));
        assert!(model.rows.is_empty());
        model.update(poll(vec![polled("a", 1, 140, 5, 2)]), None, start + Duration::from_secs(2));
        assert_eq!(model.rows[&channel()].rates, Some(Rates { incoming: 20.0, outgoing: 20.0 }));
    }

    #[test]
    fn what_is_gone_leaves_nothing_behind() {
        let mut model = Model::default();
        let start = Instant::now();
        model.update(poll(vec![polled("a", 1, 100, 5, 2)]), None, start);
        model.update(poll(vec![]), None, start + Duration::from_secs(1));
        assert!(model.rows.is_empty() && model.nodes.is_empty() && model.before.is_empty());
        for round in 0..1000 {
            model.update(poll(vec![polled("a", 1, round, 5, 2)]), None, start + Duration::from_secs(round));
        }
        assert_eq!(model.rows[&channel()].depths.len(), MAX_HISTORY);
        assert_eq!(model.totals.incoming.len(), MAX_HISTORY);
    }

    #[test]
    fn the_clients_of_one_channel_are_kept() {
        let mut model = Model::default();
        model.update(poll(vec![polled("a", 1, 100, 5, 2)]), Some(&channel()), Instant::now());
        assert_eq!((model.clients[0].name.as_str(), model.clients[0].node.as_str()), ("app", "a"));
        assert_eq!((model.clients[0].ready, model.clients[0].finished), (10, 7));
    }

    #[test]
    fn numbers_of_any_size_do_no_harm() {
        let mut model = Model::default();
        let start = Instant::now();
        let most = i64::MAX.unsigned_abs();
        for round in 0..3 {
            let nodes = vec![polled("a", 1, u64::MAX - 2 + round, most, most), polled("b", 1, u64::MAX, most, 0)];
            model.update(poll(nodes), Some(&channel()), start + Duration::from_millis(round));
        }
        assert_eq!(model.rows[&channel()].counts.messages, u64::MAX);
    }
}
