//! A message in the hands of Python.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

use crate::answers::Answers;
use crate::errors::Failure;
use crate::gather::Gather;
use crate::process::Owned;

/// A message, to be answered once: with `finish` or `requeue`. All methods may be called from any thread or greenlet.
///
///     def handler(consumer, message):
///         print(message.attempts, message.body)
///         message.finish()
///
/// A consumer finishes it by itself when the handler returns. One that was received and is dropped unanswered goes back
/// to nsqd at once. One that was made by hand has no connection: its methods only tell its signals.
#[pyclass(frozen, subclass, weakref, dict, module = "gnsq.message")]
pub(crate) struct Message {
    content: OnceLock<Content>,
    /// Made when Python asks for it, once.
    body: PyOnceLock<Py<PyAny>>,
    state: Mutex<State>,
}

struct Content {
    timestamp: i64,
    attempts: i64,
    id: Id,
}

enum Id {
    Received([u8; 16]),
    Made(Py<PyAny>),
}

/// Locked for moments, in which no Python code runs.
#[derive(Default)]
struct State {
    answer: Answer,
    is_async: bool,
    /// Until Python has asked for it.
    body: Bytes,
    /// Until it is answered.
    received: Option<Owned<gnsq::Message>>,
    /// Where its FIN may wait for others'.
    gather: Option<Arc<Gather>>,
    /// Who wants to know how it is answered.
    answers: Option<Py<Answers>>,
    signals: Option<Box<Signals>>,
}

/// What has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Answer {
    #[default]
    None,
    Finished,
    Requeued,
    /// nsqd gives it to someone else: it was told so, or the time is over, or the connection has ended.
    Lost,
}

/// Made when Python asks for them.
#[derive(Default)]
struct Signals {
    finish: Option<Py<PyAny>>,
    requeue: Option<Py<PyAny>>,
    touch: Option<Py<PyAny>>,
}

impl Message {
    /// One that nsqd has sent. `answers` is told how it is answered, and its FIN waits in `gather` for others.
    pub(crate) fn received(
        py: Python<'_>,
        mut message: gnsq::Message,
        answers: Option<Py<Answers>>,
        gather: Option<Arc<Gather>>,
    ) -> PyResult<Py<Self>> {
        let content = Content {
            timestamp: message.timestamp(),
            attempts: message.attempts().into(),
            id: Id::Received(message.id().0),
        };
        let state = State {
            body: message.take_body(),
            received: Some(Owned::new(message)),
            gather,
            answers,
            ..State::default()
        };
        Py::new(py, Self { content: content.into(), body: PyOnceLock::new(), state: Mutex::new(state) })
    }

    /// Finishes it for the consumer, when its handler has returned.
    pub(crate) fn settle(&self) -> Settled {
        let mut state = self.state();
        if state.answer != Answer::None || state.is_async {
            return Settled::Already;
        }
        if state.signals.is_some() || state.answers.as_ref().is_some_and(|answers| answers.get().is_heard()) {
            return Settled::Heard;
        }
        // Who iterates over messages has received them in this process.
        let Some(Ok(received)) = state.received.take().map(Owned::into_inner) else { return Settled::Already };
        let is_late = received.check_answerable().is_err();
        state.answer = if is_late { Answer::Lost } else { Answer::Finished };
        let gather = state.gather.take();
        drop(state);
        if let Some(gather) = gather {
            gather.add(received);
        }
        if is_late { Settled::Late } else { Settled::Done }
    }

    /// Takes it away from whoever still holds it, unless it is answered or async: it is to go back.
    pub(crate) fn take_back(&self) -> Option<gnsq::Message> {
        let mut state = self.state();
        if state.answer != Answer::None || state.is_async {
            return None;
        }
        state.answer = Answer::Lost;
        state.received.take()?.into_inner().ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self) -> PyResult<&Content> {
        self.content.get().ok_or_else(|| PyTypeError::new_err("Message.__init__() was not called"))
    }

    /// What is to be told, when `answer` is the one answer that it gets.
    fn answer(
        slf: &Bound<'_, Self>,
        answer: Answer,
        send: impl FnOnce(gnsq::Message, Option<Arc<Gather>>) -> gnsq::Result<()>,
    ) -> PyResult<Told> {
        let mut state = slf.get().state();
        state.check()?;
        let received = state.received.take();
        let gather = state.gather.take();
        state.answer = answer;
        let told = state.told(slf.py(), |signals| match answer {
            Answer::Finished => signals.finish.as_ref(),
            _ => signals.requeue.as_ref(),
        });
        drop(state);
        let outcome = match received {
            None => Ok(()),
            Some(received) => received
                .into_inner()
                .and_then(|received| send(received, gather).map_err(|error| Failure::from(error).into())),
        };
        if let Err(error) = outcome {
            slf.get().state().answer = Answer::Lost;
            return Err(error);
        }
        Ok(told)
    }

