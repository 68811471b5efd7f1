//! Where the servers are and how to connect to them: the same options for every command.
//!
//! They come from the command line, the environment (`GNSQ_` and the option's name) and a TOML file; what comes first
//! in this order wins. What belongs together is taken from one of them: addresses on the command line replace all
//! addresses of the file.

mod connection;
mod layers;
mod tls;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gnsq::Secret;

pub(crate) use self::connection::{Connection, Uses};
use self::tls::TlsMinVersion;
use self::values::DeflateLevel;
use crate::duration;
use crate::exit::Failure;
use crate::logging::LogArgs;

/// What every command takes that connects to servers.
#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    connection: ConnectionArgs,

    /// Read connection options from this TOML file [env: GNSQ_CONFIG] [default: ~/.config/gnsq.toml, if it exists]
    #[arg(long, value_name = "FILE", help_heading = "General options")]
    config: Option<PathBuf>,

    #[command(flatten)]
    log: LogArgs,
}

impl CommonArgs {
    /// Begins to log, and puts the options together.
    ///
    /// # Errors
    ///
    /// For what can't be used, and when there is no address.
    pub(crate) fn begin(self, uses: Uses) -> Result<Connection, Failure> {
        self.log.start();
        self.connection.resolve(uses, self.config.as_deref())
    }
}

/// The options as one source gives them.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection options (also as GNSQ_… in the environment and in the configuration file)")]
struct ConnectionArgs {
    /// An nsqd to publish to or read from, by its TCP address; may be repeated
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(super) nsqd_tcp_address: Vec<String>,

    /// An nsqlookupd to find nsqds through, by its HTTP address; may be repeated
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(super) lookupd_http_address: Vec<String>,

    /// An nsqd to ask or to change, by its HTTP address; may be repeated
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(super) nsqd_http_address: Vec<String>,

    /// How long connecting may take [default: 5s, HTTP 2s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(super) connect_timeout: Option<Duration>,

    /// How long an answer may take [default: 30s, HTTP 5s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(super) timeout: Option<Duration>,

    /// Demand TLS of nsqd; implied by the other TLS options
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = values::boolean)]
    pub(super) tls: Option<bool>,

    /// Trust these authorities (PEM) instead of the system's; also for https addresses
    #[arg(long, value_name = "FILE")]
    pub(super) tls_ca_file: Option<PathBuf>,

    /// Show this certificate (PEM) to servers that ask for one; also for https addresses
    #[arg(long, value_name = "FILE")]
    pub(super) tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert (PEM) [default: in the same file]
    #[arg(long, value_name = "FILE")]
    pub(super) tls_key: Option<PathBuf>,

    /// The name that nsqd's certificate must have [default: the host of its address]
    #[arg(long, value_name = "NAME")]
    pub(super) tls_server_name: Option<String>,

    /// The oldest version of TLS to take: tls1.2 or tls1.3 [default: tls1.2]
    #[arg(long, value_name = "VERSION")]
    pub(super) tls_min_version: Option<TlsMinVersion>,

    /// Take any certificate: anybody on the way can then read and change everything
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = values::boolean)]
    pub(super) tls_insecure_skip_verify: Option<bool>,

    /// The secret for AUTH; other users of this machine can see it, so prefer a file or GNSQ_AUTH_SECRET
    #[arg(long, value_name = "SECRET")]
    pub(super) auth_secret: Option<Secret>,

    /// A file with the secret for AUTH
    #[arg(long, value_name = "FILE")]
    pub(super) auth_secret_file: Option<PathBuf>,

    /// Compress with snappy
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = values::boolean)]
    pub(super) snappy: Option<bool>,

    /// Compress with deflate, at a level of 1 to 9 [default level: 6]
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, require_equals = true, default_missing_value = "6")]
    pub(super) deflate: Option<DeflateLevel>,

    /// nsqd's --max-msg-size, in bytes [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    pub(super) max_msg_size: Option<usize>,

    /// nsqd's --max-body-size, in bytes [default: 5242880]
    #[arg(long, value_name = "BYTES")]
    pub(super) max_body_size: Option<usize>,
}
