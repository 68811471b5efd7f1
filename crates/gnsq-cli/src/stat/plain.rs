//! The model as text: a table for people, a line of JSON for machines.

use std::fmt::Write;

use serde::Serialize;

use super::model::{Client, Key, Model, Node, Rates, Row};
use crate::table::{self, Align};
use crate::time::Utc;

/// A round as a line of JSON.
#[derive(Serialize)]
struct Round<'a> {
    time: String,
    nodes: Vec<NodeLine<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    problems: &'a [String],
    topics: Vec<TopicLine<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    clients: Vec<ClientLine<'a>>,
}

#[derive(Serialize)]
struct NodeLine<'a> {
    node: &'a str,
    version: &'a str,
    answers: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
}

#[derive(Serialize)]
struct TopicLine<'a> {
    topic: &'a str,
    depth: u64,
    backend_depth: u64,
    message_count: u64,
    nodes: u64,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_per_second: Option<f64>,
    channels: Vec<ChannelLine<'a>>,
}

#[derive(Serialize)]
struct ChannelLine<'a> {
    channel: &'a str,
    depth: u64,
    backend_depth: u64,
    in_flight_count: u64,
    deferred_count: u64,
    message_count: u64,
    requeue_count: u64,
    timeout_count: u64,
    client_count: u64,
    nodes: u64,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_per_second: Option<f64>,
}

#[derive(Serialize)]
struct ClientLine<'a> {
    client: &'a str,
    node: &'a str,
    ready_count: i64,
    in_flight_count: i64,
    finish_count: u64,
    requeue_count: u64,
    user_agent: &'a str,
}

/// A table of topics and channels, the clients that are looked at, and what doesn't answer. Rates are there from the
/// second round on.
pub(super) fn text(model: &Model) -> String {
    let head = [
        ("TOPIC", Align::Left),
        ("CHANNEL", Align::Left),
        ("DEPTH", Align::Right),
        ("IN FLIGHT", Align::Right),
        ("DEFERRED", Align::Right),
        ("IN/S", Align::Right),
        ("OUT/S", Align::Right),
        ("REQUEUED", Align::Right),
        ("TIMED OUT", Align::Right),
        ("MESSAGES", Align::Right),
        ("CLIENTS", Align::Right),
        ("NODES", Align::Right),
        ("", Align::Left),
    ];
    let rows: Vec<_> = model.rows.iter().map(|(key, row)| cells(key, row)).collect();
    let mut text = table::render(head, &rows);
    if !model.clients.is_empty() {
        text.push('\n');
        text += &clients(&model.clients);
    }
    // Writing to a string can't fail.
    for Node { name, problem, .. } in &model.nodes {
        if let Some(problem) = problem {
            let _ = writeln!(text, "\n{name}: {problem}");
        }
    }
    for problem in &model.problems {
        let _ = writeln!(text, "\n{problem}");
    }
    text
}

/// A line of JSON with the whole round.
pub(super) fn json(model: &Model, time: Utc) -> Result<String, serde_json::Error> {
    let nodes = model.nodes.iter().map(|node| NodeLine {
        node: &node.name,
        version: &node.version,
        // One that is unwell tells its version.
        answers: !node.version.is_empty() || node.problem.is_none(),
        problem: node.problem.as_deref(),
    });
    let clients = model.clients.iter().map(|client| ClientLine {
        client: &client.name,
        node: &client.node,
        ready_count: client.ready,
        in_flight_count: client.in_flight,
        finish_count: client.finished,
        requeue_count: client.requeued,
        user_agent: &client.user_agent,
    });
    let mut topics: Vec<TopicLine<'_>> = Vec::new();
    for (key, row) in &model.rows {
        match (&key.channel, topics.last_mut()) {
            // A topic comes before its channels.
            (Some(channel), Some(topic)) => topic.channels.push(channel_line(channel, row)),
            _ => topics.push(topic_line(&key.topic, row)),
        }
    }
    let round = Round {
        time: time.to_string(),
        nodes: nodes.collect(),
        problems: &model.problems,
        topics,
        clients: clients.collect(),
    };
    Ok(serde_json::to_string(&round)? + "\n")
}

fn cells(key: &Key, row: &Row) -> [String; 13] {
    let Row { counts, rates, .. } = row;
    let is_channel = key.channel.is_some();
    let only_channel = |count: u64| if is_channel { count.to_string() } else { String::new() };
    [
        if is_channel { String::new() } else { key.topic.clone() },
        key.channel.clone().unwrap_or_default(),
        counts.depth.to_string(),
        only_channel(counts.in_flight),
        only_channel(counts.deferred),
        rates.map_or_else(|| "-".to_owned(), |rates| rate(rates.incoming)),
        match rates {
            _ if !is_channel => String::new(),
            None => "-".to_owned(),
            Some(rates) => rate(rates.outgoing),
        },
        only_channel(counts.requeued),
        only_channel(counts.timed_out),
        counts.messages.to_string(),
        only_channel(counts.clients),
        counts.nodes.to_string(),
        if counts.paused > 0 { "paused".to_owned() } else { String::new() },
    ]
}

