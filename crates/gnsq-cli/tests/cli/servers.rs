//! `gnsq nsqd`, `gnsq nsqlookupd` and `gnsq dev`, as processes.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use gnsq_testkit::{DEADLINE, eventually, http};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Running, a_moment, gnsq, run};

const FREE: [&str; 2] = ["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"];

/// Starts a server on free ports of 127.0.0.1.
fn server(name: &str, arguments: &[&str]) -> Running {
    Running::start(gnsq([name].iter().chain(&FREE).chain(arguments)))
}

/// What a line of an nsqd's log at the level info says, if it has the form of the real one's.
fn text(line: &str) -> Option<&str> {
    let (time, text) = line.strip_prefix("[nsqd] ")?.split_once(" INFO: ")?;
    let shape: String =
        time.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
    (shape == "0000/00/00 00:00:00.000000").then_some(text)
}

/// Speaks no protocol of NSQ's, and waits until it is hung up on.
async fn write_garbage(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"XXXX").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
}

/// The address behind `label` in the server's log.
async fn address(server: &Running, label: &str) -> SocketAddr {
    let marker = format!(" INFO: {label}: listening on ");
    eventually(DEADLINE, &marker, async || {
        let log = server.stderr();
        let (_, after) = log.split_once(&marker)?;
        let (address, _) = after.split_once('\n')?;
        Some(address.parse().unwrap())
    })
    .await
}

#[tokio::test]
async fn an_nsqd_logs_as_the_real_one_and_stops_in_order() {
    for (stop, topic) in [(Running::interrupt as fn(&Running), "a"), (Running::terminate, "b")] {
        let nsqd = server("nsqd", &[]);
        let (tcp, http) = (address(&nsqd, "TCP").await, address(&nsqd, "HTTP").await);
        let at = format!("--nsqd-tcp-address={tcp}");
        run(["pub", topic, "one", "two", &at], "").await.expect(0);
        let lines = run(["tail", topic, "-n2", "--channel=c", &at], "").await.expect(0).lines;
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(http::get(http, "/ping").await, (200, "OK".to_owned()));
        if cfg!(target_os = "linux") {
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", nsqd.pid())).unwrap();
            assert_eq!(children, "", "it is one process");
        }
        stop(&nsqd);
        let done = nsqd.finish().await.expect(0);
        let log = &done.stderr;
        let texts: Vec<_> = log.lines().map(|line| text(line).unwrap_or_else(|| panic!("{line}"))).collect();
        assert!(texts[0].starts_with("nsqd v1.3.0 (built w/gnsq"), "{log}");
        assert!(texts[1].starts_with("ID: "), "{log}");
        for text in [format!("TCP: listening on {tcp}"), format!("HTTP: closing {http}"), "NSQ: bye".to_owned()] {
            assert!(texts.contains(&text.as_str()), "{text}: {log}");
        }
    }
}

#[tokio::test]
async fn an_nsqd_registers_with_an_nsqlookupd() {
    let lookupd = server("nsqlookupd", &["-broadcast-address", "127.0.0.1"]);
    let (tcp, http) = (address(&lookupd, "TCP").await, address(&lookupd, "HTTP").await);
    let lookupd_tcp = tcp.to_string();
    let nsqd = server("nsqd", &["--broadcast-address=127.0.0.1", "-lookupd-tcp-address", &lookupd_tcp]);
    let nsqd_http = address(&nsqd, "HTTP").await;
    let at = format!("--lookupd-http-address={http}");
    let node =
        eventually(DEADLINE, "the nsqd to register", async || run(["nodes", "--json", &at], "").await.objects().pop())
            .await;
    assert_eq!(node["node"], nsqd_http.to_string());
    run(["pub", "t", "x", &at], "").await.expect(0);
    assert_eq!(run(["tail", "t", "-n1", &at], "").await.expect(0).lines, ["x"]);
    run(["topic", "delete", "t", &at], "").await.expect(0);
    nsqd.terminate();
    nsqd.finish().await.expect(0);
    lookupd.terminate();
    let log = lookupd.finish().await.expect(0).stderr;
    assert!(log.contains(&format!("INFO: TCP: closing {tcp}")), "{log}");
    assert!(log.lines().all(|line| line.starts_with("[nsqlookupd] ")), "{log}");
}

#[tokio::test]
async fn the_version_and_the_flags_are_told() {
    for name in ["nsqd", "nsqlookupd"] {
        for flag in ["--version", "-version"] {
            let lines = run([name, flag], "").await.expect(0).lines;
            assert!(lines[0].starts_with(&format!("{name} v1.3.0 (built w/gnsq")), "{lines:?}");
        }
        for arguments in [[name, "--help"], [name, "-h"], ["help", name]] {
            let help = run(arguments, "").await.expect(0).lines.join("\n");
            assert!(help.contains("--tcp-address") && help.contains("Examples:"), "{arguments:?}: {help}");
        }
        for (arguments, reason) in [
            ([name, "--nope"], "flag provided but not defined: -nope"),
            ([name, "--tcp-address"], "flag needs an argument: -tcp-address"),
            ([name, "extra"], "unexpected argument: extra"),
        ] {
            let refused = run(arguments, "").await.expect(2);
            assert!(refused.stderr.contains(reason), "{}", refused.stderr);
        }
    }
}

