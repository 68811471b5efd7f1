//! Topics and channels over HTTP: made, deleted, emptied, paused.

use crate::http::{Empty, Error};
use crate::server::{Nsqd, Side};
use crate::stats;

conformance! {
    topics_are_made_and_deleted,
    actions_on_topics_need_one,
    actions_on_channels_need_both,
    an_action_may_be_repeated,
}

async fn topics_are_made_and_deleted<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    nsqd.act("/topic/create?topic=t").await;
    nsqd.act("/topic/create?topic=e%23ephemeral").await;
    nsqd.act("/channel/create?topic=t&channel=c").await;
    nsqd.act("/channel/create?topic=t&channel=d%23ephemeral").await;
    assert!(!stats::channel(&nsqd, "t", "c").await.is_null());
    assert!(!stats::channel(&nsqd, "t", "d#ephemeral").await.is_null());
    assert_eq!(stats::topic(&nsqd, "e#ephemeral").await["channels"], serde_json::json!([]));
    nsqd.act("/channel/delete?topic=t&channel=c").await;
    assert!(stats::channel(&nsqd, "t", "c").await.is_null());
    nsqd.act("/topic/delete?topic=t").await;
    assert!(stats::topic(&nsqd, "t").await.is_null());
    let rows = [
        ("POST /topic/create", "", Error(400, "MISSING_ARG_TOPIC")),
        ("POST /topic/create?topic=", "", Error(400, "INVALID_TOPIC")),
        ("POST /topic/create?topic=bad!", "", Error(400, "INVALID_TOPIC")),
        ("POST /topic/create?topic=%", "", Error(400, "INVALID_REQUEST")),
    ];
    nsqd.http().check(rows).await;
}

async fn actions_on_topics_need_one<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for action in ["delete", "empty", "pause", "unpause"] {
        let invalid = if action == "empty" { Error(400, "INVALID_TOPIC") } else { Error(404, "TOPIC_NOT_FOUND") };
        let rows = [
            ("", Error(400, "MISSING_ARG_TOPIC")),
            ("?channel=c", Error(400, "MISSING_ARG_TOPIC")),
            ("?topic=", invalid),
            ("?topic=bad!", invalid),
            ("?topic=nowhere", Error(404, "TOPIC_NOT_FOUND")),
            ("?topic=%", Error(400, "INVALID_REQUEST")),
        ];
        nsqd.http().check(rows.map(|(query, expected)| (format!("POST /topic/{action}{query}"), "", expected))).await;
    }
}

async fn actions_on_channels_need_both<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    nsqd.act("/topic/create?topic=t").await;
    for action in ["create", "delete", "empty", "pause", "unpause"] {
        let rows = [
            ("", Error(400, "MISSING_ARG_TOPIC")),
            ("?channel=c", Error(400, "MISSING_ARG_TOPIC")),
            ("?topic=&channel=c", Error(400, "INVALID_ARG_TOPIC")),
            ("?topic=bad!&channel=c", Error(400, "INVALID_ARG_TOPIC")),
            ("?topic=bad!", Error(400, "INVALID_ARG_TOPIC")),
            ("?topic=t", Error(400, "MISSING_ARG_CHANNEL")),
            ("?topic=nowhere", Error(400, "MISSING_ARG_CHANNEL")),
            ("?topic=t&channel=", Error(400, "INVALID_ARG_CHANNEL")),
            ("?topic=t&channel=bad!", Error(400, "INVALID_ARG_CHANNEL")),
            ("?topic=nowhere&channel=bad!", Error(400, "INVALID_ARG_CHANNEL")),
            ("?topic=nowhere&channel=c", Error(404, "TOPIC_NOT_FOUND")),
            ("?topic=%", Error(400, "INVALID_REQUEST")),
        ];
        nsqd.http().check(rows.map(|(query, expected)| (format!("POST /channel/{action}{query}"), "", expected))).await;
        if action != "create" {
            let request = format!("POST /channel/{action}?topic=t&channel=nowhere");
            nsqd.http().check([(request, "", Error(404, "CHANNEL_NOT_FOUND"))]).await;
        }
    }
    assert_eq!(stats::topic(&nsqd, "t").await["channels"], serde_json::json!([]));
}

async fn an_action_may_be_repeated<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for action in ["create", "empty", "pause", "pause", "unpause", "unpause", "create", "empty"] {
        for target in [format!("/topic/{action}?topic=t"), format!("/channel/{action}?topic=t&channel=c")] {
            nsqd.http().check([(format!("POST {target}"), "", Empty)]).await;
        }
        let (topic, channel) = (stats::topic(&nsqd, "t").await, stats::channel(&nsqd, "t", "c").await);
        assert_eq!([&topic["paused"], &channel["paused"]], [action == "pause"; 2]);
    }
}
