//! Threads that run a handler.

use std::convert::Infallible;
use std::sync::{Arc, mpsc};
use std::thread;

use super::consumer::Consumer;
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
        if is_shared_thread() {
            return Err(Error::WouldBlock);
        }
        let handle = self.handle().clone();
        let (concurrency, shutdown_timeout) = handle.concurrency();
        let handler = Arc::new(move |message| std::future::ready(handler(message)));
        // What an earlier `recv_timeout` has left to give up.
        let mut leftovers: Vec<_> = self.idle().iter_mut().filter_map(crate::consumer::Inlet::rest).collect();
        let (alive, ended) = mpsc::channel::<Infallible>();
        for _ in 0..concurrency {
            let (handle, handler, alive) = (handle.clone(), handler.clone(), alive.clone());
            let leftovers = std::mem::take(&mut leftovers);
            let work = move || {
                let _alive = alive;
                let work = async {
                    for giving_up in leftovers {
                        giving_up.await;
                    }
                    handle.inner.clone().work(handler).await;
                };
                // Refused only on the shared thread, which this is not.
                let _ = wait(&handle.runtime, work);
            };
            thread::Builder::new().name("gnsq-handler".to_owned()).spawn(work).map_err(|error| Error::Option {
                option: "concurrency",
                reason: format!("the system starts no more threads: {error}"),
            })?;
        }
        drop(alive);
        let report = handle.finished()?;
        // Handlers that have answered their messages may still be at work; nobody waits for them beyond the time limit.
        let _ = ended.recv_timeout(shutdown_timeout.saturating_sub(report.took));
        Ok(report)
    }
}
