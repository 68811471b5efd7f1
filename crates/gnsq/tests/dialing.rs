//! Where connections come from, and who makes them.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod support;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gnsq::{Address, ConnectionConfig, Dialer, Error, Io, NsqdTcpClient, Producer};
use gnsq_testkit::{Nsqd, eventually};
use support::{CHANNEL, Consuming, DEADLINE, Seen, TOPIC, consumer, fill, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream, DuplexStream, copy_bidirectional, duplex};
use tokio::net::{TcpListener, TcpStream};

/// A SOCKS5 proxy that knows one host, under a name that nobody else knows.
struct Proxy {
    address: SocketAddr,
    tunnels: Arc<AtomicU32>,
}

const NAME: &str = "nsqd.only.the.proxy.knows";

impl Proxy {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, tunnels) = (listener.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
        let counter = tunnels.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, target, counter.clone()));
            }
        });
        Self { address, tunnels }
    }

    fn dialer(&self) -> ThroughSocks {
        ThroughSocks(self.address)
    }
}

/// RFC 1928: a greeting without authentication, and CONNECT to a name.
async fn tunnel(mut client: TcpStream, target: SocketAddr, tunnels: Arc<AtomicU32>) -> io::Result<()> {
    let mut greeting = [0; 3];
    client.read_exact(&mut greeting).await?;
    assert_eq!(greeting, [5, 1, 0]);
    client.write_all(&[5, 0]).await?;
    let mut head = [0; 5];
    client.read_exact(&mut head).await?;
    assert_eq!(head[..4], [5, 1, 0, 3]);
    let mut host = vec![0; head[4].into()];
    client.read_exact(&mut host).await?;
    client.read_u16().await?;
    let refused = u8::from(host != NAME.as_bytes());
    client.write_all(&[5, refused, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    if refused == 0 {
        tunnels.fetch_add(1, Ordering::Relaxed);
        copy_bidirectional(&mut client, &mut TcpStream::connect(target).await?).await?;
    }
    Ok(())
}

struct ThroughSocks(SocketAddr);

impl Dialer for ThroughSocks {
    /// Holds back what isn't flushed, in either direction.
    type Stream = BufStream<TcpStream>;

    async fn dial(&self, nsqd: &Address) -> io::Result<Self::Stream> {
        let (host, port) = nsqd.host_port().ok_or(io::ErrorKind::Unsupported)?;
        let mut stream = BufStream::new(TcpStream::connect(self.0).await?);
        stream.write_all(&[5, 1, 0, 5, 1, 0, 3, u8::try_from(host.len()).unwrap()]).await?;
        stream.write_all(host.as_bytes()).await?;
        stream.write_u16(port).await?;
        stream.flush().await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        match answer[3] {
            0 => Ok(stream),
            code => Err(io::Error::other(format!("the proxy refuses: {code}"))),
        }
    }
}

async fn connect(address: &str, config: ConnectionConfig) -> Result<NsqdTcpClient, Error> {
    within("a connection", NsqdTcpClient::connect_with(address, config, &Io::Current)).await
}

#[tokio::test]
async fn everything_goes_through_a_proxy() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let config = || ConnectionConfig::new().dialer(proxy.dialer());
    let producer = Producer::builder().nsqd(NAME).connection(config()).build().unwrap();
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(NAME).connection(config()), &seen);
    for number in 0..100 {
        within("a publish", producer.publish(TOPIC, number.to_string())).await.unwrap();
    }
    seen.wait_for(0..100).await;
    assert_eq!(proxy.tunnels.load(Ordering::Relaxed), 2);
    producer.close().await;
    consuming.shutdown().await;

    let Err(Error::Connect { address, source }) = connect("other.host", config()).await else { panic!("it connects") };
    assert_eq!(
        (address.to_string().as_str(), source.to_string().as_str()),
        ("other.host:4150", "the proxy refuses: 1")
    );
}

#[cfg(all(feature = "snappy", feature = "deflate"))]
#[tokio::test]
async fn compression_goes_through_a_proxy() {
    let nsqd = Nsqd::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    for config in [ConnectionConfig::new().snappy(true), ConnectionConfig::new().deflate(6)] {
        let client = connect(NAME, config.dialer(proxy.dialer())).await.unwrap();
        within("IDENTIFY", client.identify()).await.unwrap();
        within("a publish", client.publish(TOPIC, vec![b'x'; 100_000])).await.unwrap();
        client.close().await;
    }
}

/// Connects to nobody, in some way.
enum Broken {
    Never,
    Fails,
    Panics,
}

impl Dialer for Broken {
    type Stream = DuplexStream;

    async fn dial(&self, _: &Address) -> io::Result<DuplexStream> {
        match self {
            Self::Never => std::future::pending().await,
            Self::Fails => Err(io::Error::new(io::ErrorKind::PermissionDenied, "not from here")),
            Self::Panics => panic!("this dialer's bug"),
        }
    }
}

