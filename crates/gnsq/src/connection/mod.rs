//! One connection to an nsqd: from an address to a task that drives it, and a handle for those who use it.

mod confirmations;
mod dial;
mod dialer;
mod driver;
mod handle;
mod load;
mod observer;
mod op;
mod op_list;
pub(crate) mod publish;
mod read_size;
mod seat;
mod socket;
mod stats;
mod stream;
mod supervisor;

use std::sync::Arc;

pub(crate) use self::dialer::AnyDialer;
pub use self::dialer::Dialer;
use self::driver::Driver;
pub(crate) use self::handle::Handle;
pub(crate) use self::observer::Observer;
pub(crate) use self::op::{Answer, Ask, Failure, Op};
pub(crate) use self::publish::{Publish, Undone};
pub use self::stats::ConnectionStats;
use self::stream::Stream;
pub(crate) use self::supervisor::{Session, Supervisor};
use crate::address::Address;
use crate::config::ConnectionConfig;
use crate::error::Result;
use crate::telemetry::ConnectionMeter;

impl Handle {
    /// Connects, sends the protocol's magic, and starts the task that drives the connection on the current runtime.
    pub(crate) async fn open(
        address: &Address,
        config: &Arc<ConnectionConfig>,
        observer: Arc<dyn Observer>,
        meter: Arc<ConnectionMeter>,
    ) -> Result<Self> {
        let socket = dial::dial(address, config).await?;
        let handle = Self::new(address.clone(), config.clone(), observer, meter);
        tokio::spawn(handle.drive(Driver::new(handle.clone(), Stream::new(socket))));
        Ok(handle)
    }
}
