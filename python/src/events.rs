//! What has happened, in its order, until Python takes it.
//!
//! The I/O's side is an [`EventSender`], Python's side `_core.Events`. A client's signals become events by
//! [`Followed`], its own findings by [`push`](EventSender::push).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gnsq::{Address, AuthResponse, MessageFrame, ServerError, SignalGuard, Signals};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::errors::{Failure, server_error};
use crate::mailbox::{Mailbox, Waiter};
use crate::process::Owned;
use crate::waiting::{Waitable, Waiters};

/// Something that has happened. The I/O makes it, so it knows no Python object.
#[derive(Debug)]
pub(crate) enum Event {
    /// nsqd answered. `("response", "host:port", bytes)`
    Response(Address, Bytes),
    /// nsqd refused something. `("error", "host:port", exception)`
    Error(Address, ServerError),
    /// nsqd accepted a secret. `("auth", "host:port", dict)`
    Auth(Address, AuthResponse),
    /// nsqd sent a heartbeat, which has its answer. `("heartbeat", "host:port")`; one at a time is kept.
    Heartbeat(Address),
    /// A message came. `("message", timestamp, attempts, id, body)`
    Message(MessageFrame),
    /// Nothing more happens, because of this, or as was asked for. `("end", exception or None)`
    End(Option<Failure>),
}

/// How much may wait to be taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

impl Room {
    /// For signals, which tell of what is done anyway: what has no room is left out.
    pub(crate) const SIGNALS: Self = Self { events: 10_000, bytes: 16 << 20 };

    /// For the frames of a connection, none of which may be left out: a program may publish much before it reads that all
    /// of it is OK.
    pub(crate) const FRAMES: Self = Self { events: 1_000_000, bytes: 1 << 30 };
}

/// The I/O's side. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct EventSender(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    room: Room,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Event>,
    bytes: usize,
    /// A heartbeat is in the queue.
    heartbeat: bool,
    missed: u64,
    ended: bool,
    waiters: Waiters,
}

/// A client's signals, as far as they become events.
pub(crate) struct Followed {
    signals: Signals,
    sender: EventSender,
    /// For as long as this lasts. Locked only with the GIL.
    guards: Mutex<Vec<SignalGuard>>,
}

/// What has happened, in its order. Ready while there is something to take, and for ever once it has ended.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct Events {
    shared: Owned<Arc<Shared>>,
}

impl Events {
    /// Both sides.
    pub(crate) fn new(room: Room) -> (Self, EventSender) {
        let shared = Arc::new(Shared { room, state: Mutex::default() });
        (Self { shared: Owned::new(shared.clone()) }, EventSender(shared))
    }

    /// What is there; nothing of it is left.
    fn drain(&self) -> PyResult<VecDeque<Event>> {
        let mut state = self.shared.get()?.lock();
        (state.bytes, state.heartbeat) = (0, false);
        Ok(std::mem::take(&mut state.queue))
    }

    /// Takes out the messages that nobody has seen.
    pub(crate) fn take_messages(&self) -> PyResult<Vec<MessageFrame>> {
        let mut state = self.shared.get()?.lock();
        let mut messages = Vec::new();
        let queue = std::mem::take(&mut state.queue);
        for event in queue {
            match event {
                Event::Message(frame) => {
                    state.bytes -= frame.body.len();
                    messages.push(frame);
                }
                other => state.queue.push_back(other),
            }
        }
        Ok(messages)
    }
}

#[pymethods]
impl Events {
    /// The next event as a tuple that begins with its kind, or None; never waits.
    fn pop(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let event = self.shared.get()?.lock().pop();
        event.map(|event| event.into_object(py)).transpose()
    }

    /// All events that are there, as a list of such tuples; never waits.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for event in self.drain()? {
            list.append(event.into_object(py)?)?;
        }
        Ok(list)
    }

    /// How many events were left out because there was no room.
    fn missed(&self) -> PyResult<u64> {
        Ok(self.shared.get()?.lock().missed)
    }

    /// Forgets a heartbeat that nobody has taken: it has had its answer.
    fn forget_heartbeat(&self) -> PyResult<()> {
        let mut state = self.shared.get()?.lock();
        if std::mem::take(&mut state.heartbeat) {
            state.queue.retain(|event| !matches!(event, Event::Heartbeat(_)));
        }
        Ok(())
    }

    /// Blocks this thread until there is something to take or it has ended, for up to `timeout` seconds (None: for ever);
    /// tells whether it is so.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.shared.get()?.wait(py, timeout)
    }

    /// Has the mailbox give `target` out when there is something to take or it has ended.
    fn arm(&self, mailbox: &Mailbox, target: Py<PyAny>) -> PyResult<()> {
        self.shared.get()?.arm(mailbox, target)
    }

    fn __repr__(&self) -> PyResult<String> {
        let state = self.shared.get()?.lock();
        let ended = if state.ended { ", ended" } else { "" };
        Ok(format!("<gnsq._core.Events: {} to take{ended}>", state.queue.len()))
    }
}

