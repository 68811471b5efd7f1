//! What the owner of a secret may do, by the word of an auth server.

use std::fmt::{self, Write as _};
use std::time::Duration;

use gnsq_proto::{ChannelName, Secret, TopicName};
use regex::{Regex, RegexBuilder};
use reqwest::header::ACCEPT;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use thiserror::Error;

use crate::clock::{Clock, Tick};
use crate::http::client;

/// The auth servers of an nsqd.
#[derive(Debug)]
pub(crate) struct Authority {
    servers: Vec<Server>,
    client: Client,
    clock: Clock,
}

#[derive(Debug)]
struct Server {
    /// As it was given.
    address: String,
    /// Up to what a query adds.
    url: String,
}

impl Authority {
    /// `addresses`: `host:port` or a URL. With none, every query fails.
    pub(crate) fn new(
        addresses: &[String],
        connect_timeout: Duration,
        request_timeout: Duration,
        clock: Clock,
    ) -> Result<Self, AuthError> {
        let servers: Vec<_> = addresses.iter().map(|address| Server::new(address)).collect::<Result<_, _>>()?;
        let https = servers.iter().any(|server| server.url.starts_with("https:"));
        let client = client(connect_timeout, request_timeout, https).map_err(|error| AuthError(error.to_string()))?;
        Ok(Self { servers, client, clock })
    }

    /// Asks one server after the other, the first one by chance, until one gives an answer that can be used.
    ///
    /// `remote_ip`: the client's, empty on a unix socket. `common_name`: of its certificate, empty without one.
    pub(crate) async fn query(
        &self,
        remote_ip: &str,
        tls: bool,
        common_name: &str,
        secret: &Secret,
    ) -> Result<Grant, AuthError> {
        let query = format!(
            "common_name={}&remote_ip={}&secret={}&tls={tls}",
            Escaped(common_name.as_bytes()),
            Escaped(remote_ip.as_bytes()),
            Escaped(secret.expose()),
        );
        let (before, first) = self.servers.split_at(fastrand::usize(..self.servers.len().max(1)));
        let mut failures = String::new();
        for server in first.iter().chain(before) {
            match self.ask(&server.url, &query).await {
                Ok(grant) => return Ok(grant),
                Err(reason) => {
                    let separator = if failures.is_empty() { "" } else { "; " };
                    let _ = write!(failures, "{separator}failed to auth against {} - {reason}", server.address);
                }
            }
        }
        Err(AuthError(failures))
    }

    async fn ask(&self, url: &str, query: &str) -> Result<Grant, String> {
        // The URL holds the secret.
        let hide = |error: reqwest::Error| {
            let error = error.without_url();
            std::error::Error::source(&error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        };
        let separator = if url.contains('?') { '&' } else { '?' };
        let request =
            self.client.get(format!("{url}{separator}{query}")).header(ACCEPT, "application/vnd.nsq; version=1.0");
        let mut response = request.send().await.map_err(hide)?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(hide)? {
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(format!("its answer has more than {MAX_ANSWER} bytes"));
            }
            body.extend_from_slice(&piece);
        }
        if response.status() != StatusCode::OK {
            let text = String::from_utf8_lossy(&body[..body.len().min(MAX_QUOTE)]).into_owned();
            return Err(format!("got response {} {text:?}", response.status()));
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        Grant::new(answer, self.clock.now())
    }
}

impl Server {
    fn new(address: &str) -> Result<Self, AuthError> {
        let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}/auth") };
        let refuse = |reason: &str| Err(AuthError(format!("can't ask the auth server {address}: {reason}")));
        match Url::parse(&url) {
            Ok(parsed) if !matches!(parsed.scheme(), "http" | "https") => refuse("it has to be http or https"),
            Ok(parsed) if parsed.fragment().is_some() => refuse("a URL to ask ends before its fragment"),
            Ok(_) => Ok(Self { address: address.to_owned(), url }),
            Err(error) => refuse(&error.to_string()),
        }
    }
}

/// No auth server has given an answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub(crate) struct AuthError(String);

/// What the owner of a secret may do, and who that is.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) identity: String,
    pub(crate) identity_url: String,
    authorizations: Vec<Authorization>,
    expires: Tick,
}

/// What a client wants to do with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    Publish,
    Subscribe,
}

#[derive(Debug)]
struct Authorization {
    topic: Pattern,
    channels: Vec<Pattern>,
    publish: bool,
    subscribe: bool,
}

