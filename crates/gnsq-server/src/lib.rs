//! nsqd and nsqlookupd in memory, to embed in tests and demos.

mod clock;
mod error;
mod http;
mod json;
mod listen;
mod nsqd;
mod tls;

pub use clock::Clock;
pub use error::StartError;
pub use listen::{BoundAddress, ListenAddress};
pub use nsqd::{
    ChannelStats, ClientState, ClientStats, E2eLatency, MemoryStats, Nsqd, NsqdBuilder, NsqdOptions, PubCount, Stats,
    TopicStats,
};
pub use tls::{ClientAuth, PemSource, TlsError, TlsOptions, TlsRequired, TlsVersion};