fn clients(clients: &[Client]) -> String {
    let head = [
        ("CLIENT", Align::Left),
        ("NODE", Align::Left),
        ("READY", Align::Right),
        ("IN FLIGHT", Align::Right),
        ("FINISHED", Align::Right),
        ("REQUEUED", Align::Right),
        ("USER AGENT", Align::Left),
    ];
    let rows: Vec<_> = clients
        .iter()
        .map(|client| {
            [
                client.name.clone(),
                client.node.clone(),
                client.ready.to_string(),
                client.in_flight.to_string(),
                client.finished.to_string(),
                client.requeued.to_string(),
                client.user_agent.clone(),
            ]
        })
        .collect();
    table::render(head, &rows)
}

fn topic_line<'a>(topic: &'a str, row: &Row) -> TopicLine<'a> {
    TopicLine {
        topic,
        depth: row.counts.depth,
        backend_depth: row.counts.on_disk,
        message_count: row.counts.messages,
        nodes: row.counts.nodes,
        paused: row.counts.paused > 0,
        published_per_second: row.rates.map(|rates| rates.incoming),
        channels: Vec::new(),
    }
}

fn channel_line<'a>(channel: &'a str, row: &Row) -> ChannelLine<'a> {
    ChannelLine {
        channel,
        depth: row.counts.depth,
        backend_depth: row.counts.on_disk,
        in_flight_count: row.counts.in_flight,
        deferred_count: row.counts.deferred,
        message_count: row.counts.messages,
        requeue_count: row.counts.requeued,
        timeout_count: row.counts.timed_out,
        client_count: row.counts.clients,
        nodes: row.counts.nodes,
        paused: row.counts.paused > 0,
        in_per_second: row.rates.map(|Rates { incoming, .. }| incoming),
        out_per_second: row.rates.map(|Rates { outgoing, .. }| outgoing),
    }
}

/// With a digit behind the point where that says something.
pub(super) fn rate(rate: f64) -> String {
    if (0.05..9.95).contains(&rate) { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::model::Polled;
    use super::super::model::tests::{channel, poll, polled};
    use super::*;

    fn model(rounds: u32) -> Model {
        let mut model = Model::default();
        let start = Instant::now();
        for round in 0..rounds {
            let silent = Polled { node: "b:4151".to_owned(), answer: Err("no answer".to_owned()) };
            let answers = vec![polled("a:4151", 1, 100 + 10 * u64::from(round), 5, 2), silent];
            model.update(poll(answers), Some(&channel()), start + Duration::from_secs(round.into()));
        }
        model
    }

    #[test]
    fn a_table_has_a_line_for_each_topic_and_channel() {
        let expected = "\
TOPIC   CHANNEL  DEPTH  IN FLIGHT  DEFERRED  IN/S  OUT/S  REQUEUED  TIMED OUT  MESSAGES  CLIENTS  NODES
orders               2                         10                                   110               1
        billing      5          2         1    10     10         3          1       110        1      1  paused

CLIENT  NODE    READY  IN FLIGHT  FINISHED  REQUEUED  USER AGENT
app     a:4151     10          2         7         0

b:4151: no answer
";
        assert_eq!(text(&model(2)), expected);
        assert!(text(&model(1)).contains("   -  "), "{}", text(&model(1)));
    }

    #[test]
    fn an_object_has_the_whole_round() {
        let line = json(&model(2), Utc::from_unix_nanos(0)).unwrap();
        let round: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(round["time"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            round["nodes"][1],
            serde_json::json!({"node": "b:4151", "version": "", "answers": false, "problem": "no answer"})
        );
        let topic = &round["topics"][0];
        assert_eq!((topic["topic"].as_str(), topic["published_per_second"].as_f64()), (Some("orders"), Some(10.0)));
        let channel = &topic["channels"][0];
        assert_eq!((channel["in_flight_count"].as_u64(), channel["out_per_second"].as_f64()), (Some(2), Some(10.0)));
        assert_eq!(round["clients"][0]["client"], "app");
        let first = json(&model(1), Utc::from_unix_nanos(0)).unwrap();
        assert!(!first.contains("per_second"), "{first}");
    }

    #[test]
    fn a_rate_has_the_digits_that_say_something() {
        for (value, shown) in [(0.0, "0"), (0.04, "0"), (0.25, "0.2"), (9.94, "9.9"), (9.96, "10"), (1234.5, "1234")] {
            assert_eq!(rate(value), shown);
        }
    }
}
