//! nsqd and nsqlookupd in memory, to embed in tests and demos.

mod accept;
mod clock;
mod error;
mod http;
mod json;
mod listen;
mod log_level;
mod nsqd;
mod nsqlookupd;
mod tls;
mod version;

pub use clock::Clock;
pub use error::StartError;
pub use listen::{BoundAddress, ListenAddress};
pub use log_level::{LogLevel, LogLevelError};
pub use nsqd::{
    ChannelStats, ClientState, ClientStats, E2eLatency, MemoryStats, Nsqd, NsqdBuilder, NsqdOptions, PubCount, Stats,
    TopicStats,
};
pub use nsqlookupd::{Nsqlookupd, NsqlookupdBuilder, Producer, TopicRegistration};
pub use tls::{ClientAuth, PemSource, TlsError, TlsOptions, TlsRequired, TlsVersion};
pub use version::{NSQ_VERSION, version_line};

/// What the fuzz targets reach and nobody else: it isn't there without their compiler flag.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::http::fuzzing::{HttpAnswer, parameter};
    pub use crate::nsqd::fuzzing::{FuzzedConnection, FuzzedNsqd, identify};
    pub use crate::nsqlookupd::fuzzing::{FuzzedNsqlookupd, LookupdSession};
}
