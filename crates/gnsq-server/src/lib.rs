//! nsqd and nsqlookupd in memory, to embed in tests and demos.

mod clock;
mod listen;
mod nsqd;
mod tls;

pub use clock::Clock;
pub use listen::{BoundAddress, ListenAddress};
pub use nsqd::{NsqdBuilder, NsqdOptions};
pub use tls::{ClientAuth, PemSource, TlsError, TlsOptions, TlsRequired, TlsVersion};