impl EventSender {
    /// Adds an event. Says whether it had room; what came behind the end needs none.
    pub(crate) fn push(&self, event: Event) -> bool {
        let mut state = self.0.lock();
        if state.ended {
            return true;
        }
        let bytes = state.bytes + event.bytes();
        if state.queue.len() >= self.0.room.events || bytes > self.0.room.bytes {
            state.missed += 1;
            return false;
        }
        if matches!(event, Event::Heartbeat(_)) && std::mem::replace(&mut state.heartbeat, true) {
            return true;
        }
        state.bytes = bytes;
        state.queue.push_back(event);
        state.tell();
        true
    }

    /// Adds the last event, unless there is one.
    pub(crate) fn end(&self, cause: Option<Failure>) {
        let mut state = self.0.lock();
        if !std::mem::replace(&mut state.ended, true) {
            state.queue.push_back(Event::End(cause));
            state.tell();
        }
    }
}

impl Followed {
    /// Signals for a client that is to be made, of which these kinds are followed.
    ///
    /// # Errors
    ///
    /// As [`follow`](Self::follow).
    pub(crate) fn new(sender: EventSender, kinds: Vec<String>) -> PyResult<Self> {
        let followed = Self { signals: Signals::default(), sender, guards: Mutex::default() };
        for kind in kinds {
            followed.follow(&kind)?;
        }
        Ok(followed)
    }

    pub(crate) fn signals(&self) -> Signals {
        self.signals.clone()
    }

    /// Makes what a signal tells events: nsqd's answers ("response"), its errors ("error") or accepted secrets ("auth"). A
    /// publish is answered, too: worth it only where somebody listens.
    ///
    /// # Errors
    ///
    /// `ValueError` for another kind.
    pub(crate) fn follow(&self, kind: &str) -> PyResult<()> {
        let sender = self.sender.clone();
        let guard = match kind {
            "response" => self.signals.on_response.connect(move |event| {
                sender.push(Event::Response(event.nsqd.clone(), event.data.clone()));
            }),
            "error" => self.signals.on_error.connect(move |event| {
                sender.push(Event::Error(event.nsqd.clone(), event.error.clone()));
            }),
            "auth" => self.signals.on_auth.connect(move |event| {
                sender.push(Event::Auth(event.nsqd.clone(), event.response.clone()));
            }),
            _ => return Err(PyValueError::new_err(format!("there are no events of kind {kind}"))),
        };
        self.guards.lock().unwrap_or_else(PoisonError::into_inner).push(guard);
        Ok(())
    }
}

impl Waitable for Shared {
    type Locked<'a> = MutexGuard<'a, State>;

    fn locked(&self) -> Self::Locked<'_> {
        self.lock()
    }

    fn is_ready_in(&self, state: &Self::Locked<'_>) -> bool {
        state.is_ready()
    }

    fn waiters<'a>(state: &'a mut Self::Locked<'_>) -> Option<&'a mut Waiters> {
        Some(&mut state.waiters)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_ready(&self) -> bool {
        self.ended || !self.queue.is_empty()
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.queue.pop_front()?;
        self.bytes -= event.bytes();
        if matches!(event, Event::Heartbeat(_)) {
            self.heartbeat = false;
        }
        Some(event)
    }

    fn tell(&mut self) {
        // Within the lock: telling is short, and most often nobody waits.
        std::mem::take(&mut self.waiters).into_iter().for_each(Waiter::tell);
    }
}

impl Event {
    /// What it counts against the room.
    fn bytes(&self) -> usize {
        match self {
            Self::Response(_, data) => data.len(),
            Self::Error(_, error) => error.text().len(),
            Self::Message(frame) => frame.body.len(),
            Self::Auth(..) | Self::Heartbeat(_) | Self::End(_) => 0,
        }
    }

    fn into_object(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        use pyo3::intern;

        let object = match self {
            Self::Response(nsqd, data) => {
                (intern!(py, "response"), nsqd.to_string(), PyBytes::new(py, &data)).into_pyobject(py)?.into_any()
            }
            Self::Error(nsqd, error) => {
                let exception = server_error(py, &error)?.into_value(py);
                (intern!(py, "error"), nsqd.to_string(), exception).into_pyobject(py)?.into_any()
            }
            Self::Auth(nsqd, response) => {
                let dict = PyDict::new(py);
                dict.set_item("identity", response.identity)?;
                dict.set_item("identity_url", response.identity_url)?;
                dict.set_item("permission_count", response.permission_count)?;
                (intern!(py, "auth"), nsqd.to_string(), dict).into_pyobject(py)?.into_any()
            }
            Self::Heartbeat(nsqd) => (intern!(py, "heartbeat"), nsqd.to_string()).into_pyobject(py)?.into_any(),
            Self::Message(frame) => {
                let (id, body) = (PyBytes::new(py, &frame.id.0), PyBytes::new(py, &frame.body));
                let kind = intern!(py, "message");
                (kind, frame.timestamp, frame.attempts, id, body).into_pyobject(py)?.into_any()
            }
            Self::End(cause) => {
                let cause = cause.map(|cause| PyErr::from(cause).into_value(py));
                (intern!(py, "end"), cause).into_pyobject(py)?.into_any()
            }
        };
        Ok(object.unbind())
    }
}
