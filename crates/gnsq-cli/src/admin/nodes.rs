//! `gnsq nodes`: lists the nsqds.

use clap::Args;
use futures_util::future::join_all;
use gnsq::NsqdHttpClient;
use gnsq::http::{Node, StatsOptions};
use serde::Serialize;

use crate::cluster;
use crate::exit::{Exit, Failure};
use crate::options::{CommonArgs, Uses};
use crate::output;
use crate::table::{self, Align};

/// List the nsqds of a cluster with their topics
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct NodesArgs {
    /// Print a line of JSON for each node
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    common: CommonArgs,
}

/// A node as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Shown {
    node: String,
    tcp_address: Option<String>,
    http_address: Option<String>,
    hostname: String,
    version: String,
    topics: Vec<String>,
    /// Topics for which nsqlookupd leaves the node out.
    tombstoned: Vec<String>,
}

pub(crate) async fn run(args: NodesArgs) -> Result<Exit, Failure> {
    let connection = args.common.begin(Uses::Http)?;
    let found = cluster::nodes(&connection.lookupds).await?;
    let mut failures: Vec<_> = found.failures.into_iter().map(|(_, failure)| failure.to_string()).collect();
    let mut nodes: Vec<Shown> = found.answers.iter().map(Shown::of_node).collect();
    for asked in join_all(connection.http_clients().iter().map(ask)).await {
        match asked {
            Ok(node) if nodes.iter().any(|known| known.node == node.node) => {}
            Ok(node) => nodes.push(node),
            Err(failure) => failures.push(failure),
        }
    }
    let text = if args.json { json_lines(&nodes)? } else { render(&nodes) };
    if let Err(error) = output::print(text) {
        return output::write_failed(&error);
    }
    for failure in &failures {
        output::complain(failure);
    }
    Ok(match (failures.is_empty(), nodes.is_empty()) {
        (true, _) => Exit::Done,
        (false, true) => Exit::Failed,
        (false, false) => Exit::Partial,
    })
}

impl Shown {
    fn of_node(node: &Node) -> Self {
        let names = |tombstoned: bool| {
            let topics = node.topics.iter().filter(move |topic| topic.tombstoned == tombstoned);
            topics.map(|topic| topic.topic.to_string()).collect()
        };
        Self {
            node: node.producer.node(),
            tcp_address: node.producer.tcp_address(),
            http_address: node.producer.http_address(),
            hostname: node.producer.hostname.clone(),
            version: node.producer.version.clone(),
            topics: names(false),
            tombstoned: names(true),
        }
    }
}

/// What an nsqd tells of itself.
async fn ask(nsqd: &NsqdHttpClient) -> Result<Shown, String> {
    let options = StatsOptions::new().include_clients(false).include_mem(false);
    let (info, stats) = tokio::try_join!(nsqd.info(), nsqd.stats(&options)).map_err(|error| error.to_string())?;
    let host = &info.broadcast_address;
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    Ok(Shown {
        node: format!("{host}:{}", info.http_port.map_or(-1, i64::from)),
        tcp_address: info.tcp_port.map(|port| format!("{bracketed}:{port}")),
        http_address: info.http_port.map(|port| format!("{bracketed}:{port}")),
        hostname: info.hostname.clone(),
        version: info.version.clone(),
        topics: stats.topics.iter().map(|topic| topic.topic_name.to_string()).collect(),
        tombstoned: Vec::new(),
    })
}

fn json_lines(nodes: &[Shown]) -> Result<String, Failure> {
    let mut text = String::new();
    for node in nodes {
        text += &serde_json::to_string(node).map_err(Failure::failed)?;
        text.push('\n');
    }
    Ok(text)
}

fn render(nodes: &[Shown]) -> String {
    let rows: Vec<_> = nodes
        .iter()
        .map(|node| {
            [
                node.node.clone(),
                node.tcp_address.clone().unwrap_or_else(|| "-".to_owned()),
                node.hostname.clone(),
                node.version.clone(),
                node.topics.len().to_string(),
                node.tombstoned.join(","),
            ]
        })
        .collect();
    let head = [
        ("NODE", Align::Left),
        ("TCP", Align::Left),
        ("HOSTNAME", Align::Left),
        ("VERSION", Align::Left),
        ("TOPICS", Align::Right),
        ("TOMBSTONED", Align::Left),
    ];
    table::render(head, &rows)
}

const AFTER_HELP: &str = "\
Examples:
  gnsq nodes --lookupd-http-address localhost
  gnsq nodes --nsqd-http-address nsqd-1,nsqd-2 --json | jq .topics";
