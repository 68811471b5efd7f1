//! The options as the commands use them.

use std::path::Path;
use std::time::Duration;

use gnsq::http::HttpError;
use gnsq::{Address, ConnectionConfig, LookupdClient, NsqdHttpClient, Secret};

use super::layers::Layers;
use super::tls::Tls;
use super::{ConnectionArgs, DeflateLevel};
use crate::exit::Failure;

/// How a command finds and reaches the servers.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// nsqds, as the command uses them.
    pub(crate) nsqds: Nsqds,
    /// nsqlookupds.
    pub(crate) lookupds: Vec<LookupdClient>,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) max_msg_size: usize,
    pub(crate) max_body_size: usize,
    http: HttpSettings,
    tls: Option<Tls>,
    auth_secret: Option<Secret>,
    compression: Option<Compression>,
}

/// The nsqds that were named.
#[derive(Debug, Clone)]
pub(crate) enum Nsqds {
    Tcp(Vec<Address>),
    Http(Vec<NsqdHttpClient>),
}

/// By which protocol a command speaks to nsqds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uses {
    Tcp,
    Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Snappy,
    Deflate(u8),
}

/// What all HTTP clients have in common.
#[derive(Debug, Clone)]
struct HttpSettings {
    connect_timeout: Duration,
    timeout: Duration,
    tls: Tls,
}

/// The addresses of one source that a command can use.
#[derive(Debug, Default, PartialEq, Eq)]
struct Chosen {
    nsqds: Vec<String>,
    lookupds: Vec<String>,
}

impl ConnectionArgs {
    /// Adds the environment and the configuration file (`config` if the command line names one), and checks it all.
    ///
    /// # Errors
    ///
    /// For what can't be used, and when there is no address.
    pub(super) fn resolve(self, uses: Uses, config: Option<&Path>) -> Result<Connection, Failure> {
        let layers = Layers::read(self, config)?;
        let chosen = choose(&layers, uses)?;
        let args = layers.merged();
        let tls = Tls::read(&args)?;
        let http = HttpSettings {
            connect_timeout: args.connect_timeout.unwrap_or(HTTP_CONNECT_TIMEOUT),
            timeout: args.timeout.unwrap_or(HTTP_TIMEOUT),
            tls: tls.clone(),
        };
        let compression = match (args.snappy.unwrap_or(false), args.deflate.unwrap_or(DeflateLevel::Off)) {
            (true, DeflateLevel::Level(_)) => {
                return Err(Failure::usage("--snappy and --deflate exclude each other: nsqd takes one compression"));
            }
            (true, DeflateLevel::Off) => Some(Compression::Snappy),
            (false, DeflateLevel::Level(level)) => Some(Compression::Deflate(level)),
            (false, DeflateLevel::Off) => None,
        };
        let lookupds: Result<_, HttpError> = chosen.lookupds.iter().map(|address| http.lookupd(address)).collect();
        let nsqds = match uses {
            Uses::Tcp => {
                let addresses: Result<_, _> = chosen.nsqds.iter().map(|address| address.parse::<Address>()).collect();
                Nsqds::Tcp(addresses.map_err(Failure::usage)?)
            }
            Uses::Http => {
                let clients: Result<_, HttpError> = chosen.nsqds.iter().map(|address| http.nsqd(address)).collect();
                Nsqds::Http(clients.map_err(Failure::usage)?)
            }
        };
        Ok(Connection {
            nsqds,
            lookupds: lookupds.map_err(Failure::usage)?,
            connect_timeout: args.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            timeout: args.timeout.unwrap_or(TIMEOUT),
            max_msg_size: args.max_msg_size.unwrap_or(MAX_MSG_SIZE),
            max_body_size: args.max_body_size.unwrap_or(MAX_BODY_SIZE),
            http,
            tls: Tls::is_wanted(&args).then_some(tls),
            auth_secret: secret(&args)?,
            compression,
        })
    }
}

