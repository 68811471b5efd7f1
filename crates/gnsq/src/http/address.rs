//! Where a server's HTTP API is.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use super::HttpError;

/// A server's HTTP API: `http` or `https`, a host, a port, possibly a path under which the API stands, and a query that
/// goes with every request.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct BaseUrl {
    url: Url,
    /// It may be a secret, and is shown nowhere.
    query: Option<String>,
}

impl BaseUrl {
    /// Takes `http[s]://host[:port][/prefix][?query]`, where a missing port is the scheme's own, and
    /// `host[:port][/prefix][?query]`, where it is `default_port`.
    pub(super) fn parse(address: &str, default_port: u16) -> Result<Self, HttpError> {
        let bad = |reason: &str| HttpError::BadAddress { address: presentable(address), reason: reason.to_owned() };
        if address.is_empty() {
            return Err(bad("it is empty"));
        }
        // The URL parser would drop them, so that a mangled address could mean another host.
        if address.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(bad("it has white space"));
        }
        let (scheme, rest) = match address.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, address),
        };
        if !matches!(scheme.map(str::to_ascii_lowercase).as_deref(), None | Some("http" | "https")) {
            return Err(bad("only http and https are known"));
        }
        // Without its brackets, an IPv6 address can only come where nothing else can be meant.
        let rest = match rest.parse::<Ipv6Addr>() {
            Ok(ip) if scheme.is_none() => format!("[{ip}]"),
            _ => rest.to_owned(),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(bad("credentials belong into the builder's `authorization`"));
        }
        if authority.is_empty() {
            return Err(bad("it has no host"));
        }
        let mut url =
            Url::parse(&format!("{}://{rest}", scheme.unwrap_or("http"))).map_err(|error| bad(&error.to_string()))?;
        if url.fragment().is_some() {
            return Err(bad("it has a fragment"));
        }
        let query = url.query().filter(|query| !query.is_empty()).map(str::to_owned);
        url.set_query(None);
        match authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']')) {
            Some("") => return Err(bad("it has no port behind the colon")),
            None if scheme.is_none() => {
                url.set_port(Some(default_port)).map_err(|()| bad("it can't have a port"))?;
            }
            _ => {}
        }
        if url.port() == Some(0) {
            return Err(bad("nothing can listen on port 0"));
        }
        // To the URL parser, `4151` is the IPv4 address 0.0.16.55.
        let host = url.host_str().unwrap_or_default();
        if host.parse::<Ipv4Addr>().is_ok() && !authority.starts_with(host) {
            return Err(bad("it has no host name or full IP address"));
        }
        Ok(Self { url, query })
    }

    /// The URL of an endpoint, without the query that goes with every request; the segments need no escaping.
    pub(super) fn endpoint(&self, segments: &[&str]) -> Url {
        let mut url = self.url.clone();
        url.path_segments_mut().expect("an http URL has a path").pop_if_empty().extend(segments);
        url
    }

    /// Adds what goes with every request.
    pub(super) fn add_query(&self, url: &mut Url) {
        if let Some(query) = &self.query {
            let own = url.query().map(|own| format!("{own}&{query}"));
            url.set_query(Some(own.as_ref().unwrap_or(query)));
        }
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The host's name, unless it is an IP address.
    pub(super) fn domain(&self) -> Option<&str> {
        self.url.domain()
    }

    /// An IPv6 address without its brackets.
    pub(super) fn host_and_port(&self) -> (String, u16) {
        let host = self.url.host_str().unwrap_or_default();
        (host.trim_matches(['[', ']']).to_owned(), self.port())
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().expect("http and https have default ports")
    }

    pub(super) fn as_str(&self) -> &str {
        self.url.as_str()
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The address as far as it can be shown: what may be a secret is left out.
fn presentable(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    scheme.chars().chain(rest.chars()).take(MAX_SHOWN).collect()
}

/// An address from a configuration can be of any length; an error shows its beginning.
const MAX_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> String {
        BaseUrl::parse(address, 4151).unwrap_or_else(|error| panic!("{error}")).as_str().to_owned()
    }

    fn refusal(address: &str) -> String {
        BaseUrl::parse(address, 4151).expect_err(address).to_string()
    }

    #[test]
    fn an_address_without_scheme_has_nsqs_port() {
        assert_eq!(parse("host"), "http://host:4151/");
        assert_eq!(parse("host:1"), "http://host:1/");
        assert_eq!(parse("127.0.0.1"), "http://127.0.0.1:4151/");
        assert_eq!(parse("127.0.0.1:80"), "http://127.0.0.1/");
        assert_eq!(parse("[::1]"), "http://[::1]:4151/");
        assert_eq!(parse("[::1]:99"), "http://[::1]:99/");
        assert_eq!(parse("::1"), "http://[::1]:4151/");
        assert_eq!(parse("fe80::4151"), "http://[fe80::4151]:4151/");
        assert_eq!(parse("host:1/nsq"), "http://host:1/nsq");
        assert_eq!(parse("host/nsq"), "http://host:4151/nsq");
    }

    #[test]
    fn a_url_means_what_it_means_elsewhere() {
        assert_eq!(parse("http://host"), "http://host/");
        assert_eq!(BaseUrl::parse("https://host", 4151).unwrap().port(), 443);
        assert_eq!(parse("HTTP://host:4151/"), "http://host:4151/");
        assert_eq!(parse("http://[::1]:4151"), "http://[::1]:4151/");
        assert_eq!(parse("http://[::1]"), "http://[::1]/");
    }

    #[test]
    fn a_path_prefix_is_kept_and_segments_are_escaped() {
        for prefixed in ["http://host:1/a/nsq", "http://host:1/a/nsq/"] {
            let base = BaseUrl::parse(prefixed, 4151).unwrap();
            assert_eq!(base.endpoint(&["topic", "create"]).as_str(), "http://host:1/a/nsq/topic/create");
        }
        let base = BaseUrl::parse("host", 4151).unwrap();
        assert_eq!(base.endpoint(&["config", "é/?%#"]).as_str(), "http://host:4151/config/%C3%A9%2F%3F%25%23");
    }

    #[test]
    fn a_query_goes_with_every_request_and_is_not_shown() {
        for address in ["host/nsq?token=s3cret", "http://host:4151/nsq?token=s3cret"] {
            let base = BaseUrl::parse(address, 4151).unwrap();
            assert_eq!(format!("{} {base:?}", base.as_str()), "http://host:4151/nsq \"http://host:4151/nsq\"");
            let mut url = base.endpoint(&["lookup"]);
            base.add_query(&mut url);
            assert_eq!(url.as_str(), "http://host:4151/nsq/lookup?token=s3cret");
            url.set_query(Some("topic=t"));
            base.add_query(&mut url);
            assert_eq!(url.as_str(), "http://host:4151/nsq/lookup?topic=t&token=s3cret");
        }
        assert_eq!(parse("host?x=1"), "http://host:4151/");
        assert_eq!(parse("host?"), "http://host:4151/");
    }

    #[test]
    fn only_a_name_is_a_domain() {
        assert_eq!(BaseUrl::parse("nsqd.internal", 1).unwrap().domain(), Some("nsqd.internal"));
        assert_eq!(BaseUrl::parse("127.0.0.1", 1).unwrap().domain(), None);
        assert_eq!(BaseUrl::parse("::1", 1).unwrap().domain(), None);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in [
            "",
            "http://",
            "/path",
            "ho st",
            "host\n",
            "tcp://host:4150",
            "host:",
            "http:/host",
            "host:0",
            "host:65536",
            "host:x",
            "[::1",
            "4151",
            ":4151",
            "host#f",
        ] {
            refusal(address);
        }
    }

    #[test]
    fn an_error_shows_neither_credentials_nor_a_query_and_is_bounded() {
        for address in ["http://me:secret@host:4151", "me:secret@host", "ho st?token=secret", "http://h#secret"] {
            assert!(!refusal(address).contains("secret"), "{}", refusal(address));
        }
        assert!(refusal(&"[".repeat(10_000)).len() < 400);
    }
}
