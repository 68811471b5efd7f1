//! nsqd and its nsqlookupds.

use gnsq_testkit::{DEADLINE, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::server::{Nsqd, Nsqlookupd, Side};
use crate::stats;

conformance! {
    an_nsqd_is_listed_with_its_topics_and_channels,
    what_is_gone_is_unregistered,
    a_stopped_nsqd_is_not_listed,
    an_nsqd_registers_again_after_a_restart_of_nsqlookupd,
    an_nsqd_registers_with_each_nsqlookupd,
    the_nsqlookupds_can_change,
    known_channels_are_made_with_a_topic,
    nothing_waits_for_a_dead_nsqlookupd,
    what_an_nsqd_says_to_nsqlookupd,
}

/// Waits until `/debug` has these keys, but for that of the client.
async fn registered(lookupd: &impl Nsqlookupd, keys: &[&str]) {
    eventually(DEADLINE, &format!("the registrations {keys:?}"), async || {
        let debug = lookupd.http().json("/debug").await;
        let seen = debug.as_object().unwrap().keys().filter(|key| *key != "client::");
        seen.eq(keys).then_some(())
    })
    .await;
}

/// Waits until `/nodes` has as many.
async fn nodes(lookupd: &impl Nsqlookupd, count: usize) -> Vec<Value> {
    eventually(DEADLINE, "nsqd at nsqlookupd", async || {
        let nodes = lookupd.http().json("/nodes").await["producers"].as_array().unwrap().clone();
        (nodes.len() == count).then_some(nodes)
    })
    .await
}

async fn an_nsqd_is_listed_with_its_topics_and_channels<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let nsqd = S::nsqd_with("old", "c", &[&lookupd.flag()]).await;
    registered(&lookupd, &["channel:old:c", "topic:old:"]).await;
    let node = &nodes(&lookupd, 1).await[0];
    assert_eq!(node["broadcast_address"], "127.0.0.1");
    assert_eq!([&node["tcp_port"], &node["http_port"]], [nsqd.tcp_address().port(), nsqd.http_address().port()]);
    assert_eq!((&node["version"], &node["tombstones"]), (&json!("1.3.0"), &json!([false])));
    nsqd.publish("t", "x").await;
    registered(&lookupd, &["channel:old:c", "topic:old:", "topic:t:"]).await;
    let _client = nsqd.subscriber("t", "d#ephemeral").await;
    registered(&lookupd, &["channel:old:c", "channel:t:d#ephemeral", "topic:old:", "topic:t:"]).await;
    let lookup = lookupd.http().json("/lookup?topic=t").await;
    assert_eq!(lookup["channels"], json!(["d#ephemeral"]));
    assert_eq!(lookup["producers"][0]["tcp_port"], nsqd.tcp_address().port());

    let flags =
        ["--broadcast-address=nsq.example", "--broadcast-tcp-port=11", "--broadcast-http-port=22", &lookupd.flag()];
    let named = S::nsqd(&flags).await;
    let nodes = nodes(&lookupd, 2).await;
    let node = nodes.iter().find(|node| node["broadcast_address"] == "nsq.example").unwrap();
    assert_eq!([&node["tcp_port"], &node["http_port"]], [11, 22]);
    let info = named.http().json("/info").await;
    assert_eq!([&info["tcp_port"], &info["http_port"]], [named.tcp_address().port(), named.http_address().port()]);
}

async fn what_is_gone_is_unregistered<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let nsqd = S::nsqd(&[&lookupd.flag()]).await;
    nsqd.act("/topic/create?topic=t").await;
    nsqd.act("/channel/create?topic=t&channel=c").await;
    nsqd.act("/channel/create?topic=t&channel=d").await;
    let client = nsqd.subscriber("t", "e#ephemeral").await;
    registered(&lookupd, &["channel:t:c", "channel:t:d", "channel:t:e#ephemeral", "topic:t:"]).await;
    drop(client);
    registered(&lookupd, &["channel:t:c", "channel:t:d", "topic:t:"]).await;
    nsqd.act("/channel/delete?topic=t&channel=c").await;
    registered(&lookupd, &["channel:t:d", "topic:t:"]).await;
    nsqd.act("/topic/delete?topic=t").await;
    registered(&lookupd, &[]).await;
    nodes(&lookupd, 1).await;
}

