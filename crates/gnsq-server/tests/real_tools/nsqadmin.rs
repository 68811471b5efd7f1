//! nsqadmin's JSON API, which its pages use.

use std::net::SocketAddr;

use gnsq_server::{Nsqd, Nsqlookupd, TopicRegistration};
use gnsq_testkit::http::{get, post, request};
use gnsq_testkit::{DEADLINE, eventually};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::tool::Tool;

/// A running nsqadmin.
struct Admin {
    _tool: Tool,
    address: SocketAddr,
}

impl Admin {
    /// `servers` are those that it asks.
    async fn start(servers: &str) -> Self {
        let mut tool = Tool::start("nsqadmin", ["--http-address=127.0.0.1:0", servers]);
        let address = tool.line(|line| line.split_once("HTTP: listening on ")?.1.parse().ok()).await;
        Self { _tool: tool, address }
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = get(self.address, path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Must succeed at every node.
    async fn act(&self, method: &str, path: &str, body: &str) {
        let (status, answer) = request(self.address, method, path, body.as_bytes()).await.unwrap();
        assert_eq!((status, answer.as_str()), (200, r#"{"message":""}"#), "{method} {path}");
    }
}

#[tokio::test]
async fn nsqadmin_shows_and_changes_an_nsqd() {
    let nsqd = Nsqd::start().await.unwrap();
    let http: SocketAddr = nsqd.http_address().parse().unwrap();
    let admin = Admin::start(&format!("--nsqd-http-address={http}")).await;
    post(http, "/topic/create?topic=t", "").await;
    post(http, "/channel/create?topic=t&channel=c", "").await;
    post(http, "/mpub?topic=t", "one\ntwo").await;

    assert_eq!(admin.get("/api/topics").await["topics"], json!(["t"]));
    let nodes = admin.get("/api/nodes").await;
    assert_eq!(nodes["nodes"][0]["http_port"], http.port());
    assert_eq!(nodes["nodes"][0]["version"], "1.3.0");
    let topic = admin.get("/api/topics/t").await;
    assert_eq!((&topic["message_count"], &topic["channels"][0]["channel_name"]), (&2.into(), &"c".into()));
    let channel = admin.get("/api/topics/t/c").await;
    assert_eq!((&channel["depth"], &channel["memory_depth"]), (&2.into(), &2.into()));
    assert_eq!(channel["nodes"][0]["clients"], json!([]));
    assert_eq!(admin.get("/api/counter").await["stats"].as_object().unwrap().len(), 1);

    let state = || {
        let stats = nsqd.stats();
        let topic = stats.topic("t").unwrap();
        let channel = topic.channel("c").unwrap();
        (topic.paused, channel.paused, channel.depth)
    };
    admin.act("POST", "/api/topics/t", r#"{"action":"pause"}"#).await;
    admin.act("POST", "/api/topics/t/c", r#"{"action":"pause"}"#).await;
    assert_eq!(state(), (true, true, 2));
    admin.act("POST", "/api/topics/t", r#"{"action":"unpause"}"#).await;
    admin.act("POST", "/api/topics/t/c", r#"{"action":"unpause"}"#).await;
    admin.act("POST", "/api/topics/t", r#"{"action":"empty"}"#).await;
    admin.act("POST", "/api/topics/t/c", r#"{"action":"empty"}"#).await;
    assert_eq!(state(), (false, false, 0));
    admin.act("DELETE", "/api/topics/t/c", "").await;
    assert!(nsqd.stats().topic("t").unwrap().channels.is_empty());
    admin.act("DELETE", "/api/topics/t", "").await;
    assert!(nsqd.stats().topics.is_empty());
}

/// Two nsqds and their nsqlookupd.
struct Cluster {
    lookupd: Nsqlookupd,
    nsqds: [Nsqd; 2],
    admin: Admin,
}

impl Cluster {
    async fn start() -> Self {
        let lookupd = Nsqlookupd::start().await.unwrap();
        let nsqd = || Nsqd::builder().lookupd_tcp_addresses([lookupd.tcp_address()]).start();
        let nsqds = [nsqd().await.unwrap(), nsqd().await.unwrap()];
        let admin = Admin::start(&format!("--lookupd-http-address={}", lookupd.http_address())).await;
        Self { lookupd, nsqds, admin }
    }

    /// Creates a topic with a channel and a message at both nsqds, and waits until the nsqlookupd knows.
    async fn create(&self, topic: &str, channel: &str) {
        for nsqd in &self.nsqds {
            let http = http(nsqd);
            post(http, &format!("/topic/create?topic={topic}"), "").await;
            post(http, &format!("/channel/create?topic={topic}&channel={channel}"), "").await;
            post(http, &format!("/pub?topic={topic}"), "message").await;
        }
        self.wait_until(|found| {
            found.topic == topic && found.channels.iter().any(|found| found == channel) && found.producers.len() == 2
        })
        .await;
    }

    async fn wait_until(&self, is_so: impl Fn(&TopicRegistration) -> bool) {
        timeout(DEADLINE, self.lookupd.wait_until(|topics| topics.iter().any(&is_so)))
            .await
            .unwrap_or_else(|_| panic!("unwanted registrations: {:?}", self.lookupd.registrations()));
    }
}

fn http(nsqd: &Nsqd) -> SocketAddr {
    nsqd.http_address().parse().unwrap()
}

#[tokio::test]
async fn nsqadmin_shows_a_cluster() {
    let cluster = Cluster::start().await;
    cluster.create("t", "c").await;
    let admin = &cluster.admin;
    assert_eq!(admin.get("/api/topics").await["topics"], json!(["t"]));
    let nodes = admin.get("/api/nodes").await;
    let mut ports: Vec<_> =
        nodes["nodes"].as_array().unwrap().iter().map(|node| node["http_port"].as_u64().unwrap()).collect();
    ports.sort_unstable();
    let mut expected = cluster.nsqds.each_ref().map(|nsqd| u64::from(http(nsqd).port()));
    expected.sort_unstable();
    assert_eq!(ports, expected);
    let node = admin.get(&format!("/api/nodes/{}", cluster.nsqds[0].http_address())).await;
    assert_eq!((&node["topics"][0]["topic_name"], &node["total_messages"]), (&"t".into(), &1.into()));
    let topic = admin.get("/api/topics/t").await;
    assert_eq!((&topic["message_count"], topic["nodes"].as_array().unwrap().len()), (&2.into(), 2));
    let channel = admin.get("/api/topics/t/c").await;
    assert_eq!((&channel["depth"], channel["nodes"].as_array().unwrap().len()), (&2.into(), 2));
}

#[tokio::test]
async fn nsqadmin_changes_a_cluster() {
    let cluster = Cluster::start().await;
    cluster.create("t", "c").await;
    let admin = &cluster.admin;
    admin.act("POST", "/api/topics/t/c", r#"{"action":"pause"}"#).await;
    admin.act("POST", "/api/topics/t/c", r#"{"action":"empty"}"#).await;
    for nsqd in &cluster.nsqds {
        let stats = nsqd.stats();
        let channel = stats.topic("t").unwrap().channel("c").unwrap();
        assert_eq!((channel.paused, channel.depth), (true, 0));
    }
    // What is created without an nsqd is known to the nsqlookupd, and the first nsqd that has the topic learns of it.
    admin.act("POST", "/api/topics", r#"{"topic":"planned","channel":"first"}"#).await;
    cluster.wait_until(|found| found.topic == "planned" && found.channels == ["first"]).await;
    post(http(&cluster.nsqds[0]), "/pub?topic=planned", "message").await;
    cluster.wait_until(|found| found.topic == "planned" && found.producers.len() == 1).await;
    eventually(DEADLINE, "the planned channel", async || {
        cluster.nsqds[0].stats().topic("planned")?.channel("first").filter(|channel| channel.depth == 1).map(|_| ())
    })
    .await;

    let tombstone = format!("/api/nodes/{}", cluster.nsqds[0].http_address());
    admin.act("DELETE", &tombstone, r#"{"topic":"t"}"#).await;
    cluster.wait_until(|found| found.topic == "t" && found.producers.len() == 1).await;
    assert!(cluster.nsqds[0].stats().topic("t").is_none() && cluster.nsqds[1].stats().topic("t").is_some());

    admin.act("DELETE", "/api/topics/t", "").await;
    assert!(cluster.nsqds[1].stats().topic("t").is_none());
    assert_eq!(admin.get("/api/topics").await["topics"], json!(["planned"]));
}
