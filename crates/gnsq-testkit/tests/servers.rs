//! The real servers, started and ended in every way.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use gnsq_testkit::{Cluster, DEADLINE, Nsqd, Nsqlookupd, eventually, http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

#[tokio::test]
async fn each_server_has_its_own_ports() {
    let (one, other) = (Nsqd::start().await, Nsqd::start().await);
    let (status, info) = http::get(one.http_address(), "/info").await;
    assert_eq!(status, 200);
    assert!(info.contains(&format!("\"tcp_port\":{}", one.tcp_address().port())), "{info}");
    assert_ne!(one.tcp_address(), other.tcp_address());
    assert_eq!(one.http_url(), format!("http://{}", one.http_address()));
}

#[tokio::test]
async fn it_speaks_the_tcp_protocol() {
    let nsqd = Nsqd::start().await;
    let mut stream = TcpStream::connect(nsqd.tcp_address()).await.unwrap();
    publish_hello(&mut stream).await;
    let topic = nsqd.topic_stats("greetings").await.unwrap();
    assert_eq!((topic.depth, topic.message_count, topic.paused), (1, 1, false));
}

#[tokio::test]
async fn it_listens_on_a_unix_socket_through_kill_and_start() {
    let mut nsqd = Nsqd::builder().unix_socket().start().await;
    publish_hello(&mut UnixStream::connect(nsqd.unix_path()).await.unwrap()).await;
    nsqd.kill().await;
    assert_eq!(UnixStream::connect(nsqd.unix_path()).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    nsqd.start_again().await;
    publish_hello(&mut UnixStream::connect(nsqd.unix_path()).await.unwrap()).await;
}

#[tokio::test]
async fn a_stopped_server_keeps_its_messages_and_its_addresses() {
    let mut nsqd = Nsqd::start().await;
    nsqd.create_channel("events", "archive").await;
    nsqd.publish("events", "first").await;
    let (tcp, http, pid) = (nsqd.tcp_address(), nsqd.http_address(), nsqd.pid());

    nsqd.stop().await;
    assert!(!nsqd.is_running());
    assert_eq!(TcpStream::connect(tcp).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);

    nsqd.start_again().await;
    assert!(nsqd.is_running());
    assert_eq!((nsqd.tcp_address(), nsqd.http_address()), (tcp, http));
    assert_ne!(nsqd.pid(), pid);
    nsqd.wait_for_channel("events", "archive", |channel| channel.depth == 1).await;
    assert_eq!(nsqd.log().matches("TCP: listening on").count(), 2, "{}", nsqd.log());
}

#[tokio::test]
async fn a_killed_server_loses_what_it_had_in_memory() {
    let mut nsqd = Nsqd::start().await;
    nsqd.create_channel("events", "archive").await;
    nsqd.publish("events", "first").await;
    nsqd.wait_for_channel("events", "archive", |channel| channel.depth == 1).await;
    eventually(DEADLINE, "the channel on disk", async || {
        fs::read_to_string(nsqd.data_path().join("nsqd.dat")).unwrap().contains("archive").then_some(())
    })
    .await;
    nsqd.kill().await;
    nsqd.start_again().await;
    assert_eq!(nsqd.channel_stats("events", "archive").await.unwrap().depth, 0);
}

#[tokio::test]
async fn an_open_connection_does_not_keep_a_server_from_coming_back() {
    let mut nsqd = Nsqd::start().await;
    for _ in 0..3 {
        let mut stream = TcpStream::connect(nsqd.tcp_address()).await.unwrap();
        publish_hello(&mut stream).await;
        nsqd.restart().await;
        assert!(matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_)));
    }
}

#[tokio::test]
async fn nobody_is_given_the_ports_of_a_stopped_server() {
    let mut nsqd = Nsqd::start().await;
    nsqd.kill().await;
    if cfg!(target_os = "linux") {
        let refused = TcpSocket::new_v4().unwrap().bind(nsqd.tcp_address()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddrInUse);
    }
    nsqd.start_again().await;
}

#[tokio::test]
async fn a_frozen_server_answers_when_it_is_resumed() {
    let nsqd = Nsqd::start().await;
    nsqd.pause();
    assert!(nsqd.is_running());
    let mut stream = TcpStream::connect(nsqd.tcp_address()).await.unwrap();
    stream.write_all(b"  V2NOPE\n").await.unwrap();
    nsqd.resume();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.ends_with(b"E_INVALID invalid command NOPE"), "{}", answer.escape_ascii());
}

