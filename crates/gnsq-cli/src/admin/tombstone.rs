//! `gnsq tombstone`: takes a topic away from one node.

use clap::Args;
use gnsq::TopicName;

use super::report;
use crate::cluster::{self, Found, Server, Step, Target, Verb};
use crate::exit::{Exit, Failure};
use crate::options::{CommonArgs, Uses};

/// Have consumers leave one nsqd out for a topic, and delete the topic there
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct TombstoneArgs {
    /// The node, as `gnsq nodes` shows it: its broadcast address and HTTP port
    #[arg(value_name = "HOST:HTTP_PORT")]
    node: String,

    /// The topic
    topic: TopicName,

    /// Print a line of JSON for each server
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    common: CommonArgs,
}

pub(crate) async fn run(args: TombstoneArgs) -> Result<Exit, Failure> {
    let connection = args.common.begin(Uses::Http)?;
    if connection.lookupds.is_empty() {
        return Err(Failure::usage("a tombstone is set in nsqlookupd: give --lookupd-http-address"));
    }
    let nodes = cluster::nodes(&connection.lookupds).await?.answers;
    let Some(node) = nodes.iter().find(|node| node.producer.node() == args.node) else {
        let known: Vec<_> = nodes.iter().map(|node| node.producer.node()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Failure::failed(format!("nsqlookupd knows no node {}; it knows: {known}", args.node)));
    };
    if !node.topics.iter().any(|topic| topic.topic == args.topic) {
        return Err(Failure::failed(format!("node {} has no topic {}", args.node, args.topic)));
    }
    let Found { answers, failures } = cluster::resolve(&connection.lookupds).await;
    let mut steps: Vec<_> =
        failures.into_iter().map(|(address, failure)| Step::lookup_failed(address, failure)).collect();
    for lookupd in answers {
        let result = lookupd.tombstone_topic(&args.topic, &args.node).await;
        steps.push(Server::Lookupd(lookupd).step("tombstone", result));
    }
    let target = Target::Topic(args.topic);
    if let Some(address) = node.producer.http_address() {
        let nsqd = connection.nsqd_http_client(&address).map_err(Failure::failed)?;
        steps.extend(cluster::carry_out(vec![Server::Nsqd(nsqd)], Verb::Delete, &target).await);
    }
    report::print(&steps, &target, args.json)
}

const AFTER_HELP: &str = "\
Every nsqlookupd leaves the node out of lookups of the topic for a while (45 s by default), so that consumers don't \
come back while the topic is deleted there.

Example:
  gnsq tombstone nsqd-1:4151 orders --lookupd-http-address localhost";
