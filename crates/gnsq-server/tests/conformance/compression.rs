//! Deflate and snappy, alone and under TLS.

use crate::certificates::Certificates;
use crate::server::{Nsqd, Side};
use crate::stats;
use crate::wire::{Client, TlsClient, command, mpub};

conformance! {
    a_connection_goes_on_under_deflate,
    a_connection_goes_on_under_snappy,
    compression_goes_under_tls,
    a_deflate_level_is_lowered_to_the_maximum,
    compression_can_be_turned_off,
}

/// Says IDENTIFY with this, which is agreed as `agreed`.
async fn identified(nsqd: &impl Nsqd, asked: &str, agreed: &str) -> Client {
    let mut client = nsqd.connect().await;
    client.send(command("IDENTIFY", format!(r#"{{"feature_negotiation":true,{asked}}}"#))).await;
    let reply = client.response().await;
    assert!(reply.contains(agreed), "{reply}");
    client
}

/// Publishes and consumes small and large messages, and is refused at the end.
async fn exchange_messages(mut client: Client) {
    client.send("SUB t c\nRDY 1\n").await;
    client.ok().await;
    // Bytes that compress to nearly nothing, and bytes that don't compress.
    let mut random = 1_u32;
    let noise: String = std::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + u8::try_from((random >> 24) % 90).unwrap())
    })
    .take(300_000)
    .collect();
    for body in ["x".to_owned(), "a".repeat(300_000), noise] {
        let message = client.published(&body).await;
        assert!(message.body == body);
        client.send(format!("FIN {}\n", message.id)).await;
    }
    for piece in mpub("other", &["in", "pieces"]).chunks(3) {
        client.send(piece).await;
    }
    client.ok().await;
    client.stays().await;
    client.send("FOO\n").await;
    client.refused("E_INVALID invalid command FOO").await;
}

async fn a_connection_goes_on_under_deflate<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for level in 0..=6 {
        let asked = format!(r#""deflate":true,"deflate_level":{level}"#);
        let agreed = format!(r#""deflate":true,"deflate_level":{}"#, if level == 0 { 6 } else { level });
        let mut client = identified(&nsqd, &asked, &agreed).await;
        client.upgrade_to_deflate();
        client.ok().await;
        exchange_messages(client).await;
    }
}

async fn a_connection_goes_on_under_snappy<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = identified(&nsqd, r#""snappy":true"#, r#""snappy":true"#).await;
    client.upgrade_to_snappy();
    client.ok().await;
    exchange_messages(client).await;

    let mut client = identified(&nsqd, r#""snappy":true"#, r#""snappy":true"#).await;
    client.upgrade_to_snappy();
    client.ok().await;
    client.send("SUB t d\n").await;
    client.ok().await;
    let seen = &stats::channel(&nsqd, "t", "d").await["clients"][0];
    assert_eq!([&seen["snappy"], &seen["deflate"], &seen["tls"]], [true, false, false]);
}

async fn compression_goes_under_tls<S: Side>() {
    let certificates = Certificates::new();
    let flags = certificates.flags(&[]);
    let nsqd = S::nsqd(&[&flags[0], &flags[1]]).await;
    for compression in ["snappy", "deflate"] {
        let asked = format!(r#""tls_v1":true,"{compression}":true"#);
        let mut client = identified(&nsqd, &asked, &format!(r#""{compression}":true"#)).await;
        client.upgrade_to_tls(TlsClient::ANONYMOUS).await.unwrap();
        // One OK under TLS, one under both.
        client.ok().await;
        match compression {
            "snappy" => client.upgrade_to_snappy(),
            _ => client.upgrade_to_deflate(),
        }
        client.ok().await;
        exchange_messages(client).await;
    }
}

async fn a_deflate_level_is_lowered_to_the_maximum<S: Side>() {
    let nsqd = S::nsqd(&["--max-deflate-level=2"]).await;
    for (level, agreed) in [(-1, 2), (0, 2), (1, 1), (2, 2), (3, 2), (9, 2), (100, 2)] {
        let asked = format!(r#""deflate":true,"deflate_level":{level}"#);
        let agreed = format!(r#""deflate":true,"deflate_level":{agreed},"max_deflate_level":2"#);
        let mut client = identified(&nsqd, &asked, &agreed).await;
        client.upgrade_to_deflate();
        client.ok().await;
    }
}

async fn compression_can_be_turned_off<S: Side>() {
    let nsqd = S::nsqd(&["--snappy=false"]).await;
    // Where only one is on, only that one counts.
    let mut client = identified(&nsqd, r#""snappy":true,"deflate":true"#, r#""snappy":false"#).await;
    client.upgrade_to_deflate();
    client.ok().await;
    exchange_messages(client).await;
}