async fn a_stopped_nsqd_is_not_listed<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let nsqd = S::nsqd(&[&lookupd.flag()]).await;
    nsqd.act("/topic/create?topic=t").await;
    registered(&lookupd, &["topic:t:"]).await;
    nsqd.stop().await;
    nodes(&lookupd, 0).await;
    registered(&lookupd, &[]).await;
    assert_eq!(lookupd.http().json("/lookup?topic=t").await, json!({"channels": [], "producers": []}));
}

async fn an_nsqd_registers_again_after_a_restart_of_nsqlookupd<S: Side>() {
    let mut lookupd = S::nsqlookupd(&[]).await;
    let nsqd = S::nsqd(&[&lookupd.flag()]).await;
    nsqd.act("/topic/create?topic=t").await;
    nsqd.act("/channel/create?topic=t&channel=c").await;
    nsqd.act("/topic/create?topic=u").await;
    registered(&lookupd, &["channel:t:c", "topic:t:", "topic:u:"]).await;
    lookupd.restart().await;
    eventually(DEADLINE, "nsqd to come back", async || {
        // It notices when it has something to say.
        nsqd.act("/topic/create?topic=nudge").await;
        nsqd.act("/topic/delete?topic=nudge").await;
        let nodes = lookupd.http().json("/nodes").await;
        (nodes["producers"] != json!([])).then_some(())
    })
    .await;
    registered(&lookupd, &["channel:t:c", "topic:t:", "topic:u:"]).await;
}

async fn an_nsqd_registers_with_each_nsqlookupd<S: Side>() {
    let lookupds = [S::nsqlookupd(&[]).await, S::nsqlookupd(&[]).await];
    let nsqd = S::nsqd(&[&lookupds[0].flag(), &lookupds[1].flag()]).await;
    nsqd.publish("t", "x").await;
    for lookupd in &lookupds {
        nodes(lookupd, 1).await;
        registered(lookupd, &["topic:t:"]).await;
    }
    let addresses = lookupds.each_ref().map(|lookupd| lookupd.tcp_address().to_string());
    assert_eq!(nsqd.http().json("/config/nsqlookupd_tcp_addresses").await, json!(addresses));
}

async fn the_nsqlookupds_can_change<S: Side>() {
    let lookupds = [S::nsqlookupd(&[]).await, S::nsqlookupd(&[]).await];
    let nsqd = S::nsqd(&[&lookupds[0].flag()]).await;
    nsqd.act("/topic/create?topic=t").await;
    nsqd.act("/channel/create?topic=t&channel=c").await;
    registered(&lookupds[0], &["channel:t:c", "topic:t:"]).await;
    let both = json!([lookupds[0].tcp_address(), lookupds[1].tcp_address()]).to_string();
    assert_eq!(nsqd.http().put("/config/nsqlookupd_tcp_addresses", &both).await.status, 200);
    registered(&lookupds[1], &["channel:t:c", "topic:t:"]).await;
    nodes(&lookupds[0], 1).await;
    let second = json!([lookupds[1].tcp_address()]).to_string();
    assert_eq!(nsqd.http().put("/config/nsqlookupd_tcp_addresses", &second).await.status, 200);
    nodes(&lookupds[0], 0).await;
    nodes(&lookupds[1], 1).await;
}

async fn known_channels_are_made_with_a_topic<S: Side>() {
    let lookupds = [S::nsqlookupd(&[]).await, S::nsqlookupd(&[]).await];
    for (lookupd, channel) in [(&lookupds[0], "a"), (&lookupds[0], "b%23ephemeral"), (&lookupds[1], "c")] {
        let answer = lookupd.http().post(&format!("/channel/create?topic=t&channel={channel}"), "").await;
        assert_eq!(answer.status, 200);
    }
    let nsqd = S::nsqd(&[&lookupds[0].flag(), &lookupds[1].flag()]).await;
    // Once it has registered something it knows where to ask.
    nsqd.act("/topic/create?topic=first").await;
    for lookupd in &lookupds {
        registered(lookupd, &["topic:first:"]).await;
    }
    nsqd.publish("t", "x").await;
    for channel in ["a", "c"] {
        stats::wait_for_channel(&nsqd, "t", channel, &[("depth", 1)]).await;
    }
    let channels = &stats::topic(&nsqd, "t").await["channels"];
    assert_eq!(channels.as_array().unwrap().len(), 2);
}

