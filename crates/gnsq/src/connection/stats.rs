//! What a connection tells about itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gnsq_proto::{Difference, IdentifyResponse, TopicName};

use super::Handle;
use crate::address::Address;

/// What one connection to an nsqd has done and does, at one moment.
///
/// ```no_run
/// # async fn example() -> gnsq::Result<()> {
/// let consumer = gnsq::Consumer::builder("orders", "billing").lookupd("http://127.0.0.1:4161").build()?;
/// for connection in consumer.handle().connections() {
///     println!("{}: {} of {}", connection.nsqd, connection.in_flight, connection.ready);
///     for difference in connection.differences {
///         println!("  {difference}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// The nsqd.
    pub nsqd: Address,
    /// The topic that it is subscribed to, if it is.
    pub topic: Option<TopicName>,
    /// How long ago it was made.
    pub age: Duration,
    /// Messages received and not answered yet.
    pub in_flight: u32,
    /// The RDY that nsqd was told last.
    pub ready: u32,
    /// When the last message came.
    pub last_message: Option<Instant>,
    /// Messages received, each delivery counted.
    pub received: u64,
    /// Messages finished.
    pub finished: u64,
    /// Messages requeued.
    pub requeued: u64,
    /// Bytes read from the socket, as they travel: compressed, encrypted.
    pub bytes_read: u64,
    /// Bytes that the socket has taken.
    pub bytes_written: u64,
    /// What nsqd has granted, once it has; nothing where it doesn't negotiate.
    pub identified: Option<IdentifyResponse>,
    /// What it granted otherwise than was asked for.
    pub differences: Vec<Difference>,
}

impl Handle {
    pub(crate) fn stats(&self) -> ConnectionStats {
        let counts = self.counts();
        let identified = self.identified().cloned();
        let asked = self.config().identify_request();
        ConnectionStats {
            nsqd: self.address().clone(),
            topic: self.topic().cloned(),
            age: self.age(),
            in_flight: self.in_flight(),
            ready: self.ready_count(),
            last_message: self.last_message(),
            received: counts.received.load(Ordering::Relaxed),
            finished: counts.finished.load(Ordering::Relaxed),
            requeued: counts.requeued.load(Ordering::Relaxed),
            bytes_read: counts.bytes_read.load(Ordering::Relaxed),
            bytes_written: counts.bytes_written.load(Ordering::Relaxed),
            differences: identified.as_ref().map(|response| response.differences(&asked)).unwrap_or_default(),
            identified,
        }
    }
}

/// The driver's counts, for others to read.
#[derive(Debug, Default)]
pub(super) struct Counts {
    received: AtomicU64,
    finished: AtomicU64,
    requeued: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

/// How often something has happened on a connection, for its driver to count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) received: u64,
    pub(super) finished: u64,
    pub(super) requeued: u64,
    pub(super) bytes_read: u64,
    pub(super) bytes_written: u64,
}

impl Counts {
    /// There is one writer, so nothing has to be added atomically.
    pub(super) fn publish(&self, tally: Tally) {
        self.received.store(tally.received, Ordering::Relaxed);
        self.finished.store(tally.finished, Ordering::Relaxed);
        self.requeued.store(tally.requeued, Ordering::Relaxed);
        self.bytes_read.store(tally.bytes_read, Ordering::Relaxed);
        self.bytes_written.store(tally.bytes_written, Ordering::Relaxed);
    }
}
