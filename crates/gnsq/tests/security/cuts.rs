//! Random bodies through networks that cut the stream anywhere.
#![allow(clippy::print_stderr, reason = "a failure is repeated with the seed that it shows")]

use bytes::Bytes;
use fastrand::Rng;
use gnsq::ConnectionConfig;
use gnsq_testkit::Proxy;

use super::certificates::Authority;
use super::common::within;
use super::server::{Kind, with_both};
use super::{LOCALHOST, exchange, trusting};

with_both! {
    random_bodies_come_back_from_a_network_that_cuts_anywhere,
}

/// `GNSQ_SEED`, or a new one.
fn seed() -> u64 {
    let seed = std::env::var("GNSQ_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.unwrap_or_else(|| fastrand::u64(..))
}

/// From 1 byte to 1 MiB, the small ones being as many as the large ones; of one byte, of few, or of all.
fn random_body(random: &mut Rng) -> Bytes {
    let most = 1_usize << random.u32(0..=20);
    let (len, range) = (random.usize(1..=most), [1, 5, 256][random.usize(0..3)]);
    std::iter::repeat_with(|| u8::try_from(random.u32(0..range)).unwrap()).take(len).collect()
}

async fn random_bodies_come_back_from_a_network_that_cuts_anywhere(kind: Kind) {
    let authority = Authority::new();
    let identity = authority.server(LOCALHOST);
    let nsqd = kind.tls_nsqd(&identity).tls_not_required().max_deflate_level(9).start().await;
    let plain = ConnectionConfig::new;
    let tls = || plain().tls(trusting(&authority));
    let alone = std::iter::once(plain()).chain(std::iter::once(plain().snappy(true)));
    let alone = alone.chain((1..=9).map(|level| plain().deflate(level)));
    let under_tls = [tls(), tls().snappy(true), tls().deflate(1), tls().deflate(6), tls().deflate(9)];
    for config in alone.chain(under_tls) {
        let seed = seed();
        eprintln!("GNSQ_SEED={seed} for {config:?}");
        let mut random = Rng::with_seed(seed);
        let proxy = Proxy::to(nsqd.tcp_address()).await;
        proxy.upstream().cut_up(random.u64(..));
        proxy.downstream().cut_up(random.u64(..));
        let bodies: Vec<_> = std::iter::repeat_with(|| random_body(&mut random)).take(24).collect();
        let (producer, consumer) = exchange(&proxy.address().into(), &config, &bodies).await;
        let report = within(consumer.handle().shutdown()).await;
        assert!(report.unconfirmed.is_empty(), "{report:?}");
        within(producer.close()).await;
        nsqd.wait_until_drained("t").await;
    }
}
