//! The way of messages from the I/O to those who handle them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::answers::Answers;
use crate::gather::Gather;
use crate::mailbox::{Mailbox, Waiter};
use crate::message::{Message, Settled};
use crate::process::Owned;
use crate::waiting::{Waitable, Waiters};

/// Messages that wait to be handled, in the order in which they came. What RDY allows bounds them.
#[derive(Debug)]
pub(crate) struct Queue {
    arrived: Mutex<Arrived>,
    /// What Python has taken from there all at once, so that the I/O is in its way once a batch.
    taken: Mutex<VecDeque<gnsq::Message>>,
    pub(crate) gather: Arc<Gather>,
    /// No more messages are to be begun, and none is finished.
    stopping: Arc<AtomicBool>,
}

type Taken<'a> = MutexGuard<'a, VecDeque<gnsq::Message>>;

#[derive(Debug, Default)]
pub(crate) struct Arrived {
    messages: VecDeque<gnsq::Message>,
    waiters: Waiters,
    is_closed: bool,
}

impl Queue {
    pub(crate) fn new(gather: Gather, stopping: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self { arrived: Mutex::default(), taken: Mutex::default(), gather: Arc::new(gather), stopping })
    }

    /// Takes in messages, and tells as many who wait as there are messages. In a closed queue they go back.
    pub(crate) fn push(&self, messages: impl Iterator<Item = gnsq::Message>) {
        let mut arrived = self.arrived();
        if arrived.is_closed {
            drop(arrived);
            return messages.for_each(drop);
        }
        let before = arrived.messages.len();
        arrived.messages.extend(messages);
        let told = arrived.messages.len() - before;
        // The latest first: those before may have gone without a word.
        let waiters: Vec<_> = std::iter::from_fn(|| arrived.waiters.pop()).take(told).collect();
        drop(arrived);
        waiters.into_iter().for_each(Waiter::tell);
    }

    /// Takes in nothing more, and gives back what is here.
    pub(crate) fn close(&self) {
        let (messages, waiters) = {
            let mut arrived = self.arrived();
            arrived.is_closed = true;
            (std::mem::take(&mut arrived.messages), std::mem::take(&mut arrived.waiters))
        };
        drop(messages);
        drop(std::mem::take(&mut *self.taken()));
        self.gather.close();
        waiters.into_iter().for_each(Waiter::tell);
    }

    /// Whether nothing waits here.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken().is_empty() && self.arrived().messages.is_empty()
    }

    fn count(&self) -> usize {
        let taken = self.taken().len();
        taken + self.arrived().messages.len()
    }

    fn is_closed(&self) -> bool {
        self.arrived().is_closed
    }

    /// What one was told of who can't do it is someone else's to do.
    fn pass_on(&self) {
        if self.is_ready() {
            let next = self.arrived().waiters.pop();
            next.into_iter().for_each(Waiter::tell);
        }
    }

    fn pop(&self) -> Option<gnsq::Message> {
        if self.is_stopping() {
            return None;
        }
        let mut taken = self.taken();
        if taken.is_empty() {
            std::mem::swap(&mut self.arrived().messages, &mut *taken);
        }
        taken.pop_front()
    }

    /// Takes a message that is to go back when nsqd sends no more: before, it would come again at once.
    fn put_back(&self, message: gnsq::Message) {
        let mut taken = self.taken();
        if !self.arrived().is_closed {
            taken.push_back(message);
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn arrived(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locked before what has arrived, where both are.
    fn taken(&self) -> Taken<'_> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waitable for Queue {
    type Locked<'a> = (Taken<'a>, MutexGuard<'a, Arrived>);

    fn locked(&self) -> Self::Locked<'_> {
        let taken = self.taken();
        (taken, self.arrived())
    }

    /// Whether there is something to do for one who handles messages. While it stops there is nothing, until it is closed.
    fn is_ready_in(&self, (taken, arrived): &Self::Locked<'_>) -> bool {
        let has_messages = !taken.is_empty() || !arrived.messages.is_empty();
        arrived.is_closed || (has_messages && !self.is_stopping())
    }

    fn waiters<'a>((_, arrived): &'a mut Self::Locked<'_>) -> Option<&'a mut Waiters> {
        Some(&mut arrived.waiters)
    }
}

/// The messages of one nsqd, or of all of a consumer's: ready while there are some, and when there will be none any more.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct Line {
    queue: Owned<Arc<Queue>>,
    nsqd: Option<String>,
    answers: Py<Answers>,
}

impl Line {
    pub(crate) fn new(queue: Arc<Queue>, nsqd: Option<String>, answers: Py<Answers>) -> Self {
        Self { queue: Owned::new(queue), nsqd, answers }
    }
}

