//! Consuming: the client of the crate `gnsq`, and the lines by which its messages come to Python.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gnsq::{Address, ConsumerHandle, Io};
use pyo3::prelude::*;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::answers::Answers;
use crate::errors::Failure;
use crate::events::{Events, Followed, Room};
use crate::gather::Gather;
use crate::http::HttpClient;
use crate::line::{Line, Queue};
use crate::mailbox::{Mailbox, Waiter};
use crate::operation::{Operation, Value};
use crate::options::{ConnectionOptions, seconds};
use crate::process::Owned;
use crate::runtime;
use crate::waiting::{Waitable, Waiters};

/// Takes the messages of a channel, and puts those of each nsqd into a line of their own. Ready when there are new lines,
/// and when it is closed.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct Consumer {
    client: Owned<Client>,
    answers: Py<Answers>,
    closed: Py<Operation>,
    events: Py<Events>,
}

struct Client {
    handle: ConsumerHandle,
    lines: Arc<Lines>,
    followed: Followed,
}

/// Shared by Python and the I/O.
#[derive(Debug)]
struct Lines {
    inner: Mutex<Inner>,
    /// Whether there is one line for all nsqds.
    is_merged: bool,
    stopping: Arc<AtomicBool>,
    /// Messages were finished, and nobody will look at what is gathered.
    watch: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Inner {
    open: Vec<Open>,
    /// How many of the last ones Python has not been given.
    fresh: usize,
    waiters: Waiters,
    is_closed: bool,
}

#[derive(Debug, Clone)]
struct Open {
    nsqd: Option<Address>,
    queue: Arc<Queue>,
}

#[pymethods]
impl Consumer {
    /// Begins to connect in the background. Times are in seconds. `merged`: one line for all nsqds; `follow`: the kinds
    /// of events that somebody listens to.
    ///
    /// :raises ValueError: for what can't be used
    #[new]
    #[pyo3(signature = (topic, channel, *, nsqds, lookupds, options, answers, follow, merged, max_in_flight, poll_interval,
        poll_jitter, low_ready_idle_timeout, max_backoff, shutdown_timeout))]
    #[allow(clippy::too_many_arguments, reason = "they are given by name")]
    #[allow(clippy::needless_pass_by_value, reason = "Python gives them so")]
    fn new(
        py: Python<'_>,
        topic: &str,
        channel: &str,
        nsqds: Vec<String>,
        lookupds: Vec<PyRef<'_, HttpClient>>,
        options: &ConnectionOptions,
        answers: Py<Answers>,
        follow: Vec<String>,
        merged: bool,
        max_in_flight: u32,
        poll_interval: f64,
        poll_jitter: f64,
        low_ready_idle_timeout: f64,
        max_backoff: f64,
        shutdown_timeout: f64,
    ) -> PyResult<Self> {
        let max_backoff = seconds("max_backoff_duration", max_backoff)?;
        let mut builder = gnsq::Consumer::builder(topic, channel)
            .io(Io::Runtime(runtime::handle(py)?))
            .connection(options.config())
            .nsqds(nsqds.iter().map(String::as_str))
            .max_in_flight(max_in_flight)
            .low_ready_idle_timeout(seconds("low_ready_idle_timeout", low_ready_idle_timeout)?)
            .max_backoff(max_backoff)
            .shutdown_timeout(seconds("shutdown_timeout", shutdown_timeout)?)
            // Python gives up, where the handlers of its signal are.
            .max_attempts(0);
        if !max_backoff.is_zero() {
            builder = builder.max_reconnect_delay(max_backoff.min(LONGEST_RECONNECT_DELAY));
        }
        if !lookupds.is_empty() {
            builder = builder
                .lookupd_poll_interval(seconds("lookupd_poll_interval", poll_interval)?)
                .lookupd_poll_jitter(poll_jitter);
            for lookupd in &lookupds {
                builder = builder.lookupd_client(lookupd.lookupd()?);
            }
        }
        let (events, sender) = Events::new(Room::SIGNALS);
        let followed = Followed::new(sender.clone(), follow)?;
        let builder = builder.signals(followed.signals());
        let consumer = py.detach(|| builder.build()).map_err(Failure::from)?;
        let lines = Arc::new(Lines::new(merged));
        let (closed, completer) = Operation::new();
        let client = Client { handle: consumer.handle().clone(), lines: lines.clone(), followed };
        let ended = move || {
            sender.end(None);
            completer.complete(Ok(Value::None));
        };
        runtime::handle(py)?.spawn(pump(consumer, lines, ended));
        let (closed, events) = (Py::new(py, closed)?, Py::new(py, events)?);
        Ok(Self { client: Owned::new(client), answers, closed, events })
    }

    /// The lines that are new since this was called last.
    fn lines(&self, py: Python<'_>) -> PyResult<Vec<Line>> {
        let fresh = self.client.get()?.lines.take_fresh();
        let line =
            |open: Open| Line::new(open.queue, open.nsqd.map(|nsqd| nsqd.to_string()), self.answers.clone_ref(py));
        Ok(fresh.into_iter().map(line).collect())
    }

    /// Done when all connections have ended, and nsqd has what is to go back.
    #[getter]
    fn closed(&self, py: Python<'_>) -> Py<Operation> {
        self.closed.clone_ref(py)
    }

    /// Whether it is closed, and no more lines come.
    fn is_closed(&self) -> PyResult<bool> {
        Ok(self.client.get()?.lines.inner().is_closed)
    }

    /// What happens on the connections, as far as it is followed. It ends when the consumer is closed.
    #[getter]
    fn events(&self, py: Python<'_>) -> Py<Events> {
        self.events.clone_ref(py)
    }

    /// Has events of a kind happen: "response", "error" or "auth".
    fn follow(&self, kind: &str) -> PyResult<()> {
        self.client.get()?.followed.follow(kind)
    }

    /// Begins to close: from here on no message is begun, and none that a handler returns from is finished.
    fn close(&self) -> PyResult<()> {
        self.client.get()?.stop();
        Ok(())
    }

    /// Closes without waiting for messages in hand: they go back.
    fn hurry(&self) -> PyResult<()> {
        let client = self.client.get()?;
        client.stop();
        client.handle.hurry_shutdown();
        Ok(())
    }

    /// Consumes from this nsqd, too.
    fn add_nsqd(&self, address: &str) -> PyResult<()> {
        self.client.get()?.handle.add_nsqd(address).map_err(|error| Failure::from(error).into())
    }

    /// Asks nsqlookupds now.
    fn query_lookupd(&self) -> PyResult<()> {
        self.client.get()?.handle.query_lookupd();
        Ok(())
    }

    fn set_max_in_flight(&self, max_in_flight: u32) -> PyResult<()> {
        self.client.get()?.handle.set_max_in_flight(max_in_flight);
        Ok(())
    }

    /// Whether handlers have nearly all that some nsqd sends before messages are answered, and nothing waits for them here.
    fn is_starved(&self) -> PyResult<bool> {
        let client = self.client.get()?;
        Ok(client.handle.is_starved() && client.lines.are_empty())
    }

    fn total_ready(&self) -> PyResult<u32> {
        Ok(self.client.get()?.handle.total_ready())
    }

    fn total_in_flight(&self) -> PyResult<u32> {
        Ok(self.client.get()?.handle.total_in_flight())
    }

    /// The nsqds that are connected: `host:port`.
    fn connected(&self) -> PyResult<Vec<String>> {
        let connections = self.client.get()?.handle.connections();
        Ok(connections.iter().map(|connection| connection.nsqd.to_string()).collect())
    }

    /// Blocks this thread until it is ready, for up to `timeout` seconds (None: for ever); tells whether it is.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.client.get()?.lines.wait(py, timeout)
    }

    /// Has the mailbox give `target` out when it is ready.
    fn arm(&self, mailbox: &Mailbox, target: Py<PyAny>) -> PyResult<()> {
        self.client.get()?.lines.arm(mailbox, target)
    }

    fn __repr__(&self) -> PyResult<String> {
        let client = self.client.get()?;
        let state = if client.lines.inner().is_closed { "closed" } else { "open" };
        Ok(format!("<gnsq._core.Consumer {state}, {} connections>", client.handle.stats().connections))
    }
}