impl Grant {
    fn new(answer: Answer, now: Tick) -> Result<Self, String> {
        let ttl = answer.ttl.unwrap_or_default();
        let Some(ttl) = u64::try_from(ttl).ok().filter(|ttl| *ttl > 0) else {
            return Err(format!("invalid TTL {ttl} (must be >0)"));
        };
        let authorizations = answer.authorizations.unwrap_or_default();
        let patterns = authorizations.iter().map(|given| 1 + given.channels.as_ref().map_or(0, Vec::len));
        if patterns.sum::<usize>() > MAX_PATTERNS {
            return Err(format!("it gives more than {MAX_PATTERNS} topics and channels"));
        }
        Ok(Self {
            identity: answer.identity.unwrap_or_default(),
            identity_url: answer.identity_url.unwrap_or_default(),
            authorizations: authorizations.into_iter().map(Authorization::new).collect::<Result<_, _>>()?,
            expires: now.after(Duration::from_secs(ttl)),
        })
    }

    /// Whether the auth servers have to be asked again.
    pub(crate) fn is_expired(&self, now: Tick) -> bool {
        self.expires < now
    }

    /// Whether `permission` is given for a topic and a channel, `None` for a publish.
    pub(crate) fn allows(&self, topic: &TopicName, channel: Option<&ChannelName>, permission: Permission) -> bool {
        let channel = channel.map_or("", ChannelName::as_str);
        self.authorizations.iter().any(|given| {
            let permitted = match permission {
                Permission::Publish => given.publish,
                Permission::Subscribe => given.subscribe,
            };
            permitted
                && given.topic.matches(topic.as_str())
                && given.channels.iter().any(|pattern| pattern.matches(channel))
        })
    }

    /// How many authorizations there are. With none, the client is turned away.
    pub(crate) fn permission_count(&self) -> usize {
        self.authorizations.len()
    }
}

impl Authorization {
    fn new(given: AnswerAuthorization) -> Result<Self, String> {
        let (mut publish, mut subscribe) = (false, false);
        for permission in given.permissions.unwrap_or_default() {
            match permission.as_str() {
                "publish" => publish = true,
                "subscribe" => subscribe = true,
                other => return Err(format!("unknown permission {other}")),
            }
        }
        let topic = Pattern::new("topic", &given.topic.unwrap_or_default())?;
        let channels = given.channels.unwrap_or_default();
        let channels = channels.iter().map(|pattern| Pattern::new("channel", pattern)).collect::<Result<_, _>>()?;
        Ok(Self { topic, channels, publish, subscribe })
    }
}

/// A regular expression that matches wherever it likes, as long as nothing anchors it.
#[derive(Debug)]
enum Pattern {
    /// The most frequent one by far, and a regex takes kilobytes a connection.
    Any,
    Regex(Regex),
}

impl Pattern {
    fn new(what: &str, pattern: &str) -> Result<Self, String> {
        if matches!(pattern, "" | ".*") {
            return Ok(Self::Any);
        }
        RegexBuilder::new(pattern)
            .size_limit(MAX_REGEX)
            .dfa_size_limit(MAX_REGEX)
            .build()
            .map(Self::Regex)
            .map_err(|error| format!("unable to compile {what} {pattern:?} {error}"))
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Regex(regex) => regex.is_match(name),
        }
    }
}

/// What an auth server answers. What is missing or `null` is nothing.
#[derive(Deserialize)]
struct Answer {
    /// Seconds.
    ttl: Option<i64>,
    identity: Option<String>,
    identity_url: Option<String>,
    authorizations: Option<Vec<AnswerAuthorization>>,
}

#[derive(Deserialize)]
struct AnswerAuthorization {
    topic: Option<String>,
    channels: Option<Vec<String>>,
    permissions: Option<Vec<String>>,
}

/// Bytes as a form's value in a URL.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b'~' => f.write_char(byte.into())?,
                b' ' => f.write_char('+')?,
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

/// Bytes; a grant of a thousand topics has fewer.
const MAX_ANSWER: usize = 1024 * 1024;
/// How much of a refusal goes into the log, in bytes.
const MAX_QUOTE: usize = 200;
/// Topics and channels in a grant.
const MAX_PATTERNS: usize = 10_000;
/// Bytes that a compiled pattern may take: enough for some hundred names.
const MAX_REGEX: usize = 256 * 1024;

#[cfg(test)]
mod tests;
