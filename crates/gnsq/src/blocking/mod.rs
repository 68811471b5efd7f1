//! Producer and consumer for programs without async.
//!
//! [`Producer`] and [`Consumer`] do what their namesakes do, with the same options and the same promises; their methods
//! return when the work is done. The options are the same builders', which end with
//! [`build_blocking`](crate::ProducerBuilder::build_blocking).
//!
//! ```no_run
//! use gnsq::blocking::{Consumer, Producer};
//!
//! # fn example() -> gnsq::Result<()> {
//! let producer = Producer::builder().nsqd("127.0.0.1:4150").build_blocking()?;
//! producer.publish("orders", "one coffee")?;
//!
//! let consumer = Consumer::builder("orders", "kitchen").nsqd("127.0.0.1:4150").build_blocking()?;
//! for message in &consumer {
//!     println!("{}", String::from_utf8_lossy(message.body()));
//!     message.finish()?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What has no counterpart here, such as the HTTP clients or [`Message::finish_confirmed`](crate::Message::finish_confirmed),
//! can be waited for with [`wait`].
//!
//! # Threads
//!
//! All I/O runs on one thread, [`Io::Dedicated`], which all clients of the process share. It starts
//! with the first client, and whoever waits sleeps until it wakes him: a client more costs no thread, a message neither.
//! The option `io` is of no use here.
//!
//! Every method may be called on any thread, by many at once. It may be called in an async program too, where it
//! blocks the thread that calls it, as it would anywhere.
//!
//! One thread can't wait for the I/O: the one that does it. The receivers of [signals](crate::Signals) run there. Calls
//! that would wait there return at once, with [`Error::WouldBlock`](crate::Error::WouldBlock) where they can. What works
//! there is [`Producer::publish_background`], and [`ConsumerHandle::request_shutdown`].
//!
//! # Handlers
//!
//! [`Consumer::run`] calls a handler in threads of its own, as many as the
//! [concurrency](crate::ConsumerBuilder::concurrency) says. A thread can't be stopped from outside: a handler that never
//! returns keeps its thread when the time limit of a shutdown is over. Its message is requeued, and `run` returns,
//! all the same.

mod consumer;
mod pending;
mod producer;
mod wait;
mod workers;

pub use self::consumer::{Consumer, ConsumerHandle, Iter, RecvTimeoutError};
pub use self::pending::Pending;
pub use self::producer::Producer;
use crate::error::Result;
use crate::runtime::Io;

/// Waits for a future of this crate on the calling thread, whose I/O runs on [`Io::Dedicated`].
///
/// ```no_run
/// use gnsq::blocking::{Consumer, wait};
///
/// # fn example() -> gnsq::Result<()> {
/// let consumer = Consumer::builder("orders", "kitchen").nsqd("127.0.0.1:4150").build_blocking()?;
/// for message in &consumer {
///     wait(message.finish_confirmed())??;
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::WouldBlock`](crate::Error::WouldBlock) in a signal's receiver, and [`Error::Option`](crate::Error::Option) if
/// the system starts no thread.
pub fn wait<F: Future>(future: F) -> Result<F::Output> {
    wait::wait(&Io::Dedicated.handle()?, future)
}
