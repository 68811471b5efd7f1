//! Every endpoint of nsqlookupd, for success and for its typical error.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use gnsq::{LookupdClient, NsqdHttpClient};
use gnsq_testkit::{DEADLINE, Nsqd, Nsqlookupd, eventually};

use super::{channel, code, refusal, topic};

async fn start() -> (Nsqlookupd, LookupdClient) {
    let lookupd = Nsqlookupd::start().await;
    let client = LookupdClient::new(lookupd.http_url()).unwrap();
    (lookupd, client)
}

/// An nsqd that has announced the topics to nsqlookupd.
async fn announce(lookupd: &Nsqlookupd, client: &LookupdClient, topics: &[&str]) -> Nsqd {
    let nsqd = Nsqd::builder().lookupd(lookupd).start().await;
    nsqd.wait_until_registered(lookupd).await;
    for name in topics {
        nsqd.create_channel(name, "archive").await;
        eventually(DEADLINE, "nsqlookupd to know the topic", async || {
            let lookup = client.lookup(&topic(name)).await.unwrap();
            (!lookup.producers.is_empty() && !lookup.channels.is_empty()).then_some(())
        })
        .await;
    }
    nsqd
}

#[tokio::test]
async fn ping_and_info() {
    let (_lookupd, client) = start().await;
    client.ping().await.unwrap();
    assert_eq!(client.info().await.unwrap().version, "1.3.0");
}