#[tokio::test]
async fn a_dialer_that_fails_ends_in_a_typed_error() {
    let config = || ConnectionConfig::new().connect_timeout(Duration::from_millis(50));
    for (dialer, kind, text) in [
        (Broken::Never, io::ErrorKind::TimedOut, "no connection within 50ms (connect_timeout)"),
        (Broken::Fails, io::ErrorKind::PermissionDenied, "not from here"),
        (Broken::Panics, io::ErrorKind::Other, "the dialer panicked"),
    ] {
        let error = connect("nsqd", config().dialer(dialer)).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        let Error::Connect { source, .. } = error else { panic!("{error}") };
        assert_eq!((source.kind(), source.to_string().as_str()), (kind, text));
    }
}

/// Panics at first, then connects to a real one.
struct Recovering {
    failures: AtomicU32,
    nsqd: SocketAddr,
}

impl Dialer for Recovering {
    type Stream = TcpStream;

    async fn dial(&self, _: &Address) -> io::Result<TcpStream> {
        assert!(self.failures.fetch_add(1, Ordering::Relaxed) >= 2, "this dialer's bug");
        TcpStream::connect(self.nsqd).await
    }
}

#[tokio::test]
async fn a_consumer_tries_again_after_its_dialer_panicked() {
    let nsqd = Nsqd::start().await;
    fill(nsqd.tcp_address(), 0..10).await;
    let dialer = Recovering { failures: AtomicU32::new(0), nsqd: nsqd.tcp_address() };
    let seen = Seen::new();
    let builder = consumer().nsqd("anywhere").connection(ConnectionConfig::new().dialer(dialer));
    let consuming = Consuming::into(builder, &seen);
    seen.wait_for(0..10).await;
    consuming.shutdown().await;
}

/// Gives the near end of a pipe whose far end nobody reads.
struct Deaf(std::sync::Mutex<Vec<DuplexStream>>);

impl Dialer for Deaf {
    type Stream = DuplexStream;

    async fn dial(&self, _: &Address) -> io::Result<DuplexStream> {
        let (near, far) = duplex(64);
        self.0.lock().unwrap().push(far);
        Ok(near)
    }
}

#[tokio::test]
async fn a_dialers_stream_that_takes_nothing_counts_as_dead() {
    let config = ConnectionConfig::new().dialer(Deaf(std::sync::Mutex::default()));
    let client = connect("nsqd", config.write_timeout(Duration::from_millis(50))).await.unwrap();
    let error = within("IDENTIFY", client.identify()).await.unwrap_err();
    assert!(error.to_string().contains("write_timeout"), "{error}");
}

/// Elsewhere 127.0.0.9 may not be this host's.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn connections_come_from_the_local_address() {
    let nsqd = Nsqd::start().await;
    let config = ConnectionConfig::new().local_address(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9)));
    let seen = Seen::new();
    let consuming = Consuming::into(consumer().nsqd(nsqd.tcp_address()).connection(config), &seen);
    eventually(DEADLINE, "the consumer at nsqd", async || {
        let stats = nsqd.stats().await;
        let clients = &stats["topics"][0]["channels"][0]["clients"];
        clients[0]["remote_address"].as_str().map(|address| assert!(address.starts_with("127.0.0.9:"), "{address}"))
    })
    .await;
    nsqd.wait_for_channel(TOPIC, CHANNEL, |stats| stats.client_count == 1).await;
    consuming.shutdown().await;
}

#[tokio::test]
async fn a_local_address_that_is_not_here_or_of_another_family_is_told() {
    let nsqd = Nsqd::start().await;
    for (address, text) in [
        (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), "from 192.0.2.1 (local_address)"),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), "no address that ::1 (local_address) can reach"),
    ] {
        let config = ConnectionConfig::new().local_address(address);
        let error = connect(&nsqd.tcp_address().to_string(), config).await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
}

/// `localhost` is both 127.0.0.1 and ::1 on most systems. Whichever is listened on is found.
#[tokio::test]
async fn all_addresses_of_a_name_are_tried() {
    let addresses: Vec<_> = tokio::net::lookup_host(("localhost", 0)).await.unwrap().collect();
    for address in addresses {
        let listener = TcpListener::bind(address).await.unwrap();
        let name = format!("localhost:{}", listener.local_addr().unwrap().port());
        let client = connect(&name, ConnectionConfig::new()).await.unwrap();
        let (mut accepted, _) = within("the connection", listener.accept()).await.unwrap();
        let mut magic = [0; 4];
        within("the magic", accepted.read_exact(&mut magic)).await.unwrap();
        assert_eq!(&magic, b"  V2");
        drop(client);
    }
}
