//! nsqadmin's JSON API, which its pages use.

use std::net::SocketAddr;

use gnsq_server::Nsqd;
use gnsq_testkit::http::{get, post, request};
use serde_json::Value;

use crate::tool::Tool;

/// A running nsqadmin.
struct Admin {
    _tool: Tool,
    address: SocketAddr,
}

impl Admin {
    async fn start(argument: &str) -> Self {
        let mut tool = Tool::start("nsqadmin", ["--http-address=127.0.0.1:0", argument]);
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

    assert_eq!(admin.get("/api/topics").await["topics"], serde_json::json!(["t"]));
    let nodes = admin.get("/api/nodes").await;
    assert_eq!(nodes["nodes"][0]["http_port"], http.port());
    assert_eq!(nodes["nodes"][0]["version"], "1.3.0");
    let topic = admin.get("/api/topics/t").await;
    assert_eq!((&topic["message_count"], &topic["channels"][0]["channel_name"]), (&2.into(), &"c".into()));
    let channel = admin.get("/api/topics/t/c").await;
    assert_eq!((&channel["depth"], &channel["memory_depth"]), (&2.into(), &2.into()));
    assert_eq!(channel["nodes"][0]["clients"], serde_json::json!([]));
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
