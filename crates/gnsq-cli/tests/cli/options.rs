//! The same options from the command line, the environment and a file, and what the program tells of itself.

use std::fs;

use gnsq_testkit::Nsqd;

use crate::support::{Running, gnsq, published, run};

#[tokio::test]
async fn options_come_from_the_environment_and_from_a_file() {
    let (a, b, c) = (Nsqd::start().await, Nsqd::start().await, Nsqd::start().await);
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".config")).unwrap();
    let file = home.path().join(".config").join("gnsq.toml");
    fs::write(&file, format!("nsqd_tcp_address = ['{}']\n", a.tcp_address())).unwrap();
    let with = |topic: &str| {
        let mut command = gnsq(["pub", topic, "x"]);
        command.env("HOME", home.path());
        command
    };
    Running::start(with("file")).finish().await.expect(0);
    assert_eq!(published(&a, "file").await, 1);

    let mut command = with("env");
    command.env("GNSQ_NSQD_TCP_ADDRESS", format!("{},{}", b.tcp_address(), c.tcp_address())).arg("--copy");
    Running::start(command).finish().await.expect(0);
    assert_eq!([published(&a, "env").await, published(&b, "env").await, published(&c, "env").await], [0, 1, 1]);

    let mut command = with("flag");
    command.env("GNSQ_NSQD_TCP_ADDRESS", b.tcp_address().to_string());
    command.arg(format!("--nsqd-tcp-address={}", c.tcp_address()));
    Running::start(command).finish().await.expect(0);
    assert_eq!([published(&b, "flag").await, published(&c, "flag").await], [0, 1]);

    let other = home.path().join("other.toml");
    fs::write(&other, format!("nsqd-tcp-address = '{}'\n", b.tcp_address())).unwrap();
    let mut command = with("named");
    command.arg("--config").arg(&other);
    Running::start(command).finish().await.expect(0);
    assert_eq!(published(&b, "named").await, 1);
}

#[tokio::test]
async fn a_mistake_in_a_file_or_the_environment_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gnsq.toml");
    fs::write(&file, "nsqd_tpc_address = 'a'").unwrap();
    let path = file.to_str().unwrap();
    let refused = run(["pub", "t", "x", "--config", path], "").await.expect(2);
    assert!(refused.stderr.contains("nsqd_tpc_address") && refused.stderr.contains(path), "{}", refused.stderr);
    run(["pub", "t", "x", "--config=/nowhere/gnsq.toml"], "").await.expect(2);
    let mut command = gnsq(["pub", "t", "x"]);
    command.env("GNSQ_TIMEOUT", "soon");
    let refused = Running::start(command).finish().await.expect(2);
    assert!(refused.stderr.contains("environment"), "{}", refused.stderr);
}

#[tokio::test]
async fn every_command_shows_examples() {
    for command in [
        "pub",
        "tail",
        "topic",
        "topic create",
        "channel",
        "channel pause",
        "nodes",
        "tombstone",
        "stat",
        "dev",
        "completions",
    ] {
        let arguments: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let help = run(&arguments, "").await.expect(0).lines.join("\n");
        assert!(help.contains("Example") && help.contains(&format!("gnsq {command}")), "{command}: {help}");
    }
    let help = run(["--help"], "").await.expect(0).lines.join("\n");
    assert!(help.contains("Exit codes:") && help.contains("130"), "{help}");
    assert!(run(["--version"], "").await.expect(0).lines[0].starts_with("gnsq "));
    run(["nonsense"], "").await.expect(2);
}

#[tokio::test]
async fn every_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(["completions", shell], "").await.expect(0).lines.join("\n");
        assert!(["tombstone", "topic-regex", "mem-queue-size"].iter().all(|word| script.contains(word)), "{shell}");
    }
}

#[tokio::test]
async fn logs_go_to_stderr_and_more_of_them_when_asked() {
    let nsqd = Nsqd::start().await;
    let address = format!("--nsqd-http-address={}", nsqd.http_address());
    let quiet = run(["nodes", "--json", &address], "").await.expect(0);
    assert_eq!(quiet.stderr, "");
    let loud = run(["nodes", "--json", "-vvv", &address], "").await.expect(0);
    assert!(loud.stderr.contains("/info"), "{}", loud.stderr);
    assert_eq!(loud.lines, quiet.lines);
}
