//! nsqd and nsqlookupd in memory, to embed in tests and demos.

mod accept;
mod clock;
mod error;
mod http;
mod listen;
mod nsqd;
mod nsqlookupd;
mod tls;

pub use clock::Clock;
pub use error::StartError;
pub use listen::{BoundAddress, ListenAddress};
pub use nsqd::{NsqdBuilder, NsqdOptions};
pub use nsqlookupd::{Nsqlookupd, NsqlookupdBuilder, Producer, TopicRegistration};
pub use tls::{ClientAuth, PemSource, TlsOptions, TlsRequired, TlsVersion};
