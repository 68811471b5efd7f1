//! One connection to an nsqd: from an address to a task that drives it, and a handle for those who use it.

mod dial;
mod driver;
mod handle;
mod load;
mod observer;
mod op;
mod publish;
mod read_size;
mod socket;
mod stream;
mod supervisor;

use std::sync::Arc;

use self::driver::Driver;
pub(crate) use self::handle::Handle;
pub(crate) use self::observer::Observer;
pub(crate) use self::op::{Failure, Op};
pub(crate) use self::publish::{Publish, Undone};
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
        let socket = dial::dial(address, config.connect_timeout).await?;
        let handle = Self::new(address.clone(), config.clone(), observer, meter);
        tokio::spawn(Driver::new(handle.clone(), Stream::new(socket)));
        Ok(handle)
    }
}