#[pymethods]
impl Line {
    /// The nsqd that the messages come from: `host:port`. None: from all.
    #[getter]
    fn nsqd(&self) -> Option<&str> {
        self.nsqd.as_deref()
    }

    /// Whether there will be no messages any more.
    fn is_closed(&self) -> PyResult<bool> {
        Ok(self.queue.get()?.is_closed())
    }

    /// How many messages wait.
    fn count(&self) -> PyResult<usize> {
        Ok(self.queue.get()?.count())
    }

    /// For one who handles the messages one by one.
    fn messages(&self, py: Python<'_>) -> PyResult<Messages> {
        let queue = Owned::new(self.queue.get()?.clone());
        Ok(Messages {
            queue,
            answers: self.answers.clone_ref(py),
            before: None,
            exhausted: None,
            late: 0,
            max_tries: 0,
            left: 0,
            until: Instant::now(),
        })
    }

    /// Blocks this thread until it is ready, for up to `timeout` seconds (None: for ever); tells whether it is.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let queue = self.queue.get()?;
        let waited = queue.wait(py, timeout);
        if waited.is_err() {
            queue.pass_on();
        }
        waited
    }

    /// Has the mailbox give `target` out when it is ready.
    fn arm(&self, mailbox: &Mailbox, target: Py<PyAny>) -> PyResult<()> {
        self.queue.get()?.arm(mailbox, target)
    }

    fn __repr__(&self) -> PyResult<String> {
        let nsqd = self.nsqd.as_deref().unwrap_or("all nsqds");
        let state = if self.queue.get()?.is_closed() { "closed" } else { "open" };
        Ok(format!("<gnsq._core.Line of {nsqd}, {state}>"))
    }
}

/// Gives one message after the other to one who handles them, and finishes the one before, unless it was answered or is
/// async. It pauses when there is none, and now and then for others who run in the same thread.
#[pyclass(module = "gnsq._core")]
pub(crate) struct Messages {
    queue: Owned<Arc<Queue>>,
    answers: Py<Answers>,
    before: Option<Py<Message>>,
    exhausted: Option<Py<Message>>,
    late: u64,
    /// 0 for no limit.
    max_tries: i64,
    /// Of this turn.
    left: u32,
    until: Instant,
}

#[pymethods]
impl Messages {
    /// Begins another turn. One that was attempted more often than `max_tries` (0: no limit) ends it.
    fn turn(mut slf: PyRefMut<'_, Self>, max_tries: i64) -> PyRefMut<'_, Self> {
        slf.max_tries = max_tries;
        slf.left = TURN;
        slf.until = Instant::now() + LONGEST_TURN;
        slf
    }

    /// What has ended the turn, if it was a message that was attempted too often.
    fn take_exhausted(&mut self) -> Option<Py<Message>> {
        self.exhausted.take()
    }

    /// How many messages' time was over before they could be finished, since this was asked last.
    fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
    }

    /// The one before is not finished: it goes back, unless it was answered or is async.
    fn give_back(&mut self) {
        if let Some(before) = self.before.take() {
            drop(before.get().take_back());
        }
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&mut self, py: Python<'_>) -> PyResult<Option<Py<Message>>> {
        let queue = self.queue.get()?;
        if let Some(before) = self.before.take() {
            if queue.is_stopping() {
                if let Some(message) = before.get().take_back() {
                    queue.put_back(message);
                }
                return Ok(None);
            }
            match before.get().settle() {
                Settled::Done | Settled::Already => {}
                Settled::Late => self.late += 1,
                Settled::Heard => self.late += u64::from(Message::finish(before.bind(py)).is_err()),
            }
        }
        let now = Instant::now();
        if self.left == 0 || now >= self.until {
            return Ok(None);
        }
        let message = loop {
            match queue.pop() {
                None => {
                    queue.gather.flush();
                    return Ok(None);
                }
                // nsqd has given it to someone else by now.
                Some(message) if message.deadline() <= now => drop(message),
                Some(message) => break message,
            }
        };
        self.left -= 1;
        let attempts = i64::from(message.attempts());
        let made = Message::received(py, message, Some(self.answers.clone_ref(py)), Some(queue.gather.clone()))?;
        if self.max_tries > 0 && attempts > self.max_tries {
            self.exhausted = Some(made);
            return Ok(None);
        }
        self.before = Some(made.clone_ref(py));
        Ok(Some(made))
    }
}

/// After so many messages, or so long, others who run in the same thread have their turn.
const TURN: u32 = 256;
const LONGEST_TURN: Duration = Duration::from_millis(5);