#[tokio::test]
async fn a_topic_is_looked_up() {
    let (lookupd, client) = start().await;
    let nsqd = announce(&lookupd, &client, &["events#ephemeral"]).await;

    let lookup = client.lookup(&topic("events#ephemeral")).await.unwrap();
    assert_eq!(lookup.channels, [channel("archive")]);
    let producer = &lookup.producers[0];
    assert_eq!(producer.tcp_address(), Some(nsqd.tcp_address().to_string()));
    assert_eq!(producer.http_address(), Some(nsqd.http_address().to_string()));
    assert_eq!(producer.version, "1.3.0");
    NsqdHttpClient::new(producer.http_address().unwrap()).unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn an_unknown_topic_has_no_producers_and_is_no_error() {
    let (_lookupd, client) = start().await;
    let lookup = client.lookup(&topic("not.yet")).await.unwrap();
    assert!(lookup.producers.is_empty() && lookup.channels.is_empty());
    assert!(client.channels(&topic("not.yet")).await.unwrap().is_empty());
    assert!(client.topics().await.unwrap().is_empty());
    assert!(client.nodes().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lookup_at_another_kind_of_server_is_an_error() {
    let nsqd = Nsqd::start().await;
    let client = LookupdClient::new(nsqd.http_url()).unwrap();
    assert_eq!(refusal(client.lookup(&topic("events")).await), code(404, "NOT_FOUND"));
}

#[tokio::test]
async fn topics_and_channels_are_made_listed_and_deleted() {
    let (_lookupd, client) = start().await;
    let (events, archive) = (topic("events#ephemeral"), channel("archive#ephemeral"));
    client.create_topic(&events).await.unwrap();
    client.create_channel(&events, &archive).await.unwrap();
    client.create_channel(&topic("others"), &archive).await.unwrap();
    let topics: BTreeSet<_> = client.topics().await.unwrap().into_iter().collect();
    assert_eq!(topics, [events.clone(), topic("others")].into());
    assert_eq!(client.channels(&events).await.unwrap(), [channel("archive#ephemeral")]);
    assert!(client.lookup(&events).await.unwrap().producers.is_empty());

    client.delete_channel(&events, &archive).await.unwrap();
    assert!(client.channels(&events).await.unwrap().is_empty());
    client.delete_topic(&events).await.unwrap();
    assert_eq!(client.topics().await.unwrap(), [topic("others")]);
    client.delete_topic(&events).await.unwrap();
}

#[tokio::test]
async fn a_missing_channel_is_told() {
    let (_lookupd, client) = start().await;
    let missing = client.delete_channel(&topic("events"), &channel("archive")).await;
    assert!(missing.as_ref().is_err_and(gnsq::HttpError::is_not_found));
    assert_eq!(refusal(missing), code(404, "CHANNEL_NOT_FOUND"));
}

#[tokio::test]
async fn a_tombstone_hides_one_topic_of_one_node() {
    let (lookupd, client) = start().await;
    let _nsqd = announce(&lookupd, &client, &["events", "others"]).await;
    let nodes = client.nodes().await.unwrap();
    assert!(nodes[0].topics.iter().all(|topic| !topic.tombstoned));

    client.tombstone_topic(&topic("events"), &nodes[0].producer.node()).await.unwrap();
    assert!(client.lookup(&topic("events")).await.unwrap().producers.is_empty());
    assert_eq!(client.lookup(&topic("others")).await.unwrap().producers.len(), 1);
    for entry in &client.nodes().await.unwrap()[0].topics {
        assert_eq!(entry.tombstoned, entry.topic == topic("events"));
    }
}

#[tokio::test]
async fn a_tombstone_of_a_node_on_ipv6_needs_its_name_without_brackets() {
    let (lookupd, client) = start().await;
    let nsqd = Nsqd::builder().arg("--broadcast-address=::1").lookupd(&lookupd).start().await;
    nsqd.wait_until_registered(&lookupd).await;
    nsqd.create_topic("events").await;
    let events = topic("events");
    let producer = eventually(DEADLINE, "nsqlookupd to know the topic", async || {
        client.lookup(&events).await.unwrap().producers.pop()
    })
    .await;
    assert_eq!(producer.tcp_address(), Some(format!("[::1]:{}", nsqd.tcp_address().port())));

    client.tombstone_topic(&events, &producer.http_address().unwrap()).await.unwrap();
    assert_eq!(client.lookup(&events).await.unwrap().producers.len(), 1);
    client.tombstone_topic(&events, &producer.node()).await.unwrap();
    assert!(client.lookup(&events).await.unwrap().producers.is_empty());
}

#[tokio::test]
async fn a_tombstone_takes_any_node_but_none() {
    let (_lookupd, client) = start().await;
    client.tombstone_topic(&topic("events"), "é%&=#:1").await.unwrap();
    assert_eq!(refusal(client.tombstone_topic(&topic("events"), "").await), code(400, "MISSING_ARG_NODE"));
}

#[tokio::test]
async fn all_registrations_are_told() {
    let (lookupd, client) = start().await;
    let nsqd = announce(&lookupd, &client, &["events"]).await;
    let registrations = client.debug().await.unwrap();
    let keys: Vec<_> = registrations.keys().map(String::as_str).collect();
    assert_eq!(keys, ["channel:events:archive", "client::", "topic:events:"]);
    let topic = &registrations["topic:events:"][0];
    assert_eq!(topic.tcp_port, Some(nsqd.tcp_address().port()));
    assert!(!topic.tombstoned && topic.last_update > 0);
}

#[tokio::test]
async fn any_other_endpoint_can_be_read() {
    let (_lookupd, client) = start().await;
    assert_eq!(client.get("info", &[]).await.unwrap(), "{\"version\":\"1.3.0\"}");
    assert_eq!(refusal(client.get("lookup", &[]).await), code(400, "MISSING_ARG_TOPIC"));
    assert_eq!(refusal(client.get("lookup", &[("topic", "é%&= ")]).await), code(404, "TOPIC_NOT_FOUND"));
}

#[tokio::test]
async fn each_address_of_a_name_has_a_client() {
    let lookupd = Nsqlookupd::start().await;
    let client = LookupdClient::new(format!("localhost:{}", lookupd.http_address().port())).unwrap();
    assert_eq!(client.resolved_to(), None);

    let clients = client.resolved().await.unwrap();
    let addresses: BTreeSet<_> = clients.iter().map(|client| client.resolved_to().unwrap()).collect();
    assert_eq!(addresses.len(), clients.len());
    let ipv4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let there = clients.iter().find(|client| client.resolved_to() == Some(ipv4)).expect("localhost is 127.0.0.1");
    there.ping().await.unwrap();
    assert_eq!(there.resolved().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_ip_address_stands_for_itself_and_an_unknown_name_for_nothing() {
    let clients = LookupdClient::new("127.0.0.1").unwrap().resolved().await.unwrap();
    assert_eq!((clients.len(), clients[0].resolved_to()), (1, None));
    let error = LookupdClient::new("nsqlookupd.invalid").unwrap().resolved().await.unwrap_err();
    assert!(error.is_connect() && error.is_retryable(), "{error}");
}
