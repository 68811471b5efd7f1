//! TLS and compression on streams that the user makes.

use std::io;

use gnsq::{Address, ConnectionConfig, Dialer};
use tokio::io::BufStream;
use tokio::net::TcpStream;

use super::certificates::Authority;
use super::common::within;
use super::compression::bodies;
use super::server::{Kind, with_both};
use super::{exchange, trusting};

with_both! {
    a_dialers_stream_carries_tls_and_compression,
}

/// Connects to one place, whatever is asked for. Its stream holds back what isn't flushed.
#[derive(Clone)]
struct To(String);

impl Dialer for To {
    type Stream = BufStream<TcpStream>;

    async fn dial(&self, _: &Address) -> io::Result<Self::Stream> {
        TcpStream::connect(&self.0).await.map(BufStream::new)
    }
}

async fn a_dialers_stream_carries_tls_and_compression(kind: Kind) {
    let authority = Authority::new();
    // The certificate is for the nsqd that is asked for, not for who is connected to instead.
    let nsqd = kind.tls_nsqd(&authority.server("nsqd.internal")).start().await;
    let address: Address = "nsqd.internal".parse().unwrap();
    let to = To(nsqd.tcp_address().to_string());
    let tls = || ConnectionConfig::new().dialer(to.clone()).tls(trusting(&authority));
    for config in [tls(), tls().snappy(true), tls().deflate(3)] {
        let (producer, consumer) = exchange(&address, &config, &bodies()).await;
        within(consumer.handle().shutdown()).await;
        within(producer.close()).await;
    }
}
