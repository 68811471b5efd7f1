//! The real servers.

use std::fmt::Write;
use std::net::SocketAddr;

use tempfile::TempDir;

use crate::differences::{Differences, REAL};
use crate::server::{Address, Nsqd, Nsqlookupd, Side};

pub(crate) struct Real;

impl Side for Real {
    type Nsqd = RealNsqd;
    type Nsqlookupd = RealNsqlookupd;
    const DIFFERENCES: Differences = REAL;
}

pub(crate) struct RealNsqd {
    // Before its data.
    nsqd: gnsq_testkit::Nsqd,
    tcp_path: Option<String>,
    http_path: Option<String>,
    _data: TempDir,
}

impl Nsqd for RealNsqd {
    async fn start(flags: &[&str], channels: &[(&str, &str)]) -> Self {
        let data = TempDir::new().unwrap();
        std::fs::write(data.path().join("nsqd.dat"), metadata(channels)).unwrap();
        let mut builder = gnsq_testkit::Nsqd::builder().arg(format!("--data-path={}", data.path().display()));
        for &flag in flags {
            builder = builder.arg(flag);
        }
        let path = |flag: &str| {
            let address = flags.iter().find_map(|given| given.strip_prefix(flag))?;
            address.starts_with('/').then(|| address.to_owned())
        };
        Self {
            tcp_path: path("--tcp-address="),
            http_path: path("--http-address="),
            nsqd: builder.start().await,
            _data: data,
        }
    }

    async fn stop(mut self) {
        self.nsqd.stop().await;
    }

    fn tcp_address(&self) -> Address {
        match &self.tcp_path {
            Some(path) => Address::Unix(path.into()),
            None => Address::Tcp(self.nsqd.tcp_address()),
        }
    }

    fn http_address(&self) -> Address {
        match &self.http_path {
            Some(path) => Address::Unix(path.into()),
            None => Address::Tcp(self.nsqd.http_address()),
        }
    }

    fn https_address(&self) -> SocketAddr {
        self.nsqd.https_address()
    }
}

pub(crate) struct RealNsqlookupd(gnsq_testkit::Nsqlookupd);

impl Nsqlookupd for RealNsqlookupd {
    async fn start(flags: &[&str]) -> Self {
        let mut builder = gnsq_testkit::Nsqlookupd::builder();
        for &flag in flags {
            builder = builder.arg(flag);
        }
        Self(builder.start().await)
    }

    async fn restart(&mut self) {
        self.0.restart().await;
    }

    fn tcp_address(&self) -> SocketAddr {
        self.0.tcp_address()
    }

    fn http_address(&self) -> SocketAddr {
        self.0.http_address()
    }
}

/// What nsqd reads at its start: the topics and channels that it had.
fn metadata(channels: &[(&str, &str)]) -> String {
    let mut topics = String::new();
    for (topic, channel) in channels {
        let comma = if topics.is_empty() { "" } else { "," };
        let channel = format!(r#"{{"name":"{channel}","paused":false}}"#);
        write!(topics, r#"{comma}{{"name":"{topic}","paused":false,"channels":[{channel}]}}"#).unwrap();
    }
    format!(r#"{{"topics":[{topics}],"version":"1.3.0"}}"#)
}