#[tokio::test]
async fn a_frozen_server_can_be_stopped() {
    let mut nsqd = Nsqd::start().await;
    nsqd.pause();
    nsqd.stop().await;
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing_behind() {
    let nsqd = Nsqd::start().await;
    let (data, process) = (nsqd.data_path().to_owned(), Path::new("/proc").join(nsqd.pid().to_string()));
    assert!(data.join("nsqd.dat").exists());
    drop(nsqd);
    assert!(!data.exists());
    assert!(!process.exists());
}

#[tokio::test]
#[should_panic(expected = "flag provided but not defined")]
async fn a_server_that_does_not_start_shows_its_log() {
    Nsqd::builder().arg("--nonsense").start().await;
}

#[tokio::test]
#[should_panic(expected = "still running")]
async fn a_running_server_is_not_started_again() {
    Nsqlookupd::start().await.start_again().await;
}

#[tokio::test]
async fn channels_are_made_paused_and_deleted() {
    let nsqd = Nsqd::start().await;
    nsqd.create_channel("events", "live#ephemeral").await;
    nsqd.pause_channel("events", "live#ephemeral").await;
    nsqd.wait_for_channel("events", "live#ephemeral", |channel| channel.paused).await;
    nsqd.unpause_channel("events", "live#ephemeral").await;
    nsqd.publish("events", "one").await;
    nsqd.wait_for_channel("events", "live#ephemeral", |channel| !channel.paused && channel.depth == 1).await;
    nsqd.empty_channel("events", "live#ephemeral").await;
    nsqd.wait_for_channel("events", "live#ephemeral", |channel| channel.depth == 0).await;
    nsqd.delete_channel("events", "live#ephemeral").await;
    assert_eq!(nsqd.channel_stats("events", "live#ephemeral").await, None);

    nsqd.pause_topic("events").await;
    assert!(nsqd.topic_stats("events").await.unwrap().paused);
    nsqd.publish("events", "two").await;
    nsqd.empty_topic("events").await;
    nsqd.unpause_topic("events").await;
    assert_eq!(nsqd.topic_stats("events").await.unwrap().depth, 0);
    nsqd.delete_topic("events").await;
    assert_eq!(nsqd.topic_stats("events").await, None);
    assert!(nsqd.stats().await["topics"].as_array().is_none_or(Vec::is_empty));
}

#[tokio::test]
async fn a_consumer_shows_in_the_channel() {
    let nsqd = Nsqd::start().await;
    nsqd.publish("events", "hello").await;
    let mut stream = TcpStream::connect(nsqd.tcp_address()).await.unwrap();
    stream.write_all(b"  V2SUB events archive\nRDY 1\n").await.unwrap();
    let stats = nsqd.wait_for_channel("events", "archive", |channel| channel.in_flight_count == 1).await;
    assert_eq!((stats.client_count, stats.depth, stats.message_count), (1, 0, 1));

    let mut response = [0; 10];
    stream.read_exact(&mut response).await.unwrap();
    let mut message = [0; 8 + 26 + 5];
    stream.read_exact(&mut message).await.unwrap();
    let id = &message[18..34];
    stream.write_all(&[b"FIN ", id, b"\n"].concat()).await.unwrap();
    nsqd.wait_for_channel("events", "archive", |channel| channel.finish_count == 1).await;
}

#[tokio::test]
async fn a_cluster_is_registered_everywhere() {
    let cluster = Cluster::start(2, 2).await;
    assert_eq!((cluster.nsqd_addresses().len(), cluster.lookupd_urls().len()), (2, 2));
    for lookupd in &cluster.lookupds {
        assert_eq!(lookupd.nodes().await.len(), 2);
        assert_eq!(lookupd.lookup("events").await, None);
    }
    cluster.nsqds[1].create_topic("events").await;
    for lookupd in &cluster.lookupds {
        let producers = eventually(DEADLINE, "the topic's producer", async || lookupd.lookup("events").await).await;
        assert_eq!(producers.len(), 1);
        assert_eq!(producers[0]["tcp_port"], cluster.nsqds[1].tcp_address().port());
    }
}

#[tokio::test]
async fn a_lookupd_comes_back_on_its_ports_and_learns_its_nsqds_again() {
    let mut cluster = Cluster::start(1, 1).await;
    let addresses = (cluster.lookupds[0].tcp_address(), cluster.lookupds[0].http_address());
    cluster.lookupds[0].stop().await;
    assert!(http::request(addresses.1, "GET", "/ping", b"").await.is_err());
    cluster.lookupds[0].start_again().await;
    assert_eq!((cluster.lookupds[0].tcp_address(), cluster.lookupds[0].http_address()), addresses);
    eventually(DEADLINE, "nsqd to come back", async || {
        cluster.nsqds[0].nudge_lookupds().await;
        cluster.lookupds[0].nodes().await.pop()
    })
    .await;
}

#[tokio::test]
async fn the_log_tells_what_happened() {
    let nsqd = Nsqd::start().await;
    nsqd.create_topic("events").await;
    eventually(DEADLINE, "the topic in the log", async || nsqd.log().contains("TOPIC(events): created").then_some(()))
        .await;
}

#[test]
fn a_server_outlives_the_runtime_that_started_it() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut nsqd = runtime().block_on(Nsqd::start());
    runtime().block_on(async {
        nsqd.create_topic("events").await;
        nsqd.restart().await;
    });
    assert!(nsqd.is_running());
    assert!(fs::exists(Path::new("/proc").join(nsqd.pid().to_string())).unwrap() || !cfg!(target_os = "linux"));
}

async fn publish_hello(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) {
    stream.write_all(b"  V2PUB greetings\n\0\0\0\x05hello").await.expect("nsqd takes it");
    let mut response = [0; 10];
    stream.read_exact(&mut response).await.expect("nsqd answers");
    assert_eq!(&response, b"\0\0\0\x06\0\0\0\0OK");
}
