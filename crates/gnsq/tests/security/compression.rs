//! Compressed connections.

use bytes::Bytes;
use gnsq::{ConnectionConfig, Consumer, Producer};

use super::certificates::Authority;
use super::common::within;
use super::server::{Kind, with_both};
use super::{LOCALHOST, identify, round_trip, trusting};

with_both! {
    bodies_of_all_sizes_go_through_compressed,
    bodies_of_all_sizes_go_through_compressed_under_tls,
    what_nsqd_declines_is_done_without,
    a_level_above_nsqds_highest_is_lowered,
    a_lone_message_is_not_held_back,
}

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

/// Snappy, and deflate at some levels: every one of them has its turn in `cuts`.
fn compressions() -> impl Iterator<Item = (ConnectionConfig, &'static str)> {
    let deflate = [1, 6, 9].map(|level| (ConnectionConfig::new().deflate(level), "deflate"));
    std::iter::once((ConnectionConfig::new().snappy(true), "snappy")).chain(deflate)
}

async fn bodies_of_all_sizes_go_through_compressed(kind: Kind) {
    let nsqd = kind.nsqd().max_deflate_level(9).start().await;
    for (config, compression) in compressions() {
        let client = round_trip(&nsqd, &config, &bodies()).await;
        assert_eq!(client[compression], true, "{client}");
    }
}

async fn bodies_of_all_sizes_go_through_compressed_under_tls(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.server(LOCALHOST)).start().await;
    for (config, compression) in compressions().take(3) {
        let client = round_trip(&nsqd, &config.tls(trusting(&authority)), &bodies()).await;
        assert_eq!((&client[compression], &client["tls"]), (&true.into(), &true.into()), "{client}");
    }
}

async fn what_nsqd_declines_is_done_without(kind: Kind) {
    let nsqd = kind.nsqd().no_compression().start().await;
    for (config, compression) in compressions().take(2) {
        let client = round_trip(&nsqd, &config, &["one".into()]).await;
        assert_eq!(client[compression], false, "{client}");
    }
}

async fn a_level_above_nsqds_highest_is_lowered(kind: Kind) {
    let nsqd = kind.nsqd().max_deflate_level(2).start().await;
    let granted = identify(&nsqd, ConnectionConfig::new().deflate(9)).await.unwrap();
    assert_eq!((granted.deflate, granted.deflate_level), (true, 2));
}

/// The next one is published when the last one has come: nothing pushes it out from behind.
async fn a_lone_message_is_not_held_back(kind: Kind) {
    let authority = Authority::new();
    let nsqd = kind.tls_nsqd(&authority.server(LOCALHOST)).tls_not_required().start().await;
    for (config, _) in compressions().step_by(2) {
        for config in [config.clone(), config.tls(trusting(&authority))] {
            let producer = Producer::builder().nsqd(nsqd.address()).connection(config.clone()).build().unwrap();
            let mut consumer = Consumer::builder("t", "c").nsqd(nsqd.address()).connection(config).build().unwrap();
            for body in ["x", "another one", "x"] {
                within(producer.publish("t", body)).await.unwrap();
                let message = within(consumer.recv()).await.unwrap();
                assert_eq!(message.body(), body);
                message.finish().unwrap();
            }
            within(consumer.handle().shutdown()).await;
            within(producer.close()).await;
        }
    }
}
