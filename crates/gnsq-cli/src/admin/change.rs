//! Changes a topic or channel, wherever it is.

use crate::cluster::{self, Found, Server, Step, Target, Verb};
use crate::exit::{Exit, Failure};
use crate::options::{CommonArgs, Connection, Uses};

use super::report;

/// Carries it out on every server that it concerns, and tells of each. A server that fails keeps none of the others
/// from being asked.
pub(super) async fn run(verb: Verb, target: &Target, common: CommonArgs, json: bool) -> Result<Exit, Failure> {
    let connection = common.begin(Uses::Http)?;
    let steps = change(verb, target, &connection).await?;
    report::print(&steps, target, json)
}

async fn change(verb: Verb, target: &Target, connection: &Connection) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    let Found { answers, failures } = cluster::resolve(&connection.lookupds).await;
    let lookupds: Vec<_> = answers.into_iter().map(Server::Lookupd).collect();
    if let (Verb::Create, Target::Topic(_)) = (verb, target) {
        steps.extend(failures.into_iter().map(|(address, failure)| Step::lookup_failed(address, failure)));
        // An nsqd found through nsqlookupd makes the topic when somebody publishes to it there.
        let nsqds = connection.http_clients().iter().cloned().map(Server::Nsqd);
        let servers = lookupds.into_iter().chain(nsqds).collect();
        steps.extend(cluster::carry_out(servers, verb, target).await);
        return Ok(steps);
    }
    // Before nsqlookupd forgets where they are.
    let holders = cluster::holders(connection, target.topic(), &mut steps).await?;
    let nsqds: Vec<_> = holders.into_iter().map(Server::Nsqd).collect();
    match verb {
        Verb::Create => steps.extend(cluster::carry_out(lookupds, verb, target).await),
        Verb::Delete => {
            if nsqds.is_empty() && steps.is_empty() && !is_registered(connection, target).await? {
                return Err(Failure::failed(format!("there is no {target}")));
            }
            steps.extend(cluster::carry_out(lookupds, verb, target).await);
        }
        Verb::Empty | Verb::Pause | Verb::Unpause => {
            if nsqds.is_empty() && steps.is_empty() {
                return Err(Failure::failed(format!("no nsqd has topic {}", target.topic())));
            }
        }
    }
    steps.extend(cluster::carry_out(nsqds, verb, target).await);
    Ok(steps)
}

/// Whether any nsqlookupd knows it, be it on no nsqd.
async fn is_registered(connection: &Connection, target: &Target) -> Result<bool, Failure> {
    let known = match target {
        Target::Topic(topic) => {
            cluster::ask_all(&connection.lookupds, async |lookupd| {
                lookupd.topics().await.map(|topics| topics.contains(topic))
            })
            .await?
        }
        Target::Channel(topic, channel) => {
            cluster::ask_all(&connection.lookupds, async |lookupd| {
                lookupd.channels(topic).await.map(|channels| channels.contains(channel))
            })
            .await?
        }
    };
    Ok(known.answers.contains(&true))
}
