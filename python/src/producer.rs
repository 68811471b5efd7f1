//! Publishing, as `gnsq.producer` uses it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gnsq::{Address, Io, PublishLimits, PublishOptions, TopicName};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::body;
use crate::errors::Failure;
use crate::events::{self, Events, Followed};
use crate::mailbox::Mailbox;
use crate::operation::{Operation, Value};
use crate::options::{ConnectionOptions, seconds};
use crate::process::Owned;
use crate::publish::{Publish, Slot};
use crate::runtime;
use crate::submissions::{Job, Submissions, Work, carry_out};
use crate::waiting::Waitable;

/// A producer that runs until it is closed or dropped.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct Producer {
    inner: Owned<Inner>,
    events: Py<Events>,
}

struct Inner {
    producer: gnsq::Producer,
    submissions: Arc<Submissions>,
    limits: PublishLimits,
    /// The topic of the last publish: mostly it is that of the next one, too.
    latest: Mutex<Option<TopicName>>,
    followed: Followed,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.submissions.close(None);
    }
}

#[pymethods]
impl Producer {
    /// Begins to connect. Times are in seconds.
    #[new]
    #[pyo3(signature = (addresses, options, *, max_backoff_duration, max_outstanding, max_outstanding_bytes,
        max_msg_size, max_body_size, follow))]
    #[allow(clippy::too_many_arguments, reason = "they are given by name")]
    fn new(
        py: Python<'_>,
        addresses: Vec<String>,
        options: &ConnectionOptions,
        max_backoff_duration: f64,
        max_outstanding: u32,
        max_outstanding_bytes: u32,
        max_msg_size: usize,
        max_body_size: usize,
        follow: Vec<String>,
    ) -> PyResult<Self> {
        let runtime = runtime::handle(py)?;
        let config = options.config().max_msg_size(max_msg_size).max_body_size(max_body_size);
        let timeout = options.timeout.min(LONGEST_TIMEOUT);
        let builder = gnsq::Producer::builder()
            .nsqds(addresses)
            .connection(config)
            .publish_timeout(timeout)
            .max_reconnect_delay(seconds("max_backoff_duration", max_backoff_duration)?)
            .max_outstanding(max_outstanding)
            .max_outstanding_bytes(max_outstanding_bytes)
            .io(Io::Runtime(runtime.clone()));
        let (events, sender) = Events::new(events::Room::SIGNALS);
        let followed = Followed::new(sender.clone(), follow)?;
        let producer = builder.signals(followed.signals()).build().map_err(Failure::from)?;
        let (messages, bytes) = (max_outstanding as usize, max_outstanding_bytes as usize);
        let submissions = Submissions::new(producer.clone(), runtime.clone(), messages, bytes);
        drop(runtime.spawn(carry_out(submissions.clone(), sender)));
        let mut limits = PublishLimits::default();
        (limits.max_msg_size, limits.max_body_size) = (max_msg_size, max_body_size);
        let inner = Inner { producer, submissions, limits, latest: Mutex::default(), followed };
        Ok(Self { inner: Owned::new(inner), events: Py::new(py, events)? })
    }

    /// Submits one message; None when there is no connection or no room for it now. `defer` is in milliseconds. Should the
    /// connection be lost just now, another is waited for, for up to `wait` seconds (None: for ever).
    #[pyo3(signature = (topic, data, defer=None, wait=None))]
    fn publish(
        &self,
        topic: &str,
        data: &Bound<'_, PyAny>,
        defer: Option<f64>,
        wait: Option<f64>,
    ) -> PyResult<Option<Publish>> {
        let inner = self.inner.get()?;
        let topic = inner.topic(topic)?;
        let body = body::body(data)?;
        inner.limits.check_message(&body).map_err(gnsq::Error::from).map_err(Failure::from)?;
        let mut options = waiting(wait);
        if let Some(millis) = defer {
            let delay = delay(millis)?;
            inner.limits.check_delay(delay).map_err(gnsq::Error::from).map_err(Failure::from)?;
            options = options.delay(delay);
        }
        if !inner.takes() {
            return Ok(None);
        }
        inner.submit(topic, body.len(), Work::One(body), options).map(Some)
    }

    /// Submits several messages, which go out with one command; else as `publish`.
    #[pyo3(signature = (topic, messages, wait=None))]
    fn multipublish(&self, topic: &str, messages: &Bound<'_, PyAny>, wait: Option<f64>) -> PyResult<Option<Publish>> {
        let inner = self.inner.get()?;
        let topic = inner.topic(topic)?;
        let batch = body::bodies(messages, &inner.limits)?;
        if !inner.takes() {
            return Ok(None);
        }
        inner.submit(topic, batch.size(), Work::Several(batch), waiting(wait)).map(Some)
    }

    /// What happens on the connections, as far as it is followed. It ends when the producer has.
    fn events(&self, py: Python<'_>) -> Py<Events> {
        self.events.clone_ref(py)
    }

    /// Has events of a kind happen: "response", "error" or "auth".
    fn follow(&self, kind: &str) -> PyResult<()> {
        self.inner.get()?.followed.follow(kind)
    }

    /// What becomes ready when there is room for another publish.
    fn room(&self) -> PyResult<Room> {
        Ok(Room(Owned::new(self.inner.get()?.submissions.clone())))
    }

    /// Whether there is room for another publish.
    fn has_room(&self) -> PyResult<bool> {
        Ok(self.inner.get()?.submissions.has_room())
    }

    /// Whether any nsqd is connected.
    fn is_connected(&self) -> PyResult<bool> {
        Ok(self.inner.get()?.producer.is_connected())
    }

    /// Is done when an nsqd is connected.
    fn connected(&self, py: Python<'_>) -> PyResult<Operation> {
        let producer = self.inner.get()?.producer.clone();
        Operation::spawn(py, async move {
            loop {
                match producer.ready().await {
                    Ok(()) => return Ok(Value::None),
                    // How long to wait is up to who waits.
                    Err(gnsq::Error::NoConnections { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        })
    }

    /// Is done when each nsqd that was named has been connected to, or couldn't be, or `timeout` seconds have passed.
    fn attempted(&self, py: Python<'_>, timeout: f64) -> PyResult<Operation> {
        let producer = self.inner.get()?.producer.clone();
        let timeout = seconds("timeout", timeout)?;
        Operation::spawn(py, async move {
            // Either way it is over.
            let _ = tokio::time::timeout(timeout, producer.attempted()).await;
            Ok(Value::None)
        })
    }

    /// Connects to one more nsqd.
    fn add_nsqd(&self, address: &str) -> PyResult<()> {
        let address: Address = address.parse().map_err(gnsq::Error::from).map_err(Failure::from)?;
        Ok(self.inner.get()?.producer.add_nsqd(address).map_err(Failure::from)?)
    }

    /// Why there is no connection, as far as that is known.
    fn last_failure(&self) -> PyResult<Option<String>> {
        Ok(self.inner.get()?.producer.last_failure().map(|error| error.to_string()))
    }

    /// The nsqds that are connected.
    fn connections(&self) -> PyResult<Vec<String>> {
        let nsqds = self.inner.get()?.producer.stats().nsqds;
        Ok(nsqds.into_iter().filter(|nsqd| nsqd.connected).map(|nsqd| nsqd.address.to_string()).collect())
    }

    /// How many publishes have no outcome yet.
    fn outstanding(&self) -> PyResult<usize> {
        Ok(self.inner.get()?.submissions.outstanding())
    }

    /// Takes nothing any more. Is done when what is outstanding is, and the connections are closed.
    fn close(&self) -> PyResult<Operation> {
        let (operation, completer) = Operation::new();
        self.inner.get()?.submissions.close(Some(completer));
        Ok(operation)
    }
}

impl Inner {
    /// Whether a publish could begin now.
    fn takes(&self) -> bool {
        self.producer.is_connected() && self.submissions.has_room()
    }

    fn topic(&self, name: &str) -> PyResult<TopicName> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latest) = &*latest
            && latest.as_str() == name
        {
            return Ok(latest.clone());
        }
        let topic = TopicName::try_from(name).map_err(gnsq::Error::from).map_err(Failure::from)?;
        Ok(latest.insert(topic).clone())
    }

    fn submit(&self, topic: TopicName, size: usize, work: Work, options: PublishOptions) -> PyResult<Publish> {
        let (slot, promise) = Slot::new();
        if self.submissions.submit(Job { topic, work, options, size, promise }) {
            Ok(Publish::new(slot))
        } else {
            Err(Failure::from(gnsq::Error::Closed).into())
        }
    }
}

/// Ready when there is room for another publish.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct Room(Owned<Arc<Submissions>>);

#[pymethods]
impl Room {
    /// Blocks this thread until there is room, for up to `timeout` seconds (None: for ever); tells whether there is.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.0.get()?.wait(py, timeout)
    }

    /// Has the mailbox give `target` out when there is room.
    fn arm(&self, mailbox: &Mailbox, target: Py<PyAny>) -> PyResult<()> {
        self.0.get()?.arm(mailbox, target)
    }
}

fn waiting(wait: Option<f64>) -> PublishOptions {
    let wait = match wait {
        // What is too long to be told is for ever, too.
        Some(wait) => Duration::try_from_secs_f64(wait.max(0.0)).unwrap_or(Duration::MAX),
        None => Duration::MAX,
    };
    PublishOptions::new().connection_timeout(wait)
}

fn delay(millis: f64) -> PyResult<Duration> {
    let delay = Duration::try_from_secs_f64(millis.trunc() / 1000.0);
    delay.map_err(|_| PyValueError::new_err(format!("defer is {millis}: give milliseconds, 0 or more")))
}

/// The longest that a publish may take: no limit is one that nobody waits for.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
