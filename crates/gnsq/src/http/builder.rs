//! Sets up a client.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::header::HeaderValue;

use super::HttpError;
use super::address::BaseUrl;
use super::tls::TlsOptions;
use super::transport::{Settings, Transport};
#[cfg(feature = "tls")]
use crate::tls::TlsConfig;

/// Sets up an [`NsqdHttpClient`](super::NsqdHttpClient) or a [`LookupdClient`](super::LookupdClient); made by their
/// `builder`.
///
/// ```
/// use std::time::Duration;
/// use gnsq::http::NsqdHttpClient;
///
/// let nsqd = NsqdHttpClient::builder("nsqd.internal:4151")
///     .connect_timeout(Duration::from_secs(1))
///     .authorization("Bearer secret")
///     .build()?;
/// assert_eq!(nsqd.address(), "http://nsqd.internal:4151/");
/// # Ok::<(), gnsq::http::HttpError>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct HttpClientBuilder<C> {
    address: String,
    connect_timeout: Duration,
    request_timeout: Duration,
    user_agent: String,
    authorization: Option<String>,
    max_response_size: usize,
    pinned: Option<IpAddr>,
    tls: TlsOptions,
    client: PhantomData<fn() -> C>,
}

/// A client that stands on a [`Transport`].
pub trait HttpClient {
    /// The port that is meant by an address without one.
    const DEFAULT_PORT: u16;

    /// A client that speaks over `transport`.
    fn over(transport: Transport) -> Self;
}

impl<C: HttpClient> HttpClientBuilder<C> {
    pub(super) fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            user_agent: concat!("gnsq/", env!("CARGO_PKG_VERSION")).to_owned(),
            authorization: None,
            max_response_size: DEFAULT_MAX_RESPONSE_SIZE,
            pinned: None,
            tls: TlsOptions::default(),
            client: PhantomData,
        }
    }

    /// How long connecting may take, looking up the host's name and shaking hands over TLS included. Default: 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a call may take altogether, connecting included. Default: 5 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// What the client calls itself. Default: `gnsq/<version>`.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The whole value of the header `Authorization`, such as `Bearer …` or `Basic …`, for a proxy in front of the
    /// server. It is shown nowhere. Default: no such header.
    pub fn authorization(mut self, value: impl Into<String>) -> Self {
        self.authorization = Some(value.into());
        self
    }

    /// The size in bytes beyond which an answer is not read, but fails with
    /// [`ResponseTooLarge`](HttpError::ResponseTooLarge). Default: 64 MiB, since the statistics of an nsqd with many
    /// topics are large.
    pub fn max_response_size(mut self, bytes: usize) -> Self {
        self.max_response_size = bytes;
        self
    }

    /// Uses this IP address of the server's host instead of looking the name up. The port stays that of the
    /// address, and the server (and its certificate) is still known by its name. It changes nothing where the host
    /// is given as an IP address. Default: all addresses that the system finds.
    pub fn resolve(mut self, ip: IpAddr) -> Self {
        self.pinned = Some(ip);
        self
    }

    /// Trusts server certificates signed by these authorities, instead of those that the system trusts.
    /// `pem` has one or more certificates; several calls add up.
    pub fn ca_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.tls.add_ca_certificates(pem.as_ref());
        self
    }

    /// Shows this certificate (with those between it and its authority) to a server that asks for one, as nsqd does
    /// with `-tls-client-auth-policy`. `key_pem` has its private key, which is shown nowhere.
    pub fn client_certificate_pem(mut self, chain_pem: impl AsRef<[u8]>, key_pem: impl AsRef<[u8]>) -> Self {
        self.tls.set_client_certificate(chain_pem.as_ref(), key_pem.as_ref());
        self
    }

    /// Takes any certificate for the server's, so that anybody on the way can read and change everything. Only for
    /// trying things out; the log warns of it. Default: false.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.tls.accept_invalid_certificates(accept);
        self
    }

    /// How https is spoken and who must be at its other end, as for connections to nsqd; nothing else that was said
    /// of certificates counts then. [`TlsConfig::server_name`] has to be a name: the server is asked for by it. Without
    /// https it changes nothing.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls.set_whole(tls);
        self
    }

    /// The client. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`BadAddress`](HttpError::BadAddress); [`InvalidOption`](HttpError::InvalidOption) for a header value or a
    /// certificate that can't be used; [`Setup`](HttpError::Setup) when the system's root certificates can't be
    /// read.
    pub fn build(self) -> Result<C, HttpError> {
        let base = BaseUrl::parse(&self.address, C::DEFAULT_PORT)?;
        let authorization = match &self.authorization {
            Some(value) => {
                let mut value = header_value("authorization", value)?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let tls = self.tls.prepare(&base)?;
        let settings = Settings {
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            user_agent: header_value("user_agent", &self.user_agent)?,
            authorization,
            max_response_size: self.max_response_size,
            pinned: self.pinned.map(|ip| SocketAddr::new(ip, base.port())),
            server_name: tls.server_name,
            tls: tls.config,
        };
        Transport::new(base, settings).map(C::over)
    }
}

impl<C> fmt::Debug for HttpClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may have come with credentials in it, which only `build` refuses.
        f.debug_struct("HttpClientBuilder")
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("user_agent", &self.user_agent)
            .field("max_response_size", &self.max_response_size)
            .field("resolve", &self.pinned)
            .finish_non_exhaustive()
    }
}

fn header_value(option: &'static str, value: &str) -> Result<HeaderValue, HttpError> {
    HeaderValue::from_str(value).map_err(|_| HttpError::InvalidOption {
        option,
        reason: "it has characters that an HTTP header can't have".to_owned(),
    })
}

/// As nsqd's own default for its HTTP clients: a server that is there answers within milliseconds.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// As nsqd's own default for its HTTP clients.
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

const DEFAULT_MAX_RESPONSE_SIZE: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use crate::http::{HttpError, LookupdClient, NsqdHttpClient};

    #[test]
    fn a_header_value_that_cannot_be_sent_is_refused_without_being_shown() {
        let error = NsqdHttpClient::builder("host").authorization("secret\n").build().unwrap_err();
        assert!(matches!(error, HttpError::InvalidOption { option: "authorization", .. }));
        assert!(!format!("{error} {error:?}").contains("secret"));
    }

    #[test]
    fn each_server_has_its_default_port() {
        assert_eq!(NsqdHttpClient::new("host").unwrap().address(), "http://host:4151/");
        assert_eq!(LookupdClient::new("host").unwrap().address(), "http://host:4161/");
    }

    #[test]
    fn nothing_shows_the_authorization() {
        let builder = NsqdHttpClient::builder("host").authorization("Bearer secret");
        assert!(!format!("{builder:?}").contains("secret"));
        assert!(!format!("{:#?}", builder.build().unwrap()).contains("secret"));
    }
}
