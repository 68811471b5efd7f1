//! Sends one request and reads its answer, within bounds of time and size.

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, Url, redirect};
use tokio::net::lookup_host;

use super::HttpError;
use super::address::BaseUrl;
use super::answer::Answer;

/// The connections to one server; clones share them.
#[derive(Clone)]
pub struct Transport(Arc<Shared>);

struct Shared {
    http: reqwest::Client,
    base: BaseUrl,
    settings: Settings,
}

/// What the builder found out, kept so that a second transport can be made for another of the host's addresses.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) user_agent: HeaderValue,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) max_response_size: usize,
    /// The one address to use of those that the host has. Its port is not used.
    pub(super) pinned: Option<SocketAddr>,
    /// The name by which the server is asked for and known, where it isn't that of its address.
    pub(super) server_name: Option<String>,
    pub(super) tls: rustls::ClientConfig,
}

impl Transport {
    pub(super) fn new(base: BaseUrl, settings: Settings) -> Result<Self, HttpError> {
        let mut headers = HeaderMap::new();
        // Without it, servers before 1.0 wrap their answers.
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.nsq; version=1.0"));
        if let Some(authorization) = &settings.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let builder = reqwest::Client::builder()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.request_timeout)
            .user_agent(settings.user_agent.clone())
            .default_headers(headers)
            // NSQ servers are internal, and a redirect would turn a publish into a GET, elsewhere.
            .no_proxy()
            .redirect(redirect::Policy::none());
        let builder = match (base.domain(), settings.pinned, &settings.server_name) {
            (Some(_), Some(address), Some(name)) => builder.resolve(name, address),
            (Some(domain), Some(address), None) => builder.resolve(domain, address),
            (_, _, Some(_)) => builder.dns_resolver(Elsewhere(base.host_and_port())),
            (_, _, None) => builder,
        };
        let builder = builder.tls_backend_preconfigured(settings.tls.clone());
        let http = builder
            .build()
            .map_err(|error| HttpError::Setup { url: base.as_str().to_owned(), source: Box::new(error) })?;
        Ok(Self(Arc::new(Shared { http, base, settings })))
    }

    pub(super) fn base(&self) -> &BaseUrl {
        &self.0.base
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn get(&self, segments: &[&str]) -> Request<'_> {
        self.request(Method::GET, segments)
    }

    pub(super) fn post(&self, segments: &[&str]) -> Request<'_> {
        self.request(Method::POST, segments)
    }

    pub(super) fn put(&self, segments: &[&str]) -> Request<'_> {
        self.request(Method::PUT, segments)
    }

    /// The answer of the endpoint at `path`, whatever it is.
    pub(super) async fn get_path(&self, path: &str, query: &[(&str, &str)]) -> Result<Bytes, HttpError> {
        Ok(self.path(Method::GET, path, query).send().await?.body)
    }

    pub(super) fn path(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Request<'_> {
        let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let request = self.request(method, &segments);
        query.iter().fold(request, |request, (key, value)| request.query(key, value))
    }

    fn request(&self, method: Method, segments: &[&str]) -> Request<'_> {
        Request { transport: &self.0, method, url: self.0.base.endpoint(segments), body: Bytes::new() }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { connect_timeout, request_timeout, max_response_size, pinned, .. } = &self.0.settings;
        f.debug_struct("Transport")
            .field("address", &self.0.base)
            .field("connect_timeout", connect_timeout)
            .field("request_timeout", request_timeout)
            .field("max_response_size", max_response_size)
            .field("resolved_to", &pinned.map(|address| address.ip()))
            .finish_non_exhaustive()
    }
}

/// Finds this host, by whatever name it is asked for.
struct Elsewhere((String, u16));

impl Resolve for Elsewhere {
    fn resolve(&self, _: Name) -> Resolving {
        let host_and_port = self.0.clone();
        Box::pin(async move {
            let found: Vec<_> = lookup_host(host_and_port).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// One request, not yet sent.
pub(super) struct Request<'a> {
    transport: &'a Shared,
    method: Method,
    url: Url,
    body: Bytes,
}

impl Request<'_> {
    pub(super) fn query(mut self, key: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(key, value);
        self
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Sends it and reads the whole answer, which tells of success.
    pub(super) async fn send(self) -> Result<Answer, HttpError> {
        self.send_raw().await?.succeeded()
    }

    /// Sends it and reads the whole answer, whatever it tells.
    pub(super) async fn send_raw(self) -> Result<Answer, HttpError> {
        let Self { transport, method, mut url, body } = self;
        let text = url.to_string();
        // Behind what is shown.
        transport.base.add_query(&mut url);
        let settings = &transport.settings;
        if let Some(name) = &settings.server_name {
            // Found to be a name when the client was built.
            let _ = url.set_host(Some(name));
        }
        let result = transport.http.request(method, url).body(body).send().await;
        let response = result.map_err(|error| failure(error, &text, settings))?;
        let status = response.status().as_u16();
        tracing::trace!(url = text, status, "answer");
        let content_type =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = read(response, &text, settings).await?;
        Ok(Answer { url: text, status, content_type, body })
    }
}

async fn read(mut response: Response, url: &str, settings: &Settings) -> Result<Bytes, HttpError> {
    let limit = settings.max_response_size;
    let too_large = || HttpError::ResponseTooLarge { url: url.to_owned(), limit };
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(error, url, settings))? {
        if chunk.len() > limit - body.len() {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn failure(error: reqwest::Error, url: &str, settings: &Settings) -> HttpError {
    let url = url.to_owned();
    let connecting = error.is_connect();
    if error.is_timeout() {
        let after = if connecting { settings.connect_timeout } else { settings.request_timeout };
        return HttpError::Timeout { url, after, connecting };
    }
    // The URL is told already.
    let source = Box::new(error.without_url());
    if refused_by_tls(source.as_ref(), connecting) {
        HttpError::Tls { url, source }
    } else if connecting {
        HttpError::Connect { url, source }
    } else {
        HttpError::Request { url, source }
    }
}

/// Whether one of the two sides would not have the other.
fn refused_by_tls(error: &(dyn StdError + 'static), connecting: bool) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return connecting || crate::tls::is_refusal_of_client(error);
        }
        // The source of an I/O error made from another error is not that one, but that one's source.
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => cause = Some(inner),
            None => cause = error.source(),
        }
    }
    false
}
