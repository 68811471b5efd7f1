//! Compressed connections to the real nsqd.

use bytes::Bytes;
use gnsq::{ConnectionConfig, TlsConfig};
use gnsq_testkit::Nsqd;

use super::certificates::Authority;
use super::{identify, round_trip, tls_nsqd};

/// From one byte to the largest there is, around the sizes of snappy's chunks, of what can be compressed and what can't.
pub(crate) fn bodies() -> Vec<Bytes> {
    let sizes = [1, 2, 100, 4096, 65_535, 65_536, 65_537, 200_000, 1024 * 1024];
    let text = b"a message like many others, ".iter().copied().cycle();
    let mut random = 1_u64;
    let mut noise = std::iter::repeat_with(move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random.to_be_bytes()[0]
    });
    let texts = sizes.iter().map(|size| text.clone().take(*size).collect());
    let noises = sizes.iter().map(|size| noise.by_ref().take(*size).collect());
    let small = (0..500).map(|number| Bytes::from(format!("{number:0100}")));
    texts.chain(noises).chain(small).collect()
}

fn compressions() -> Vec<(ConnectionConfig, &'static str)> {
    let config = ConnectionConfig::new;
    vec![(config().snappy(true), "snappy"), (config().deflate(1), "deflate"), (config().deflate(6), "deflate")]
}

#[tokio::test]
async fn bodies_of_all_sizes_go_through_compressed() {
    let nsqd = Nsqd::start().await;
    for (config, compression) in compressions() {
        let client = round_trip(&nsqd, &config, &bodies()).await;
        assert_eq!(client[compression], true, "{client}");
    }
}

#[tokio::test]
async fn bodies_of_all_sizes_go_through_compressed_under_tls() {
    let authority = Authority::new();
    let nsqd = tls_nsqd(&authority.server("127.0.0.1")).start().await;
    let tls = TlsConfig::new().ca_certificate_pem(authority.certificate.as_str());
    for (config, compression) in compressions() {
        let client = round_trip(&nsqd, &config.tls(tls.clone()), &bodies()).await;
        assert_eq!((&client[compression], &client["tls"]), (&true.into(), &true.into()), "{client}");
    }
}

#[tokio::test]
async fn what_nsqd_declines_is_done_without() {
    let nsqd = Nsqd::builder().arg("--snappy=false").arg("--deflate=false").start().await;
    for (config, compression) in compressions() {
        let client = round_trip(&nsqd, &config, &["one".into()]).await;
        assert_eq!(client[compression], false, "{client}");
    }
}

#[tokio::test]
async fn a_level_above_nsqds_highest_is_lowered() {
    let nsqd = Nsqd::builder().arg("--max-deflate-level=2").start().await;
    let granted = identify(&nsqd, ConnectionConfig::new().deflate(9)).await.unwrap();
    assert_eq!((granted.deflate, granted.deflate_level), (true, 2));
}