impl Client {
    fn stop(&self) {
        self.lines.stopping.store(true, Ordering::Release);
        self.handle.request_shutdown();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Lines {
    fn new(is_merged: bool) -> Self {
        let lines = Self {
            inner: Mutex::default(),
            is_merged,
            stopping: Arc::new(AtomicBool::new(false)),
            watch: Arc::new(Notify::new()),
        };
        if is_merged {
            lines.open(&mut lines.inner(), None);
        }
        lines
    }

    /// Each message into the line of its nsqd.
    fn deliver(&self, batch: &mut Vec<gnsq::Message>, client: &ConsumerHandle) {
        let mut batch = batch.drain(..).peekable();
        while let Some(first) = batch.next() {
            if self.is_merged {
                let queue = self.inner().open[0].queue.clone();
                queue.gather.watched();
                return queue.push(std::iter::once(first).chain(batch));
            }
            let nsqd = first.nsqd().clone();
            let queue = self.queue(&nsqd, client);
            queue.gather.watched();
            let rest = std::iter::from_fn(|| batch.next_if(|message| *message.nsqd() == nsqd));
            queue.push(std::iter::once(first).chain(rest));
        }
    }

    /// The line of an nsqd, which a new connection continues.
    fn queue(&self, nsqd: &Address, client: &ConsumerHandle) -> Arc<Queue> {
        let mut inner = self.inner();
        if let Some(open) = inner.open.iter().find(|open| open.nsqd.as_ref() == Some(nsqd)) {
            return open.queue.clone();
        }
        let gone = inner.forget(client);
        let queue = self.open(&mut inner, Some(nsqd.clone()));
        let waiters = std::mem::take(&mut inner.waiters);
        drop(inner);
        for open in gone {
            open.queue.close();
        }
        waiters.into_iter().for_each(Waiter::tell);
        queue
    }

    fn open(&self, inner: &mut Inner, nsqd: Option<Address>) -> Arc<Queue> {
        let queue = Queue::new(Gather::new(self.watch.clone()), self.stopping.clone());
        inner.open.push(Open { nsqd, queue: queue.clone() });
        inner.fresh += 1;
        queue
    }

    fn take_fresh(&self) -> Vec<Open> {
        let mut inner = self.inner();
        let known = inner.open.len() - inner.fresh;
        inner.fresh = 0;
        inner.open[known..].to_vec()
    }

    /// Sends what was gathered. Returns whether that is to be done again soon.
    fn look(&self) -> bool {
        let inner = self.inner();
        for open in &inner.open {
            open.queue.gather.look();
        }
        inner.open.iter().any(|open| open.queue.gather.is_watched())
    }

    fn close_queues(&self) {
        let open = self.inner().open.clone();
        for open in open {
            open.queue.close();
        }
    }

    fn close(&self) {
        let mut inner = self.inner();
        inner.is_closed = true;
        let waiters = std::mem::take(&mut inner.waiters);
        drop(inner);
        waiters.into_iter().for_each(Waiter::tell);
    }

    /// Whether no message waits for a handler.
    fn are_empty(&self) -> bool {
        self.inner().open.iter().all(|open| open.queue.is_empty())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waitable for Lines {
    type Locked<'a> = MutexGuard<'a, Inner>;

    fn locked(&self) -> Self::Locked<'_> {
        self.inner()
    }

    fn is_ready_in(&self, inner: &Self::Locked<'_>) -> bool {
        inner.is_ready()
    }

    fn waiters<'a>(inner: &'a mut Self::Locked<'_>) -> Option<&'a mut Waiters> {
        Some(&mut inner.waiters)
    }
}

impl Inner {
    /// Takes out the lines that have nothing, and whose nsqds are not connected: where nsqds come and go, they would
    /// become ever more.
    fn forget(&mut self, client: &ConsumerHandle) -> Vec<Open> {
        let known = self.open.len() - self.fresh;
        if known == 0 {
            return Vec::new();
        }
        let connected: Vec<_> = client.connections().into_iter().map(|connection| connection.nsqd).collect();
        let is_gone =
            |open: &Open| open.queue.is_empty() && open.nsqd.as_ref().is_some_and(|nsqd| !connected.contains(nsqd));
        let fresh = self.open.split_off(known);
        let (gone, rest) = std::mem::take(&mut self.open).into_iter().partition(is_gone);
        self.open = rest;
        self.open.extend(fresh);
        gone
    }

    fn is_ready(&self) -> bool {
        self.fresh > 0 || self.is_closed
    }
}

/// Brings messages to their lines until the client is shut down, and then what is left back.
async fn pump(mut client: gnsq::Consumer, lines: Arc<Lines>, ended: impl FnOnce()) {
    let handle = client.handle().clone();
    let mut batch = Vec::new();
    let mut timer = std::pin::pin!(sleep(Duration::ZERO));
    let mut is_armed = false;
    loop {
        tokio::select! {
            biased;
            () = &mut timer, if is_armed => {
                is_armed = lines.look();
                if is_armed {
                    timer.as_mut().reset(Instant::now() + GATHERING);
                }
            }
            received = client.recv_many(&mut batch, BATCH) => {
                if received == 0 {
                    break;
                }
                lines.deliver(&mut batch, &handle);
                if !is_armed {
                    is_armed = true;
                    timer.as_mut().reset(Instant::now() + GATHERING);
                }
            }
            () = lines.watch.notified() => {
                if !is_armed {
                    is_armed = true;
                    timer.as_mut().reset(Instant::now() + GATHERING);
                }
            }
        }
    }
    lines.stopping.store(true, Ordering::Release);
    lines.close_queues();
    handle.finished().await;
    lines.close();
    ended();
}

/// For how long a FIN waits for others, at most, while a handler runs.
const GATHERING: Duration = Duration::from_millis(1);

/// How many messages are moved at once.
const BATCH: usize = 1024;

/// As of the crate `gnsq`: what is down for a minute should not be missed for two more.
const LONGEST_RECONNECT_DELAY: Duration = Duration::from_secs(15);
