//! `gnsq topic`, `channel`, `nodes` and `tombstone`, on clusters.

use gnsq_testkit::{Cluster, DEADLINE, Nsqd, eventually};
use serde_json::Value;

use crate::support::{freeze, run};

/// Two nsqds with two nsqlookupds, and the options that name these.
async fn cluster() -> (Cluster, String) {
    let cluster = Cluster::start(2, 2).await;
    let lookupds = format!("--lookupd-http-address={}", cluster.lookupd_urls().join(","));
    (cluster, lookupds)
}

/// Makes a topic with a channel on each nsqd, and waits until the nsqlookupds know.
async fn create_everywhere(cluster: &Cluster, topic: &str, channel: &str) {
    for nsqd in &cluster.nsqds {
        nsqd.create_channel(topic, channel).await;
    }
    for lookupd in &cluster.lookupds {
        eventually(DEADLINE, "nsqlookupd to know the topic", async || {
            (lookupd.lookup(topic).await?.len() == cluster.nsqds.len()).then_some(())
        })
        .await;
    }
}

fn results(objects: &[Value]) -> Vec<(&str, &str, &str)> {
    objects
        .iter()
        .map(|line| {
            (line["server"].as_str().unwrap(), line["action"].as_str().unwrap(), line["result"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_topic_is_created_in_every_nsqlookupd() {
    let (cluster, lookupds) = cluster().await;
    let done = run(["topic", "create", "t", "--json", &lookupds], "").await.expect(0);
    assert_eq!(results(&done.objects()), [("nsqlookupd", "create", "done"); 2]);
    for lookupd in &cluster.lookupds {
        assert_eq!(lookupd.lookup("t").await, Some(vec![]));
    }
    assert!(cluster.nsqds[0].topic_stats("t").await.is_none());
}

#[tokio::test]
async fn a_topic_is_created_on_the_nsqds_that_are_named() {
    let nsqd = Nsqd::start().await;
    let done =
        run(["topic", "create", "t", &format!("--nsqd-http-address={}", nsqd.http_address())], "").await.expect(0);
    assert_eq!(done.lines, [format!("done   create topic t on nsqd http://{}/", nsqd.http_address())]);
    assert!(nsqd.topic_stats("t").await.is_some());
}

#[tokio::test]
async fn a_channel_is_created_everywhere() {
    let (cluster, lookupds) = cluster().await;
    create_everywhere(&cluster, "t", "first").await;
    let done = run(["channel", "create", "t", "c", "--json", &lookupds], "").await.expect(0);
    let lookupd = ("nsqlookupd", "create", "done");
    let nsqd = ("nsqd", "create", "done");
    assert_eq!(results(&done.objects()), [lookupd, lookupd, nsqd, nsqd]);
    assert_eq!(done.json()["channel"], "c");
    for nsqd in &cluster.nsqds {
        assert!(nsqd.channel_stats("t", "c").await.is_some());
    }
}

#[tokio::test]
async fn topics_and_channels_are_paused_and_unpaused_on_every_nsqd() {
    let (cluster, lookupds) = cluster().await;
    create_everywhere(&cluster, "t", "c").await;
    for (action, paused) in [("pause", true), ("unpause", false)] {
        run(["topic", action, "t", &lookupds], "").await.expect(0);
        run(["channel", action, "t", "c", &lookupds], "").await.expect(0);
        for nsqd in &cluster.nsqds {
            assert_eq!(nsqd.topic_stats("t").await.unwrap().paused, paused);
            assert_eq!(nsqd.channel_stats("t", "c").await.unwrap().paused, paused);
        }
    }
}

#[tokio::test]
async fn topics_and_channels_are_emptied_on_every_nsqd() {
    let (cluster, lookupds) = cluster().await;
    create_everywhere(&cluster, "t", "c").await;
    for nsqd in &cluster.nsqds {
        nsqd.publish("t", "x").await;
        nsqd.wait_for_channel("t", "c", |channel| channel.depth == 1).await;
        nsqd.pause_topic("t").await;
        nsqd.publish("t", "y").await;
    }
    run(["topic", "empty", "t", &lookupds], "").await.expect(0);
    for nsqd in &cluster.nsqds {
        assert_eq!(nsqd.topic_stats("t").await.unwrap().depth, 0);
        assert_eq!(nsqd.channel_stats("t", "c").await.unwrap().depth, 1);
    }
    run(["channel", "empty", "t", "c", &lookupds], "").await.expect(0);
    for nsqd in &cluster.nsqds {
        assert_eq!(nsqd.channel_stats("t", "c").await.unwrap().depth, 0);
    }
}

#[tokio::test]
async fn channels_and_topics_are_deleted_everywhere() {
    let (cluster, lookupds) = cluster().await;
    create_everywhere(&cluster, "t", "c").await;
    run(["channel", "delete", "t", "c", &lookupds], "").await.expect(0);
    for nsqd in &cluster.nsqds {
        assert!(nsqd.channel_stats("t", "c").await.is_none());
    }
    run(["topic", "delete", "t", &lookupds], "").await.expect(0);
    for nsqd in &cluster.nsqds {
        assert!(nsqd.topic_stats("t").await.is_none());
    }
    for lookupd in &cluster.lookupds {
        eventually(DEADLINE, "the topic to be forgotten", async || lookupd.lookup("t").await.is_none().then_some(()))
            .await;
    }
    let again = run(["topic", "delete", "t", &lookupds], "").await.expect(1);
    assert!(again.stderr.contains("there is no topic t"), "{}", again.stderr);
}

#[tokio::test]
async fn servers_that_fail_are_told_and_the_others_changed() {
    let (mut cluster, lookupds) = cluster().await;
    create_everywhere(&cluster, "t", "c").await;
    freeze(&cluster.nsqds[0]).await;
    cluster.lookupds[0].stop().await;
    let arguments = ["channel", "delete", "t", "c", "--json", "--timeout=500ms", &lookupds];
    let done = run(arguments, "").await.expect(3);
    cluster.nsqds[0].resume();
    let objects = done.objects();
    let mut all = results(&objects);
    all.sort_unstable();
    assert_eq!(
        all,
        [
            ("nsqd", "delete", "done"),
            ("nsqd", "delete", "failed"),
            ("nsqlookupd", "ask", "failed"),
            ("nsqlookupd", "delete", "done"),
            ("nsqlookupd", "delete", "failed"),
        ]
    );
    assert!(objects.iter().filter(|line| line["result"] == "failed").all(|line| line["error"].is_string()));
    assert!(cluster.nsqds[1].channel_stats("t", "c").await.is_none());
}

#[tokio::test]
async fn what_is_nowhere_cannot_be_changed() {
    let (cluster, lookupds) = cluster().await;
    create_everywhere(&cluster, "t", "c").await;
    for (arguments, reason) in [
        (vec!["topic", "pause", "nope", &lookupds], "no nsqd has topic nope"),
        (vec!["channel", "delete", "nope", "c", &lookupds], "there is no channel c of topic nope"),
        (vec!["topic", "pause", "t", "--lookupd-http-address=127.0.0.1:1"], "no nsqlookupd answers"),
    ] {
        let failed = run(&arguments, "").await.expect(1);
        assert!(failed.stderr.contains(reason), "{arguments:?}: {}", failed.stderr);
    }
    let absent = run(["channel", "pause", "t", "nope", &lookupds], "").await.expect(1);
    assert!(absent.lines.iter().all(|line| line.starts_with("absent pause channel nope")), "{:?}", absent.lines);
}

#[tokio::test]
async fn nodes_are_listed_once_with_their_topics() {
    let (mut cluster, lookupds) = cluster().await;
    create_everywhere(&cluster, "t", "c").await;
    let listed = run(["nodes", &lookupds], "").await.expect(0);
    assert_eq!(listed.lines.len(), 3, "{:?}", listed.lines);
    assert!(listed.lines[0].starts_with("NODE"), "{:?}", listed.lines);
    let objects = run(["nodes", "--json", &lookupds], "").await.expect(0).objects();
    let mut nodes: Vec<_> = cluster.nsqds.iter().map(|nsqd| nsqd.http_address().to_string()).collect();
    nodes.sort();
    let found: Vec<_> = objects.iter().map(|node| node["node"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, nodes);
    assert!(objects.iter().all(|node| node["topics"][0] == "t" && node["version"] == "1.3.0"), "{objects:?}");
    let http = format!("--nsqd-http-address={},127.0.0.1:1", nodes[0]);
    let named = run(["nodes", "--json", &http], "").await.expect(3);
    assert_eq!(named.json()["node"], nodes[0]);
    assert!(named.stderr.contains("127.0.0.1:1"), "{}", named.stderr);
    cluster.lookupds[0].stop().await;
    assert_eq!(run(["nodes", "--json", &lookupds], "").await.expect(3).lines.len(), 2);
}

#[tokio::test]
async fn a_tombstone_takes_a_topic_from_one_node() {
    let (cluster, lookupds) = cluster().await;
    create_everywhere(&cluster, "t", "c").await;
    let node = cluster.nsqds[0].http_address().to_string();
    run(["tombstone", &node, "t", &lookupds], "").await.expect(0);
    assert!(cluster.nsqds[0].topic_stats("t").await.is_none());
    assert!(cluster.nsqds[1].topic_stats("t").await.is_some());
    for lookupd in &cluster.lookupds {
        assert_eq!(lookupd.lookup("t").await.map(|producers| producers.len()), Some(1));
    }
    let unknown = run(["tombstone", "127.0.0.1:1", "t", &lookupds], "").await.expect(1);
    assert!(unknown.stderr.contains(&node), "{}", unknown.stderr);
    run(["tombstone", &node, "nope", &lookupds], "").await.expect(1);
    run(["tombstone", &node, "t", &format!("--nsqd-http-address={node}")], "").await.expect(2);
}
