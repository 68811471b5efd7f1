//! What nsqds are answered.

use std::net::SocketAddr;

use gnsq_server::Nsqlookupd;

use crate::peer::{Peer, identify, identity};
use crate::{tcp, web};

/// Conversations that end in an error, with all that is answered; the answer to IDENTIFY is written as `{}`.
fn refused() -> Vec<(Vec<u8>, &'static [&'static str])> {
    let mut conversations: Vec<(Vec<u8>, &'static [&'static str])> = vec![
        (b"  V2".to_vec(), &["E_BAD_PROTOCOL"]),
        (b"GET ".to_vec(), &["E_BAD_PROTOCOL"]),
        (b"  V1\n".to_vec(), &["E_INVALID invalid command "]),
        (b"  V1foo a b\r\n".to_vec(), &["E_INVALID invalid command foo"]),
        (b"  V1PING\n PING x\r\nping\n".to_vec(), &["OK", "OK", "E_INVALID invalid command ping"]),
        (b"  V1REGISTER\n".to_vec(), &["E_INVALID client must IDENTIFY"]),
        (b"  V1REGISTER bad! c\n".to_vec(), &["E_INVALID client must IDENTIFY"]),
        (b"  V1UNREGISTER t\n".to_vec(), &["E_INVALID client must IDENTIFY"]),
    ];
    for (body, error) in [
        ("", "E_BAD_BODY IDENTIFY failed to decode JSON body"),
        ("[]", "E_BAD_BODY IDENTIFY failed to decode JSON body"),
        (r#"{"tcp_port":"1"}"#, "E_BAD_BODY IDENTIFY failed to decode JSON body"),
        ("null", "E_BAD_BODY IDENTIFY missing fields"),
        ("{}", "E_BAD_BODY IDENTIFY missing fields"),
    ] {
        let error: &'static [&'static str] = Box::leak(Box::new([error]));
        conversations.push(([b"  V1", &identify(body)[..]].concat(), error));
    }
    for (commands, answers) in [
        (&b"IDENTIFY\n\0\0\0\x02{}"[..], &["{}", "E_INVALID cannot IDENTIFY again"][..]),
        (b"REGISTER\n", &["{}", "E_INVALID REGISTER insufficient number of params"]),
        (b"REGISTER \n", &["{}", "E_INVALID REGISTER insufficient number of params"]),
        (b"UNREGISTER\n", &["{}", "E_INVALID UNREGISTER insufficient number of params"]),
        (b"REGISTER bad! bad!\n", &["{}", "E_BAD_TOPIC REGISTER topic name 'bad!' is not valid"]),
        (b"REGISTER  c\n", &["{}", "E_BAD_TOPIC REGISTER topic name '' is not valid"]),
        (b"UNREGISTER t bad!\n", &["{}", "E_BAD_CHANNEL UNREGISTER channel name 'bad!' is not valid"]),
        (
            b"REGISTER t c x\nUNREGISTER none\nREGISTER t  c\nPING\nNOP\nPING\n",
            &["{}", "OK", "OK", "OK", "OK", "E_INVALID invalid command NOP"],
        ),
    ] {
        conversations.push(([b"  V1", &identify(&identity(1, 2))[..], commands].concat(), answers));
    }
    conversations
}

async fn answers_as_written(address: SocketAddr) {
    for (input, expected) in refused() {
        let mut peer = Peer::connect(address).await;
        peer.send(&input).await;
        let replies = peer.replies().await;
        let replies: Vec<_> = replies.iter().map(|reply| if reply.starts_with('{') { "{}" } else { reply }).collect();
        assert_eq!(replies, expected, "{}", input.escape_ascii());
    }
}

#[tokio::test]
async fn the_embedded_one_answers_as_written() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    answers_as_written(tcp(&lookupd)).await;
}

#[tokio::test]
async fn the_real_one_answers_as_written() {
    let lookupd = gnsq_testkit::Nsqlookupd::start().await;
    answers_as_written(lookupd.tcp_address()).await;
}

#[tokio::test]
async fn an_nsqd_is_told_who_answers() {
    let lookupd = Nsqlookupd::builder().broadcast_address("lookup.test").hostname("h").start().await.unwrap();
    let mut peer = Peer::connect(tcp(&lookupd)).await;
    peer.send([b"  V1", &identify(&identity(1, 2))[..]].concat()).await;
    let (tcp_port, http_port) = (tcp(&lookupd).port(), web(&lookupd).port());
    assert_eq!(
        peer.reply().await.unwrap(),
        format!(
            r#"{{"broadcast_address":"lookup.test","hostname":"h","http_port":{http_port},"tcp_port":{tcp_port},"version":"1.3.0"}}"#
        )
    );
}

#[tokio::test]
async fn what_a_connection_has_registered_goes_with_it() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let mut peer = Peer::nsqd(tcp(&lookupd), 1, 2).await;
    peer.command("REGISTER t c").await;
    let registrations = lookupd.registrations();
    assert_eq!(registrations[0].channels, ["c"]);
    assert_eq!(registrations[0].producers[0].remote_address, peer.local_address().to_string());
    drop(peer);
    let left = crate::wait_until(&lookupd, |topics| topics[0].producers.is_empty()).await;
    assert_eq!((left[0].topic.as_str(), &left[0].channels[..]), ("t", &["c".to_owned()][..]));
}

#[tokio::test]
async fn an_error_takes_all_registrations_of_its_connection() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let mut peer = Peer::nsqd(tcp(&lookupd), 1, 2).await;
    peer.command("REGISTER t").await;
    peer.send("FOO\n").await;
    assert_eq!(peer.reply().await.unwrap(), "E_INVALID invalid command FOO");
    crate::wait_until(&lookupd, |topics| topics[0].producers.is_empty()).await;
}

#[tokio::test]
async fn shutdown_closes_connections_and_frees_both_addresses() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let (tcp, http) = (lookupd.tcp_address(), lookupd.http_address());
    let peer = Peer::nsqd(tcp.parse().unwrap(), 1, 2).await;
    lookupd.shutdown().await;
    assert!(peer.replies().await.is_empty());
    let again = Nsqlookupd::builder().tcp_address(&*tcp).http_address(&*http).start().await.unwrap();
    assert_eq!((again.tcp_address(), again.http_address()), (tcp, http));
}

#[tokio::test]
async fn a_drop_stops_it() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let peer = Peer::nsqd(tcp(&lookupd), 1, 2).await;
    drop(lookupd);
    assert!(peer.replies().await.is_empty());
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let lookupd = Nsqlookupd::start().await.unwrap();
    let taken = lookupd.http_address();
    let error = Nsqlookupd::builder().http_address(&*taken).start().await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("can't listen on {taken} (HTTP): ")), "{error}");
}
