//! `gnsq stat`: the figures of a cluster, once, again and again, and live.

use gnsq_testkit::{Cluster, DEADLINE, Nsqd, Nsqlookupd, eventually};
use serde_json::json;

use crate::support::{Running, freeze, gnsq, run};
use crate::terminal::Terminal;

/// Two nsqds that both have a topic, with five messages in its channel together.
async fn cluster() -> (Cluster, String) {
    let cluster = Cluster::start(2, 1).await;
    for (nsqd, count) in cluster.nsqds.iter().zip([2, 3]) {
        nsqd.create_channel("orders", "billing").await;
        for _ in 0..count {
            nsqd.publish("orders", "x").await;
        }
        nsqd.wait_for_channel("orders", "billing", |channel| channel.depth == count).await;
    }
    let lookupd = format!("--lookupd-http-address={}", cluster.lookupd_urls()[0]);
    (cluster, lookupd)
}

#[tokio::test]
async fn sums_over_all_nsqds() {
    let (cluster, lookupd) = cluster().await;
    let table = run(["stat", "--once", &lookupd], "").await.expect(0).lines;
    assert!(table[0].starts_with("TOPIC") && table[1].starts_with("orders"), "{table:#?}");
    let channel: Vec<_> = table[2].split_whitespace().collect();
    assert_eq!(channel, ["billing", "5", "0", "0", "-", "-", "0", "0", "5", "0", "2"], "{table:#?}");

    let round = run(["stat", "--once", "--json", &lookupd], "").await.expect(0).json();
    let channel = &round["topics"][0]["channels"][0];
    assert_eq!((&channel["channel"], &channel["depth"], &channel["nodes"]), (&json!("billing"), &json!(5), &json!(2)));
    assert!(round["nodes"].as_array().unwrap().iter().all(|node| node["version"] == "1.3.0"), "{round}");

    // The same by the nsqds' own addresses, about one topic.
    cluster.nsqds[0].create_topic("other").await;
    let named = cluster.nsqds.iter().map(|nsqd| nsqd.http_address().to_string()).collect::<Vec<_>>().join(",");
    let arguments = ["stat", "orders", "--once", "--json", "--nsqd-http-address", &named];
    let round = run(arguments, "").await.expect(0).json();
    assert_eq!(round["topics"].as_array().unwrap().len(), 1, "{round}");
}

#[tokio::test]
async fn tells_rates_from_the_second_round_on_and_the_clients_of_a_channel() {
    let nsqd = Nsqd::start().await;
    nsqd.create_channel("t", "c").await;
    let address = format!("--nsqd-http-address={}", nsqd.http_address());
    let mut stat = Running::start(gnsq(["stat", "t", "c", "--json", "--interval=100ms", &address]));
    let first: serde_json::Value = serde_json::from_str(&stat.line().await).unwrap();
    assert!(first["topics"][0]["published_per_second"].is_null(), "{first}");
    let tail = Running::start(gnsq(["tail", "t", "--channel=c", &crate::support::at(&nsqd)]));
    let channel = eventually(DEADLINE, "a round with a rate and a client", async || {
        nsqd.publish("t", "x").await;
        let round: serde_json::Value = serde_json::from_str(&stat.line().await).unwrap();
        let channel = round["topics"][0]["channels"][0].clone();
        let finished = channel["out_per_second"].as_f64()? > 0.0;
        (finished && round["clients"][0]["user_agent"].as_str()?.starts_with("gnsq-cli/")).then_some(channel)
    })
    .await;
    assert_eq!(channel["client_count"], 1);
    drop(tail);
    stat.close_stdout();
    assert_eq!(stat.finish().await.expect(0).stderr, "");
}

#[tokio::test]
async fn shows_which_servers_do_not_answer() {
    let (mut cluster, lookupd) = cluster().await;
    freeze(&cluster.nsqds[0]).await;
    let arguments = ["stat", "--once", "--json", "--timeout=300ms", &lookupd];
    let round = run(arguments, "").await.expect(3).json();
    cluster.nsqds[0].resume();
    let silent = cluster.nsqds[0].http_address().to_string();
    let node = round["nodes"].as_array().unwrap().iter().find(|node| node["node"] == silent).unwrap();
    assert_eq!(node["answers"], false);
    assert!(node["problem"].as_str().unwrap().contains("300ms"), "{node}");
    assert_eq!(round["topics"][0]["channels"][0]["depth"], 3);

    let table = run(["stat", "--once", &lookupd, "--lookupd-http-address=127.0.0.1:1"], "").await.expect(3).lines;
    assert!(table.iter().any(|line| line.contains("127.0.0.1:1")), "{table:#?}");
    cluster.lookupds[0].stop().await;
    let failed = run(["stat", "--once", &lookupd], "").await.expect(1);
    assert!(failed.stderr.contains("no nsqd answers"), "{}", failed.stderr);
}

#[tokio::test]
async fn nsqlookupds_without_nsqds_are_no_cluster() {
    let lookupd = Nsqlookupd::start().await;
    let address = format!("--lookupd-http-address={}", lookupd.http_url());
    run(["stat", "--once", &address], "").await.expect(1);
}

#[tokio::test]
async fn a_live_table_takes_keys_and_gives_the_terminal_back() {
    let (_cluster, lookupd) = cluster().await;
    let mut terminal = Terminal::open(100, 24);
    let mut stat = terminal.start(gnsq(["stat", &lookupd, "--interval=100ms"]));
    terminal.shows("billing").await;
    terminal.shows("2/2 nsqd").await;
    terminal.type_in("s");
    terminal.shows("sort (depth)").await;
    terminal.type_in("/none\r");
    terminal.shows("nothing matches the filter").await;
    terminal.type_in("\u{1b}");
    terminal.type_in("q");
    let status = eventually(DEADLINE, "it to quit", async || stat.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
    // It leaves the second screen, and shows the cursor again.
    terminal.has_written("\u{1b}[?1049l").await;
    terminal.has_written("\u{1b}[?25h").await;
}

#[tokio::test]
async fn a_live_table_ends_by_a_signal_and_by_control_c() {
    let nsqd = Nsqd::start().await;
    let address = format!("--nsqd-http-address={}", nsqd.http_address());
    for (code, end) in [(143, None), (130, Some("\u{3}"))] {
        let mut terminal = Terminal::open(100, 24);
        let mut stat = terminal.start(gnsq(["stat", &address]));
        terminal.shows("there is no topic").await;
        match end {
            Some(keys) => terminal.type_in(keys),
            None => Terminal::terminate(&stat),
        }
        let status = eventually(DEADLINE, "it to end", async || stat.try_wait().unwrap()).await;
        assert_eq!(status.code(), Some(code));
        terminal.has_written("\u{1b}[?1049l").await;
    }
}