async fn nothing_waits_for_a_dead_nsqlookupd<S: Side>() {
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("--lookupd-tcp-address={}", reserved.local_addr().unwrap());
    drop(reserved);
    let lookupd = S::nsqlookupd(&[]).await;
    let nsqd = S::nsqd(&[&dead, &lookupd.flag()]).await;
    nsqd.publish("t", "x").await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 1\n").await;
    client.message().await;
    registered(&lookupd, &["channel:t:c", "topic:t:"]).await;
}

/// The next command, its body behind it if it has one; answered as nsqlookupd would.
async fn take(peer: &mut BufReader<TcpStream>) -> String {
    let exchange = async {
        let mut line = String::new();
        peer.read_line(&mut line).await.unwrap();
        let answer = if line == "IDENTIFY\n" {
            let mut body = vec![0; usize::try_from(peer.read_u32().await.unwrap()).unwrap()];
            peer.read_exact(&mut body).await.unwrap();
            line.push_str(std::str::from_utf8(&body).unwrap());
            r#"{"tcp_port":1,"http_port":1,"version":"1.3.0","broadcast_address":"127.0.0.1","hostname":"h"}"#
        } else {
            "OK"
        };
        if !line.is_empty() {
            peer.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
            peer.write_all(answer.as_bytes()).await.unwrap();
        }
        line
    };
    timeout(DEADLINE, exchange).await.expect("nsqd to say something")
}

async fn what_an_nsqd_says_to_nsqlookupd<S: Side>() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let flag = format!("--lookupd-tcp-address={}", listener.local_addr().unwrap());
    let accept = async || {
        let (stream, _) = timeout(DEADLINE, listener.accept()).await.expect("nsqd to connect").unwrap();
        let mut peer = BufReader::new(stream);
        let mut hello = [0; 4];
        timeout(DEADLINE, peer.read_exact(&mut hello)).await.expect("a hello").unwrap();
        assert_eq!(&hello, b"  V1");
        let identify = take(&mut peer).await;
        (peer, serde_json::from_str::<Value>(identify.strip_prefix("IDENTIFY\n").unwrap()).unwrap())
    };
    let flags = [flag.as_str()];
    let (nsqd, (mut peer, mut identity)) = tokio::join!(S::nsqd(&flags), accept());
    let hostname = identity["hostname"].take();
    assert!(hostname.is_string());
    let expected = json!({
        "broadcast_address": "127.0.0.1",
        "hostname": null,
        "http_port": nsqd.http_address().port(),
        "tcp_port": nsqd.tcp_address().port(),
        "version": "1.3.0",
    });
    assert_eq!(identity, expected);
    let mut said = Vec::new();
    for (action, expected) in [
        ("/topic/create?topic=t", "REGISTER t\n"),
        ("/channel/create?topic=t&channel=c", "REGISTER t c\n"),
        ("/channel/delete?topic=t&channel=c", "UNREGISTER t c\n"),
        ("/topic/create?topic=e%23ephemeral", "REGISTER e#ephemeral\n"),
        ("/channel/create?topic=t&channel=d", "REGISTER t d\n"),
        ("/channel/create?topic=t&channel=f", "REGISTER t f\n"),
    ] {
        nsqd.act(action).await;
        // What comes while nsqd connects can be said twice, and a PING at any time.
        let line = loop {
            let line = take(&mut peer).await;
            if line != "PING\n" && !said.contains(&line) {
                break line;
            }
        };
        assert_eq!(line, expected);
        said.push(line);
    }
    // By itself it says something every 15 seconds.
    assert_eq!(take(&mut peer).await, "PING\n");
    // A new connection is told everything: channels with their topics, topics that have none.
    drop(peer);
    let nudge = eventually(DEADLINE, "nothing", async || {
        nsqd.act("/topic/create?topic=nudge%23ephemeral").await;
        nsqd.act("/topic/delete?topic=nudge%23ephemeral").await;
        None::<()>
    });
    let (mut peer, _) = tokio::select! {
        () = nudge => unreachable!("it never ends"),
        accepted = accept() => accepted,
    };
    let mut said = Vec::new();
    while said.len() < 3 {
        let line = take(&mut peer).await;
        if !line.contains("nudge") {
            said.push(line);
        }
    }
    said.sort();
    assert_eq!(said, ["REGISTER e#ephemeral\n", "REGISTER t d\n", "REGISTER t f\n"]);
}
