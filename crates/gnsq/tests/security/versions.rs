//! What is agreed on in a handshake: the version, the server's name, and that it can be tried again.

use std::time::Duration;

use gnsq::{ConnectionConfig, Error, Producer, TlsConfig, TlsVersion};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::certificates::Authority;
use super::common::within;
use super::server::{Kind, with_both};
use super::tls_peer::{TlsPeer, response};
use super::{LOCALHOST, cause, connect, round_trip, trusting};

with_both! {
    an_nsqd_that_speaks_the_newest_version_only_is_spoken_to,
}

async fn an_nsqd_that_speaks_the_newest_version_only_is_spoken_to(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.server(LOCALHOST)).tls_1_3_only().start().await;
    let config = ConnectionConfig::new().tls(trusting(&authority));
    let client = round_trip(&nsqd, &config, &["one".into()]).await;
    assert_eq!(client["tls_version"], "TLS1.3", "{client}");
}

/// What becomes of a handshake with this client.
async fn handshake(peer: &TlsPeer, tls: TlsConfig) -> (gnsq::Result<()>, Option<String>) {
    let client = connect(peer.address(), ConnectionConfig::new().tls(tls)).await;
    let (identified, name) = tokio::join!(within(client.identify()), async {
        let stream = peer.upgrade(peer.accept().await).await.ok()?;
        stream.get_ref().1.server_name().map(ToOwned::to_owned)
    });
    (identified.map(drop), name)
}

#[tokio::test]
async fn a_version_below_the_minimum_is_refused() {
    let authority = Authority::new();
    let identity = authority.server(LOCALHOST);
    for (version, minimum, taken) in [
        (&TLS12, TlsVersion::Tls12, true),
        (&TLS12, TlsVersion::Tls13, false),
        (&TLS13, TlsVersion::Tls12, true),
        (&TLS13, TlsVersion::Tls13, true),
    ] {
        let peer = TlsPeer::bind(&identity, &[version]).await;
        match handshake(&peer, trusting(&authority).min_version(minimum)).await.0 {
            Ok(()) => assert!(taken, "{version:?} with {minimum:?}"),
            Err(error) => {
                let error = cause(error);
                assert!(!taken && matches!(error, Error::Tls { .. }), "{version:?} with {minimum:?}: {error:?}");
                assert!(error.to_string().to_lowercase().contains("version"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn the_server_is_told_which_name_is_meant() {
    let authority = Authority::new();
    for (name, told) in [("nsqd.example", Some("nsqd.example")), (LOCALHOST, None)] {
        let peer = TlsPeer::bind(&authority.server(name), &[&TLS12, &TLS13]).await;
        let (identified, heard) = handshake(&peer, trusting(&authority).server_name(name)).await;
        identified.unwrap();
        assert_eq!(heard.as_deref(), told);
    }
}

#[tokio::test]
async fn a_handshake_that_failed_is_tried_again() {
    let authority = Authority::new();
    let peer = TlsPeer::bind(&authority.server(LOCALHOST), &[&TLS13]).await;
    let builder = Producer::builder().nsqd(peer.address()).tls(trusting(&authority));
    let producer = builder.max_reconnect_delay(Duration::from_millis(50)).build().unwrap();
    let (published, ()) = tokio::join!(within(producer.publish("t", "one")), async {
        let mut socket = peer.accept().await;
        socket.write_all(b"no TLS at all").await.unwrap();
        let mut stream = peer.upgrade(peer.accept().await).await.unwrap();
        let mut publish = [0; 6 + 4 + 3];
        within(stream.read_exact(&mut publish)).await.unwrap();
        assert_eq!(&publish, b"PUB t\n\0\0\0\x03one");
        stream.write_all(&response("OK")).await.unwrap();
        stream.flush().await.unwrap();
    });
    published.unwrap();
}
