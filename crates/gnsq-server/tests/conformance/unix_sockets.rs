//! nsqd at unix sockets.

use serde_json::json;
use tempfile::TempDir;

use crate::auth_server::AuthServer;
use crate::server::{Nsqd, Side};
use crate::stats;
use crate::wire::command;

conformance! {
    both_protocols_can_be_at_unix_sockets,
    an_auth_server_is_told_of_no_address,
    the_sockets_go_with_the_server,
}

async fn both_protocols_can_be_at_unix_sockets<S: Side>() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let flags = [format!("--tcp-address={}", path("tcp")), format!("--http-address={}", path("http"))];
    let nsqd = S::nsqd(&[&flags[0], &flags[1]]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 1\n").await;
    nsqd.publish("t", "x").await;
    let message = client.message().await;
    client.send(format!("FIN {}\n", message.id)).await;
    client.stays().await;
    let info = nsqd.http().json("/info").await;
    assert_eq!([&info["tcp_port"], &info["http_port"]], [-1, -1]);
    let seen = &stats::channel(&nsqd, "t", "c").await["clients"][0];
    assert_eq!([&seen["client_id"], &seen["hostname"], &seen["remote_address"]], ["", "", "@"]);
    let text = nsqd.http().get("/stats?include_mem=false&channel=c").await;
    assert!(text.text().contains("        [V2 :                    ] "), "{}", text.text());
}

async fn an_auth_server_is_told_of_no_address<S: Side>() {
    let auth = AuthServer::start().await;
    let directory = TempDir::new().unwrap();
    let tcp = format!("--tcp-address={}", directory.path().join("tcp").display());
    let nsqd = S::nsqd(&[&tcp, &auth.flag()]).await;
    let mut client = nsqd.connect().await;
    client.send(command("AUTH", "secret")).await;
    client.response().await;
    assert!(auth.requests()[0].contains("remote_ip=&"));
    assert_eq!(nsqd.http().json("/info").await["http_port"], nsqd.http_address().port());
    assert_eq!(nsqd.http().json("/config/tls_required").await, json!(0));
}

async fn the_sockets_go_with_the_server<S: Side>() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("tcp");
    let flag = format!("--tcp-address={}", path.display());
    let nsqd = S::nsqd(&[&flag]).await;
    assert!(path.exists());
    nsqd.subscriber("t", "c").await.stays().await;
    nsqd.stop().await;
    assert!(!path.exists());
    let again = S::nsqd(&[&flag]).await;
    again.connect().await.stays().await;
}
