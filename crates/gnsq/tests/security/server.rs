//! The real nsqd and the embedded one, started alike: what holds with one has to hold with the other.

use std::net::SocketAddr;
use std::path::PathBuf;

use gnsq::Address;
use gnsq_server::{ClientAuth, PemSource, TlsOptions, TlsRequired, TlsVersion};
use gnsq_testkit::{DEADLINE, eventually, http};
use serde_json::Value;

use super::auth_server::AuthServer;
use super::certificates::{Authority, Identity};

/// Which nsqd a test runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Real,
    Embedded,
}

/// How an nsqd is to be started.
pub(crate) struct NsqdOptions {
    kind: Kind,
    real: gnsq_testkit::NsqdBuilder,
    embedded: gnsq_server::NsqdBuilder,
    tls: Option<TlsOptions>,
}

/// A running nsqd.
pub(crate) enum Nsqd {
    Real(gnsq_testkit::Nsqd),
    Embedded(gnsq_server::Nsqd),
}

/// Makes two tests of each function: one with the real nsqd, one with the embedded one.
macro_rules! with_both {
    ($($name:ident,)+) => {
        mod real {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::server::Kind::Real).await;
            })+
        }
        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::server::Kind::Embedded).await;
            })+
        }
    };
}
pub(crate) use with_both;

impl Kind {
    /// An nsqd with its defaults.
    pub(crate) fn nsqd(self) -> NsqdOptions {
        let (real, embedded) = (gnsq_testkit::Nsqd::builder(), gnsq_server::Nsqd::builder());
        NsqdOptions { kind: self, real, embedded, tls: None }
    }

    /// An nsqd that shows this certificate, and answers plain HTTP whatever it demands of TCP.
    pub(crate) fn tls_nsqd(self, identity: &Identity) -> NsqdOptions {
        let tls = TlsOptions {
            certificate: PemSource::File(identity.certificate_path()),
            key: PemSource::File(identity.key_path()),
            root_ca: None,
            client_auth: ClientAuth::None,
            required: TlsRequired::TcpHttps,
            min_version: TlsVersion::Tls12,
        };
        let mut options = self
            .nsqd()
            .arg(format!("--tls-cert={}", identity.certificate_path().display()))
            .arg(format!("--tls-key={}", identity.key_path().display()))
            .arg("--tls-required=tcp-https");
        options.tls = Some(tls);
        options
    }
}

impl NsqdOptions {
    /// Lets everyone go without TLS who wants to.
    pub(crate) fn tls_not_required(self) -> Self {
        self.arg("--tls-required=false").tls(|tls| tls.required = TlsRequired::No)
    }

    /// Demands a certificate of clients, whosever it is.
    pub(crate) fn any_client_certificate(self) -> Self {
        self.arg("--tls-client-auth-policy=require").tls(|tls| tls.client_auth = ClientAuth::Require)
    }

    /// Demands a certificate of clients that this authority has signed.
    pub(crate) fn client_certificate_of(self, authority: &Authority) -> Self {
        let path: PathBuf = authority.certificate_path();
        self.arg("--tls-client-auth-policy=require-verify")
            .arg(format!("--tls-root-ca-file={}", path.display()))
            .tls(|tls| (tls.client_auth, tls.root_ca) = (ClientAuth::RequireVerify, Some(PemSource::File(path))))
    }

    /// Speaks TLS 1.3 only.
    pub(crate) fn tls_1_3_only(self) -> Self {
        self.arg("--tls-min-version=tls1.3").tls(|tls| tls.min_version = TlsVersion::Tls13)
    }

    /// Declines both compressions.
    pub(crate) fn no_compression(mut self) -> Self {
        self.embedded = self.embedded.snappy(false).deflate(false);
        self.arg("--snappy=false").arg("--deflate=false")
    }

    pub(crate) fn max_deflate_level(mut self, level: u8) -> Self {
        self.embedded = self.embedded.max_deflate_level(level);
        self.arg(format!("--max-deflate-level={level}"))
    }

    /// Asks this server what clients may do.
    pub(crate) fn auth(mut self, server: &AuthServer) -> Self {
        self.embedded = self.embedded.auth_http_addresses([server.address.to_string()]);
        self.arg(format!("--auth-http-address={}", server.address))
    }

    /// Registers with the nsqlookupd that takes nsqds at this address.
    pub(crate) fn lookupd(mut self, address: &str) -> Self {
        self.embedded = self.embedded.lookupd_tcp_addresses([address.to_owned()]);
        self.arg(format!("--lookupd-tcp-address={address}"))
    }

    pub(crate) async fn start(self) -> Nsqd {
        match self.kind {
            Kind::Real => Nsqd::Real(self.real.start().await),
            Kind::Embedded => Nsqd::Embedded(self.embedded.tls(self.tls).start().await.unwrap()),
        }
    }

    fn arg(mut self, argument: impl Into<String>) -> Self {
        self.real = self.real.arg(argument);
        self
    }

    fn tls(mut self, change: impl FnOnce(&mut TlsOptions)) -> Self {
        change(self.tls.as_mut().expect("it has a certificate"));
        self
    }
}

impl Nsqd {
    pub(crate) fn tcp_address(&self) -> SocketAddr {
        match self {
            Self::Real(nsqd) => nsqd.tcp_address(),
            Self::Embedded(nsqd) => nsqd.tcp_address().parse().unwrap(),
        }
    }

    pub(crate) fn address(&self) -> Address {
        self.tcp_address().into()
    }

    pub(crate) fn https_address(&self) -> SocketAddr {
        match self {
            Self::Real(nsqd) => nsqd.https_address(),
            Self::Embedded(nsqd) => nsqd.https_address().unwrap().parse().unwrap(),
        }
    }

    /// What it tells of a topic; `Null` if there is none of this name.
    pub(crate) async fn topic(&self, name: &str) -> Value {
        let address = match self {
            Self::Real(nsqd) => nsqd.http_address(),
            Self::Embedded(nsqd) => nsqd.http_address().parse().unwrap(),
        };
        let (code, body) = http::get(address, &format!("/stats?format=json&include_mem=false&topic={name}")).await;
        assert_eq!(code, 200, "/stats: {body}");
        let stats: Value = serde_json::from_str(&body).unwrap();
        stats["topics"].get(0).cloned().unwrap_or_default()
    }

    /// Waits until no message is left in the topic's only channel, nor in flight.
    pub(crate) async fn wait_until_drained(&self, topic: &str) {
        eventually(DEADLINE, "the channel to be empty", async || {
            let topic = self.topic(topic).await;
            let channel = &topic["channels"][0];
            (topic["depth"] == 0 && channel["depth"] == 0 && channel["in_flight_count"] == 0).then_some(())
        })
        .await;
    }
}
