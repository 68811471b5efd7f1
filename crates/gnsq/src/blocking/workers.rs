//! Threads that run a handler.

use std::convert::Infallible;
use std::hash::Hash;
use std::sync::mpsc;
use std::thread;

use futures_util::future::BoxFuture;

use super::consumer::{Consumer, ConsumerHandle};
use super::wait::wait;
use crate::consumer::ShutdownReport;
use crate::error::{Error, Result};
use crate::events::HandlerError;
use crate::message::Message;
use crate::runtime::is_shared_thread;

impl Consumer {
    /// Calls `handler` with each message, in as many threads at once as the
    /// [concurrency](crate::ConsumerBuilder::concurrency) says, until the consumer is shut down.
    ///
    /// When the handler returns `Ok` the message is finished; at `Err`, or a panic, it is requeued with a delay,
    /// and the consumer backs off. [`Requeue`](crate::Requeue) as the error changes either. A message that the handler
    /// has answered, or [detached](Message::detach), is left alone.
    ///
    /// Returns what the shutdown did; ask for one with [`ConsumerHandle::shutdown`](super::ConsumerHandle::shutdown) from
    /// elsewhere, or [`request_shutdown`](super::ConsumerHandle::request_shutdown) in the handler. A handler that has not
    /// returned at the time limit of the shutdown isn't waited for; its thread can't be stopped, and lasts until it
    /// returns.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] when the system starts no more threads, and [`Error::WouldBlock`] in a signal's receiver. The
    /// consumer is shut down then.
    pub fn run<H, E>(self, handler: H) -> Result<ShutdownReport>
    where
        H: Fn(Message) -> Result<(), E> + Send + Sync + 'static,
        E: Into<HandlerError> + 'static,
    {
        self.on_threads(|handle| {
            handle.inner.work(move |message| std::future::ready(handler(message).map_err(Into::into)))
        })
    }

    /// As [`run`](Self::run), but the messages of a key are handled one after the other, in the order in which they came,
    /// failures included: [`gnsq::Consumer::run_keyed`](crate::Consumer::run_keyed).
    ///
    /// ```no_run
    /// # fn example() -> gnsq::Result<()> {
    /// use gnsq::Message;
    /// use gnsq::blocking::Consumer;
    ///
    /// let consumer = Consumer::builder("orders", "billing").nsqd("127.0.0.1:4150").concurrency(4).build_blocking()?;
    /// // The customer stands before the first comma.
    /// let customer = |message: &Message| message.body().split(|byte| *byte == b',').next().map(<[u8]>::to_vec);
    /// consumer.run_keyed(customer, |message: Message| {
    ///     println!("{:?}", message.body());
    ///     Ok::<_, std::io::Error>(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_keyed<K, Q, H, E>(self, key: Q, handler: H) -> Result<ShutdownReport>
    where
        K: Hash + Eq + Clone + Send + 'static,
        Q: Fn(&Message) -> K + Send + 'static,
        H: Fn(Message) -> Result<(), E> + Send + Sync + 'static,
        E: Into<HandlerError> + 'static,
    {
        let handler = move |message| std::future::ready(handler(message).map_err(Into::into));
        self.on_threads(|handle| handle.inner.work_in_order(key, handler))
    }

    /// Does each work in a thread of its own, until the consumer is shut down.
    fn on_threads(self, works: impl FnOnce(&ConsumerHandle) -> Vec<BoxFuture<'static, ()>>) -> Result<ShutdownReport> {
        if is_shared_thread() {
            return Err(Error::WouldBlock);
        }
        let handle = self.handle().clone();
        // What an earlier `recv_timeout` has left to give up.
        let leftovers: Vec<_> = self.idle().iter_mut().filter_map(crate::consumer::Inlet::rest).collect();
        let (alive, ended) = mpsc::channel::<Infallible>();
        for work in leftovers.into_iter().chain(works(&handle)) {
            let (runtime, alive) = (handle.runtime.clone(), alive.clone());
            let work = move || {
                let _alive = alive;
                // Refused only on the shared thread, which this is not.
                let _ = wait(&runtime, work);
            };
            thread::Builder::new().name("gnsq-handler".to_owned()).spawn(work).map_err(|error| Error::Option {
                option: "concurrency",
                reason: format!("the system starts no more threads: {error}"),
            })?;
        }
        drop(alive);
        let report = handle.finished()?;
        // Handlers that have answered their messages may still be at work; nobody waits for them beyond the time limit.
        let _ = ended.recv_timeout(handle.shutdown_timeout().saturating_sub(report.took));
        Ok(report)
    }
}