    /// The signal, made now if nobody has asked for it before.
    fn signal(&self, py: Python<'_>, which: impl Fn(&mut Signals) -> &mut Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        if let Some(signals) = &mut self.state().signals
            && let Some(signal) = which(signals)
        {
            return Ok(signal.clone_ref(py));
        }
        let made = py.import(intern!(py, "gnsq._signal"))?.getattr(intern!(py, "Signal"))?.call0()?.unbind();
        let mut state = self.state();
        let signals = state.signals.get_or_insert_default();
        Ok(which(signals).get_or_insert(made).clone_ref(py))
    }
}

/// How a message was finished for its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Done,
    /// It had been answered, or will be by someone else.
    Already,
    /// Too late: nsqd delivers it again.
    Late,
    /// Nothing was done: Python has to do it, since someone listens.
    Heard,
}

/// Who is to be told of an answer.
struct Told {
    signal: Option<Py<PyAny>>,
    answers: Option<Py<Answers>>,
}

impl State {
    /// # Errors
    ///
    /// `NSQException` when it can't be answered or touched any more.
    fn check(&self) -> PyResult<()> {
        let text = match self.answer {
            Answer::None => return Ok(()),
            Answer::Finished => "the message was finished before: it can be answered once",
            Answer::Requeued => "the message was requeued before: it can be answered once",
            Answer::Lost => "the message is not this consumer's any more: nsqd delivers it again",
        };
        Err(Failure::Other(text.to_owned()).into())
    }

    fn told(&self, py: Python<'_>, which: impl Fn(&Signals) -> Option<&Py<PyAny>>) -> Told {
        let signal = self.signals.as_ref().and_then(|signals| which(signals)).map(|signal| signal.clone_ref(py));
        let answers = self.answers.as_ref().filter(|answers| answers.get().is_heard());
        Told { signal, answers: answers.map(|answers| answers.clone_ref(py)) }
    }
}

impl Told {
    fn tell_signal(&self, message: &Bound<'_, Message>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let Some(signal) = &self.signal else { return Ok(()) };
        let py = message.py();
        py.import(intern!(py, "gnsq._tell"))?.getattr(intern!(py, "tell"))?.call((signal, message), kwargs)?;
        Ok(())
    }
}

#[pymethods]
impl Message {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(timestamp, attempts, id, body)")]
    fn new(_args: &Bound<'_, PyAny>, _kwargs: Option<&Bound<'_, PyAny>>) -> Self {
        Self { content: OnceLock::new(), body: PyOnceLock::new(), state: Mutex::default() }
    }

    /// `timestamp`: nanoseconds since the Unix epoch; `attempts`: this one included; `id` and `body`: bytes.
    #[pyo3(signature = (timestamp, attempts, id, body))]
    fn __init__(&self, py: Python<'_>, timestamp: i64, attempts: i64, id: Py<PyAny>, body: Py<PyAny>) -> PyResult<()> {
        let content = Content { timestamp, attempts, id: Id::Made(id) };
        if self.content.set(content).is_err() || self.body.set(py, body).is_err() {
            return Err(PyTypeError::new_err("a message is made once"));
        }
        Ok(())
    }

    /// When nsqd received the message, in nanoseconds since the Unix epoch.
    #[getter]
    fn timestamp(&self) -> PyResult<i64> {
        Ok(self.content()?.timestamp)
    }

    /// How often nsqd has delivered the message, this time included: 1 at first.
    #[getter]
    fn attempts(&self) -> PyResult<i64> {
        Ok(self.content()?.attempts)
    }