#[tokio::test]
async fn the_log_is_as_loud_as_asked_and_can_be_changed() {
    let nsqd = server("nsqd", &["--log-prefix=<mine> ", "--data-path=/x", "--sync-every=9", "--log-level=Info"]);
    let http = address(&nsqd, "HTTP").await;
    let log = nsqd.stderr();
    assert!(log.lines().all(|line| line.starts_with("<mine> 20")), "{log}");
    assert!(log.contains(" WARNING: without effect on a server in memory: --data-path, --sync-every\n"), "{log}");
    let tcp = address(&nsqd, "TCP").await;
    // That a client speaks another protocol is told at the level debug only.
    let level = async |level: &str| http::request(http, "PUT", "/config/log_level", level.as_bytes()).await.unwrap().0;
    assert_eq!(level("debug").await, 200);
    eventually(DEADLINE, "the level to be taken", async || {
        write_garbage(tcp).await;
        nsqd.stderr().contains(" DEBUG: ").then_some(())
    })
    .await;
    assert_eq!(level("fatal").await, 200);
    let quiet = eventually(DEADLINE, "the level to be taken", async || {
        let before = nsqd.stderr();
        write_garbage(tcp).await;
        a_moment().await;
        (nsqd.stderr() == before).then_some(before)
    })
    .await;
    nsqd.terminate();
    assert_eq!(nsqd.finish().await.expect(0).stderr, quiet);
}

#[tokio::test]
async fn options_come_from_a_file_too() {
    let directory = tempfile::tempdir().unwrap();
    let (file, socket) = (directory.path().join("nsqd.toml"), directory.path().join("nsqd.sock"));
    let config = format!("tcp_address = '{}'\nmsg_timeout = '7s'\nid = 5\nnonsense = 1\n", socket.display());
    fs::write(&file, config).unwrap();
    let file = format!("--config={}", file.display());
    let nsqd = Running::start(gnsq(["nsqd", &file, "--http-address=127.0.0.1:0"]));
    address(&nsqd, "HTTP").await;
    let log = nsqd.stderr();
    for text in [
        "INFO: ID: 5\n",
        "WARNING: the configuration file has nonsense",
        &format!("TCP: listening on {}", socket.display()),
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
    run(["pub", "t", "x", &format!("--nsqd-tcp-address={}", socket.display())], "").await.expect(0);
    nsqd.terminate();
    nsqd.finish().await.expect(0);
    let failed = run(["nsqd", "--config=/nowhere/nsqd.toml"], "").await.expect(1);
    assert!(failed.stderr.contains(" FATAL: failed to load config file /nowhere/nsqd.toml"), "{}", failed.stderr);
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--tcp-address={}", taken.local_addr().unwrap());
    for name in ["nsqd", "nsqlookupd"] {
        let failed = run([name, "--http-address=127.0.0.1:0", &address], "").await.expect(1);
        let text = format!(" FATAL: failed to instantiate {name} - listen ({}) failed", taken.local_addr().unwrap());
        assert!(failed.stderr.contains(&text), "{}", failed.stderr);
        assert!(failed.stderr.contains("address already in use"), "{}", failed.stderr);
    }
    for (argument, reason) in [("--node-id=5000", "0 to 1023"), ("--tls-required", "without TLS key and cert")] {
        let failed = run(["nsqd", argument, FREE[0], FREE[1]], "").await.expect(1);
        assert!(failed.stderr.contains(reason), "{}", failed.stderr);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_with_a_servers_name_is_that_server() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("nsqlookupd");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_gnsq"), &link).unwrap();
    let mut command = std::process::Command::new(&link);
    command.args(FREE);
    let lookupd = Running::start(command);
    address(&lookupd, "HTTP").await;
    lookupd.terminate();
    lookupd.finish().await.expect(0);
}

#[tokio::test]
async fn dev_is_a_cluster_of_two() {
    let mut dev = Running::start(gnsq(["dev", "--free-ports", "--json"]));
    let addresses: Value = serde_json::from_str(&dev.line().await).unwrap();
    let lookupd = format!("--lookupd-http-address={}", addresses["lookupd_http_address"].as_str().unwrap());
    eventually(DEADLINE, "the nsqd to register", async || {
        (run(["nodes", "--json", &lookupd], "").await.lines.len() == 1).then_some(())
    })
    .await;
    run(["pub", "t", "x", &lookupd], "").await.expect(0);
    assert_eq!(run(["tail", "t", "-n1", &lookupd], "").await.expect(0).lines, ["x"]);
    dev.interrupt();
    dev.finish().await.expect(0);
}

#[tokio::test]
async fn dev_takes_free_ports_for_those_that_are_taken_and_says_what_to_type() {
    // Nobody else listens on the usual ports of this address.
    let host = "127.0.77.1";
    let _taken = TcpListener::bind((host, 4150)).unwrap();
    let mut dev = Running::start(gnsq(["dev", "--host", host]));
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("Ctrl-C")) {
        lines.push(dev.line().await);
    }
    let text = lines.join("\n");
    assert!(text.contains("127.0.77.1:4151") && !text.contains("127.0.77.1:4150 "), "{text}");
    assert!(text.contains("a free port is used instead: 4150"), "{text}");
    assert!(text.contains("export GNSQ_LOOKUPD_HTTP_ADDRESS=127.0.77.1:4161"), "{text}");
    dev.terminate();
    dev.finish().await.expect(0);
}