impl Connection {
    /// How to connect to an nsqd.
    pub(crate) fn config(&self) -> ConnectionConfig {
        let config = ConnectionConfig::new()
            .tls(self.tls.as_ref().map(Tls::config))
            .user_agent(concat!("gnsq-cli/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            .answer_timeout(self.timeout)
            .write_timeout(self.timeout)
            .max_msg_size(self.max_msg_size)
            .max_body_size(self.max_body_size);
        let config = match self.compression {
            None => config,
            Some(Compression::Snappy) => config.snappy(true),
            Some(Compression::Deflate(level)) => config.deflate(level),
        };
        match &self.auth_secret {
            None => config,
            Some(secret) => config.auth_secret(secret.clone()),
        }
    }

    /// Whether there is a secret for AUTH.
    pub(crate) fn has_secret(&self) -> bool {
        self.auth_secret.is_some()
    }

    /// The nsqds that were named by their TCP addresses.
    pub(crate) fn tcp_addresses(&self) -> &[Address] {
        match &self.nsqds {
            Nsqds::Tcp(addresses) => addresses,
            Nsqds::Http(_) => &[],
        }
    }

    /// The nsqds that were named by their HTTP addresses.
    pub(crate) fn http_clients(&self) -> &[NsqdHttpClient] {
        match &self.nsqds {
            Nsqds::Tcp(_) => &[],
            Nsqds::Http(clients) => clients,
        }
    }

    /// A client for an nsqd that was found at `address`.
    pub(crate) fn nsqd_http_client(&self, address: &str) -> Result<NsqdHttpClient, HttpError> {
        self.http.nsqd(address)
    }
}

/// The builder of either client, with the settings in it.
macro_rules! with_settings {
    ($settings:expr, $builder:expr) => {{
        let settings: &HttpSettings = $settings;
        let mut builder = $builder
            .connect_timeout(settings.connect_timeout)
            .request_timeout(settings.timeout)
            .user_agent(concat!("gnsq-cli/", env!("CARGO_PKG_VERSION")))
            .danger_accept_invalid_certs(settings.tls.skip_verify);
        if let Some(pem) = settings.tls.ca_pem() {
            builder = builder.ca_certificate_pem(pem);
        }
        if let Some((certificate, key)) = settings.tls.identity_pem() {
            builder = builder.client_certificate_pem(certificate, key);
        }
        builder
    }};
}

impl HttpSettings {
    fn nsqd(&self, address: &str) -> Result<NsqdHttpClient, HttpError> {
        with_settings!(self, NsqdHttpClient::builder(address)).build()
    }

    fn lookupd(&self, address: &str) -> Result<LookupdClient, HttpError> {
        with_settings!(self, LookupdClient::builder(address)).build()
    }
}

/// The addresses of the first source that has any for this command. An address on the command line that it can't use
/// is a mistake.
fn choose(layers: &Layers, uses: Uses) -> Result<Chosen, Failure> {
    let (option, other) = match uses {
        Uses::Tcp => ("--nsqd-tcp-address", "--nsqd-http-address"),
        Uses::Http => ("--nsqd-http-address", "--nsqd-tcp-address"),
    };
    let useless = match uses {
        Uses::Tcp => &layers.flags.nsqd_http_address,
        Uses::Http => &layers.flags.nsqd_tcp_address,
    };
    if !useless.is_empty() {
        return Err(Failure::usage(format!("{other} is of no use here: give {option} or --lookupd-http-address")));
    }
    for layer in layers.each() {
        let nsqds = match uses {
            Uses::Tcp => &layer.nsqd_tcp_address,
            Uses::Http => &layer.nsqd_http_address,
        };
        if !nsqds.is_empty() || !layer.lookupd_http_address.is_empty() {
            return Ok(Chosen { nsqds: nsqds.clone(), lookupds: layer.lookupd_http_address.clone() });
        }
    }
    Err(Failure::usage(format!(
        "no server is named: give {option} or --lookupd-http-address, on the command line, in the environment \
         (such as GNSQ_LOOKUPD_HTTP_ADDRESS) or in the configuration file"
    )))
}

fn secret(args: &ConnectionArgs) -> Result<Option<Secret>, Failure> {
    match (&args.auth_secret, &args.auth_secret_file) {
        (Some(_), Some(_)) => Err(Failure::usage("give --auth-secret or --auth-secret-file, not both")),
        (Some(secret), None) => Ok(Some(secret.clone())),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!("--auth-secret-file: can't read {}: {error}", path.display()))
            })?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned().into()))
        }
        (None, None) => Ok(None),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);
const HTTP_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
/// nsqd's own defaults.
const MAX_MSG_SIZE: usize = 1024 * 1024;
const MAX_BODY_SIZE: usize = 5 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn args(nsqd_tcp: &[&str], lookupd: &[&str], nsqd_http: &[&str]) -> ConnectionArgs {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        ConnectionArgs {
            nsqd_tcp_address: own(nsqd_tcp),
            lookupd_http_address: own(lookupd),
            nsqd_http_address: own(nsqd_http),
            ..ConnectionArgs::default()
        }
    }

    #[test]
    fn addresses_on_the_command_line_replace_all_others() {
        let layers = Layers { flags: args(&["a:1"], &[], &[]), env: args(&[], &["l"], &[]), ..Layers::default() };
        assert_eq!(choose(&layers, Uses::Tcp), Ok(Chosen { nsqds: vec!["a:1".into()], lookupds: vec![] }));
    }

    #[test]
    fn a_source_without_a_usable_address_is_passed_over() {
        let layers = Layers { env: args(&["a:1"], &[], &[]), file: args(&[], &["l"], &["h"]), ..Layers::default() };
        let found = Chosen { nsqds: vec!["h".into()], lookupds: vec!["l".into()] };
        assert_eq!(choose(&layers, Uses::Http), Ok(found));
    }

    #[test]
    fn an_address_that_is_of_no_use_is_refused() {
        let layers = Layers { flags: args(&["a:1"], &["l"], &[]), ..Layers::default() };
        assert!(choose(&layers, Uses::Http).unwrap_err().to_string().contains("--nsqd-http-address"));
        assert!(choose(&Layers::default(), Uses::Tcp).unwrap_err().to_string().contains("GNSQ_LOOKUPD_HTTP_ADDRESS"));
    }
}
