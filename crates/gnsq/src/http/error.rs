//! What can go wrong between a client and an NSQ server's HTTP API.

use std::error::Error as StdError;
use std::time::Duration;

use gnsq_proto::TopicName;
use thiserror::Error;

/// Why a call of [`NsqdHttpClient`](super::NsqdHttpClient) or [`LookupdClient`](super::LookupdClient) failed.
///
/// The predicates answer what a caller mostly wants to know; the variants tell the rest. No variant, and
/// nothing in its text, contains an authorization value or a key.
///
/// ```no_run
/// # async fn example() -> Result<(), gnsq::http::HttpError> {
/// use gnsq::TopicName;
/// use gnsq::http::NsqdHttpClient;
///
/// let nsqd = NsqdHttpClient::new("127.0.0.1:4151")?;
/// match nsqd.delete_topic(&TopicName::new("orders").expect("a valid name")).await {
///     Err(error) if error.is_not_found() => {} // Somebody else was faster.
///     result => result?,
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address given for a server can't be used. Nothing was sent.
    #[error("{address:?} is no address of an NSQ server's HTTP API: {reason}")]
    BadAddress {
        /// The address, without credentials, query and fragment, cut after 200 characters.
        address: String,
        /// What is wrong with it.
        reason: String,
    },

    /// An option of the builder has a value that can't be used. Nothing was sent.
    #[error("the option {option} can't be used: {reason}")]
    InvalidOption {
        /// The builder method's name.
        option: &'static str,
        /// What is wrong; never the value itself, which may be secret.
        reason: String,
    },

    /// The HTTP client could not be set up, for instance since the system's root certificates can't be read.
    #[error("the HTTP client for {url} could not be set up: {}", root_cause(source.as_ref()))]
    Setup {
        /// The server's address.
        url: String,
        /// The cause.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// A message without a byte, which nsqd refuses. Nothing was sent.
    #[error("message {index} for topic {topic} is empty, which nsqd refuses: send at least one byte")]
    EmptyMessage {
        /// The topic it was meant for.
        topic: TopicName,
        /// Its place among the messages of the call, from 0.
        index: usize,
    },

    /// A batch without a message, which nsqd refuses. Nothing was sent.
    #[error("a batch for topic {topic} has no messages, which nsqd refuses")]
    EmptyBatch {
        /// The topic it was meant for.
        topic: TopicName,
    },

    /// A message or a batch that is larger than the protocol can say (2 GiB). Nothing was sent.
    #[error("a message or batch for topic {topic} is larger than 2 GiB, the most that NSQ can take: split it")]
    BatchTooLarge {
        /// The topic it was meant for.
        topic: TopicName,
    },

    /// There is no connection to the server: its name is unknown, nothing listens there, or it is out of reach.
    /// Nothing was sent.
    #[error(
        "can't connect to {url}: {}; is the server running, and is this its HTTP address?",
        root_cause(source.as_ref())
    )]
    Connect {
        /// The URL that was asked for.
        url: String,
        /// The cause.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The server was reached, and no TLS connection came about, mostly since one side does not trust the other's
    /// certificate, or misses it. The server has read nothing.
    #[error(
        "no TLS connection to {url}: {}; `ca_certificate_pem` makes an authority of your own trusted, and \
         `client_certificate_pem` tells the server who you are",
        root_cause(source.as_ref())
    )]
    Tls {
        /// The URL that was asked for.
        url: String,
        /// The cause.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The time allowed for connecting or for the whole call is over.
    #[error(
        "{} {url} within {after:?}; if the server is only slow, raise `{}`",
        if *connecting { "can't connect to" } else { "no complete answer from" },
        if *connecting { "connect_timeout" } else { "request_timeout" }
    )]
    Timeout {
        /// The URL that was asked for.
        url: String,
        /// The time that was allowed.
        after: Duration,
        /// Whether there was no connection yet, and so nothing sent.
        connecting: bool,
    },

    /// The connection was lost, or what came over it is not HTTP. Whether the server did what it was asked for is
    /// not known.
    #[error(
        "the request to {url} failed: {}; if it always does, check that this is the HTTP port \
         (nsqd: 4151, nsqlookupd: 4161)",
        root_cause(source.as_ref())
    )]
    Request {
        /// The URL that was asked for.
        url: String,
        /// The cause.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The server answered with a status other than success.
    #[error("{url} answered {status} {code}{}", advice(*status, code))]
    Status {
        /// The URL that was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// NSQ's own word for it, such as `TOPIC_NOT_FOUND`; otherwise the beginning of the answer's first line,
        /// which may be empty.
        code: String,
    },

    /// The server answered with success and something that NSQ would not say.
    #[error("{url} did not answer as NSQ does: {source}; it began with {body:?}")]
    UnexpectedBody {
        /// The URL that was asked for.
        url: String,
        /// The beginning of the answer, at most 200 characters.
        body: String,
        /// What was expected instead.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The answer is larger than `max_response_size`. The rest was not read.
    #[error("the answer of {url} is larger than {limit} bytes; raise `max_response_size`, or ask for less")]
    ResponseTooLarge {
        /// The URL that was asked for.
        url: String,
        /// The limit, in bytes.
        limit: usize,
    },
}

impl HttpError {
    /// Whether the time allowed was over, for connecting or for the whole call.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Whether there was no connection to the server, so that it has read nothing.
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Tls { .. } | Self::Timeout { connecting: true, .. })
    }

    /// Whether the server does not have the topic or channel. A 404 for any other reason, such as a wrong path
    /// prefix or another kind of server, does not count.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { code, .. } if code == "TOPIC_NOT_FOUND" || code == "CHANNEL_NOT_FOUND")
    }

    /// Whether the same call may succeed later, or at another server.
    ///
    /// This says nothing about whether the call had an effect: see [`outcome_unknown`](Self::outcome_unknown).
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Request { .. } => true,
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            _ => false,
        }
    }

    /// Whether the server may have done what it was asked for, so that publishing again may duplicate messages.
    ///
    /// True as soon as the request may have been sent and nothing tells that it was refused; any status from 500
    /// on counts, since nsqd can fail in the middle of a batch.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Timeout { connecting, .. } => !connecting,
            Self::Request { .. } | Self::UnexpectedBody { .. } | Self::ResponseTooLarge { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

/// The innermost error, which is the one that says something: those around it say "error sending request".
fn root_cause<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

fn advice(status: u16, code: &str) -> &'static str {
    match (status, code) {
        (_, "TLS_REQUIRED") => "; use the server's https address",
        (_, "MSG_TOO_BIG") => "; nsqd's flag -max-msg-size is the limit",
        (_, "BODY_TOO_BIG") => "; nsqd's flag -max-body-size is the limit: send fewer messages at once",
        (_, "INVALID_DEFER") => "; nsqd's flag -max-req-timeout is the longest delay",
        (_, "NOT_FOUND" | "METHOD_NOT_ALLOWED") => "; is this the right kind of server, and the right path?",
        (300..=399, _) => "; redirects are not followed: use the address it points to",
        (401 | 403, _) => "; check the `authorization` option",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, code: &str) -> HttpError {
        HttpError::Status { url: "http://a/b".into(), status, code: code.into() }
    }

    #[test]
    fn a_status_is_told_with_what_to_do_next() {
        assert_eq!(status(404, "TOPIC_NOT_FOUND").to_string(), "http://a/b answered 404 TOPIC_NOT_FOUND");
        assert!(status(403, "TLS_REQUIRED").to_string().ends_with("use the server's https address"));
        assert!(status(301, "").to_string().contains("redirects are not followed"));
    }

    #[test]
    fn only_a_missing_topic_or_channel_is_not_found() {
        assert!(status(404, "TOPIC_NOT_FOUND").is_not_found());
        assert!(status(404, "CHANNEL_NOT_FOUND").is_not_found());
        assert!(!status(404, "NOT_FOUND").is_not_found());
    }

    #[test]
    fn a_refusal_is_final_and_a_failure_is_not() {
        assert!(!status(400, "INVALID_TOPIC").is_retryable());
        assert!(status(503, "EXITING").is_retryable());
        let url = || "http://a/".to_owned();
        let timeout = |connecting| HttpError::Timeout { url: url(), after: Duration::from_secs(2), connecting };
        assert!(timeout(true).is_connect() && timeout(true).is_timeout() && !timeout(true).outcome_unknown());
        assert!(!timeout(false).is_connect() && timeout(false).outcome_unknown());
    }

    #[test]
    fn the_innermost_cause_is_told() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "refused by the test");
        let error = HttpError::Connect { url: "http://a/".into(), source: Box::new(io) };
        assert!(error.to_string().contains("refused by the test"), "{error}");
        assert!(error.source().is_some());
    }
}
