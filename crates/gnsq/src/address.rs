//! Where an nsqd listens for its TCP protocol.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result};

/// nsqd's default port of the TCP protocol.
pub const DEFAULT_NSQD_TCP_PORT: u16 = 4150;

/// The address of an nsqd: a host with a port, or the path of a unix socket.
///
/// As text: `host`, `host:4150`, `10.0.0.1:4150`, `[::1]:4150`, `::1`, `/run/nsqd.sock` or `unix:/run/nsqd.sock`.
/// The port is 4150 unless given. A host name is looked up at every connect, and all its addresses are tried. Cloning is cheap.
///
/// ```
/// use gnsq::Address;
///
/// assert_eq!("nsqd.example".parse::<Address>()?.to_string(), "nsqd.example:4150");
/// assert_eq!("[::1]:4151".parse::<Address>()?, Address::tcp("::1", 4151)?);
/// assert!("nsqd.example:70000".parse::<Address>().is_err());
/// # Ok::<(), gnsq::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(Arc<Kind>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address:?} is no address of an nsqd: {reason}")]
pub struct AddressError {
    address: String,
    reason: &'static str,
}

impl Address {
    /// A host name or IP address, and a port.
    ///
    /// # Errors
    ///
    /// When the host is empty or has characters that no host name has, or the port is 0.
    pub fn tcp(host: impl Into<String>, port: u16) -> Result<Self, AddressError> {
        let host = host.into();
        let error = |reason| AddressError { address: host.chars().take(MAX_SHOWN).collect(), reason };
        if host.is_empty() {
            return Err(error("the host is missing"));
        }
        if host.parse::<Ipv6Addr>().is_err()
            && !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        {
            return Err(error("the host is neither a name nor an IP address"));
        }
        if port == 0 {
            return Err(error("the port is 0"));
        }
        Ok(Self(Arc::new(Kind::Tcp { host, port })))
    }

    /// The path of a unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Kind::Unix(path.into())))
    }

    /// The host and port, unless it is a unix socket. An IPv6 address has no brackets.
    pub fn host_port(&self) -> Option<(&str, u16)> {
        match self.kind() {
            Kind::Tcp { host, port } => Some((host, *port)),
            Kind::Unix(_) => None,
        }
    }

    /// The path, if it is a unix socket.
    pub fn unix_path(&self) -> Option<&Path> {
        match self.kind() {
            Kind::Tcp { .. } => None,
            Kind::Unix(path) => Some(path),
        }
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = |reason| AddressError { address: text.chars().take(MAX_SHOWN).collect(), reason };
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::unix(path));
        }
        if text.starts_with('/') {
            return Ok(Self::unix(text));
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(|| error("the closing bracket is missing"))?;
            match rest {
                "" => (host, None),
                _ => (host, Some(rest.strip_prefix(':').ok_or_else(|| error("a port must follow a colon"))?)),
            }
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        };
        let port = match port {
            None => DEFAULT_NSQD_TCP_PORT,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| error("the port is not a number from 1 to 65535"))?
            }
            Some(_) => return Err(error("the port is not a number from 1 to 65535")),
        };
        Self::tcp(host, port).map_err(|AddressError { reason, .. }| error(reason))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Kind::Tcp { host, port } => write!(f, "{host}:{port}"),
            Kind::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The addresses that a builder is given, each once, and the first that is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct AddressList {
    addresses: Vec<Address>,
    problem: Option<Error>,
}

impl AddressList {
    pub(crate) fn add<A>(&mut self, address: A)
    where
        A: TryInto<Address, Error: Into<Error>>,
    {
        match address.try_into() {
            Ok(address) if self.addresses.contains(&address) => {}
            Ok(address) => self.addresses.push(address),
            Err(error) => {
                self.problem.get_or_insert(error.into());
            }
        }
    }

    pub(crate) fn check(&self) -> Result<&[Address]> {
        match &self.problem {
            Some(problem) => Err(problem.clone()),
            None => Ok(&self.addresses),
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Address> {
        self.addresses
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self(Arc::new(Kind::Tcp { host: address.ip().to_string(), port: address.port() }))
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

impl TryFrom<&str> for Address {
    type Error = AddressError;

    fn try_from(text: &str) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<&String> for Address {
    type Error = AddressError;

    fn try_from(text: &String) -> Result<Self, AddressError> {
        text.parse()
    }
}

/// How much of a refused text an error shows.
const MAX_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for (text, shown) in [
            ("localhost", "localhost:4150"),
            ("localhost:1", "localhost:1"),
            ("127.0.0.1:65535", "127.0.0.1:65535"),
            ("::1", "[::1]:4150"),
            ("[fe80::1]:4151", "[fe80::1]:4151"),
            ("[::1]", "[::1]:4150"),
            ("my_host-1.example", "my_host-1.example:4150"),
            ("/run/nsqd.sock", "/run/nsqd.sock"),
            ("unix:nsqd.sock", "nsqd.sock"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_what_can_be_no_address() {
        for text in [
            "",
            ":4150",
            "host:",
            "host:0",
            "host:65536",
            "host:-1",
            "host:+1",
            "host:1:2",
            "[::1",
            "[::1]4150",
            "a b",
            "http://host",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