    /// Names the message: 16 bytes, unique within a topic of one nsqd.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match &self.content()?.id {
            Id::Received(id) => PyBytes::new(py, id).into_any(),
            Id::Made(id) => id.bind(py).clone(),
        })
    }

    /// The content: bytes.
    #[getter]
    fn body(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.content()?;
        let make = || {
            let made = PyBytes::new(py, &self.state().body);
            // The buffer that it was read into is free from here on.
            self.state().body = Bytes::new();
            made.into_any().unbind()
        };
        Ok(self.body.get_or_init(py, make).clone_ref(py))
    }

    /// Sent when the message is finished: receivers are called as `receiver(message)`.
    #[getter]
    fn on_finish(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.signal(py, |signals| &mut signals.finish)
    }

    /// Sent when the message is requeued: receivers are called as `receiver(message, timeout=…, backoff=…)`.
    #[getter]
    fn on_requeue(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.signal(py, |signals| &mut signals.requeue)
    }

    /// Sent when the message is touched: receivers are called as `receiver(message)`.
    #[getter]
    fn on_touch(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.signal(py, |signals| &mut signals.touch)
    }

    /// The message is done: nsqd forgets it.
    ///
    /// :raises NSQException: when it was answered before, its time is over, or its connection has ended
    pub(crate) fn finish(slf: &Bound<'_, Self>) -> PyResult<()> {
        let told = Self::answer(slf, Answer::Finished, |message, gather| match gather {
            None => message.finish(),
            Some(gather) => {
                message.check_answerable()?;
                gather.add(message);
                Ok(())
            }
        })?;
        told.tell_signal(slf, None)?;
        match told.answers {
            Some(answers) => answers.get().finished(slf),
            None => Ok(()),
        }
    }

    /// The message goes back, to be delivered again after `time_ms` milliseconds. With `backoff` it counts as a failure,
    /// and the consumer slows down.
    ///
    /// :raises NSQException: as of :meth:`finish`
    #[pyo3(signature = (time_ms=0, backoff=true))]
    fn requeue(slf: &Bound<'_, Self>, time_ms: i64, backoff: bool) -> PyResult<()> {
        let Ok(millis) = u64::try_from(time_ms) else {
            return Err(PyValueError::new_err("time_ms must not be negative"));
        };
        let delay = Duration::from_millis(millis);
        let told = Self::answer(slf, Answer::Requeued, |message, _| {
            if backoff { message.requeue(delay) } else { message.requeue_without_backoff(delay) }
        })?;
        if told.signal.is_some() {
            let kwargs = PyDict::new(slf.py());
            kwargs.set_item(intern!(slf.py(), "timeout"), time_ms)?;
            kwargs.set_item(intern!(slf.py(), "backoff"), backoff)?;
            told.tell_signal(slf, Some(&kwargs))?;
        }
        match told.answers {
            Some(answers) => answers.get().requeued(slf, time_ms, backoff),
            None => Ok(()),
        }
    }

    /// Asks nsqd for more time: the message timeout again from now.
    ///
    /// :raises NSQException: as of :meth:`finish`
    fn touch(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = slf.get().state();
        state.check()?;
        if let Some(received) = &state.received {
            received.get()?.touch().map_err(Failure::from)?;
        }
        let told = state.told(slf.py(), |signals| signals.touch.as_ref());
        drop(state);
        told.tell_signal(slf, None)
    }

    /// Whether the message was finished or requeued.
    fn has_responded(&self) -> bool {
        matches!(self.state().answer, Answer::Finished | Answer::Requeued)
    }

    /// Leaves the answer to the program: the consumer does not finish the message when its handler returns.
    fn enable_async(&self) {
        self.state().is_async = true;
    }

    /// Whether :meth:`enable_async` was called.
    fn is_async(&self) -> bool {
        self.state().is_async
    }

    #[allow(clippy::unused_self, reason = "it is called so")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a Message can't be pickled: it belongs to a connection; pickle its body"))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let message = slf.get();
        let id = message.id(slf.py())?.repr()?;
        let content = message.content()?;
        let state = message.state();
        let answer = match state.answer {
            Answer::Finished => "finished",
            Answer::Requeued => "requeued",
            Answer::Lost => "not ours any more",
            Answer::None if state.is_async => "unanswered, async",
            Answer::None => "unanswered",
        };
        Ok(format!("<{} {id} attempts={} {answer}>", slf.get_type().fully_qualified_name()?, content.attempts))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Whoever has it locked is alive, and so is what it holds.
        let Ok(state) = self.state.try_lock() else { return Ok(()) };
        visit.call(&state.answers)?;
        if let Some(signals) = &state.signals {
            visit.call(&signals.finish)?;
            visit.call(&signals.requeue)?;
            visit.call(&signals.touch)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let (signals, answers) = {
            let mut state = self.state();
            (state.signals.take(), state.answers.take())
        };
        drop((signals, answers));
    }
}
