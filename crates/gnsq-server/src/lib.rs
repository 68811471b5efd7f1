//! nsqd and nsqlookupd in memory, to embed in tests and demos.
//!
//! [`Nsqd`] and [`Nsqlookupd`] speak the protocols of nsqd and nsqlookupd 1.3.0, over TCP, unix sockets, TLS and HTTP, so
//! that every NSQ client and tool works with them: the same tests hold them and the real servers to the same answers.
//! A start takes about a millisecond, on a free port, in the process of the test:
//!
//! ```
//! use gnsq_server::{Clock, Nsqd, Nsqlookupd};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gnsq_server::StartError> {
//! let clock = Clock::manual();
//! let nsqlookupd = Nsqlookupd::start().await?;
//! let nsqd = Nsqd::builder().lookupd(&nsqlookupd).clock(clock.clone()).start().await?;
//!
//! // Point the code under test at `nsqd.tcp_address()` or `nsqlookupd.http_url()`, then look at what it did:
//! assert!(nsqd.stats().topic("orders").is_none());
//!
//! // Message timeouts, deferred messages and heartbeats follow the clock: a minute passes at once.
//! clock.advance(Duration::from_secs(60));
//! # Ok(())
//! # }
//! ```
//!
//! # What is different from the real servers
//!
//! - Everything is in memory, and gone when the server stops. In exchange, publishing beyond
//!   [`max_messages`](NsqdBuilder::max_messages) or [`max_bytes`](NsqdBuilder::max_bytes) is refused with the protocol's
//!   error instead of filling a disk; nothing that was accepted is dropped.
//! - Timers are exact: a message times out or becomes due at its moment, also on a channel that is new. nsqd looks every
//!   100 ms, and at a new channel after up to 5 s.
//! - A message leaves at once when no other is ready to go with it; nsqd may hold it for the output buffer timeout.
//! - MPUB is taken as a whole or not at all.
//! - TLS is 1.2 or 1.3; older versions are not spoken.
//! - What is sent to statsd leaves in short bursts, where nsqd divides it over the interval (which there has to be more
//!   than a second). A topic or channel that was created anew counts from 0, where nsqd sends a negative count.
//! - `/stats` tells the memory that messages take, not that of a Go runtime. End-to-end latencies are close to 1 %.
//!
//! Many servers can run in one process; dropping one stops it.

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
    ChannelStats, ClientState, ClientStats, E2eLatency, E2ePercentile, MemoryStats, Nsqd, NsqdBuilder, NsqdOptions,
    PubCount, Stats, TopicStats,
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
