//! What Python publishes, on its way to the one task that carries it out.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use futures_util::task::AtomicWaker;
use gnsq::{Error, Producer, PublishOptions, TopicName};

use crate::errors::Failure;
use crate::events::EventSender;
use crate::mailbox::Waiter;
use crate::operation::{Completer, Value};
use crate::publish::Promise;
use crate::waiting::{Waitable, Waiters};

/// Filled by Python's threads, emptied by the task: the first submission into an empty queue wakes it. Its mutex is
/// locked by Python with the GIL only, so that no fork can find it locked by a thread of Python.
pub(crate) struct Submissions {
    queue: Mutex<Queue>,
    waker: AtomicWaker,
    max_outstanding: usize,
    max_bytes: usize,
}

#[derive(Default)]
pub(crate) struct Queue {
    jobs: Vec<Job>,
    /// How many have no outcome yet, and their bytes.
    outstanding: usize,
    bytes: usize,
    /// Who is to be told when there is room again.
    for_room: Waiters,
    phase: Phase,
    /// Who is to be told of the end.
    for_end: Vec<Completer>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    Closing,
    Ended,
}

/// One publish.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) topic: TopicName,
    pub(crate) work: Work,
    pub(crate) options: PublishOptions,
    /// What it counts in bytes.
    pub(crate) size: usize,
    pub(crate) promise: Promise,
}

#[derive(Debug)]
pub(crate) enum Work {
    One(Bytes),
    Several(Vec<Bytes>),
}

impl Submissions {
    pub(crate) fn new(max_outstanding: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), waker: AtomicWaker::new(), max_outstanding, max_bytes })
    }

    /// Whether another may be submitted. One that is larger than all the room there is may be, once nothing is
    /// outstanding.
    pub(crate) fn has_room(&self) -> bool {
        self.room_in(&self.lock())
    }

    /// Hands a job to the task; false when it takes nothing any more.
    pub(crate) fn submit(&self, job: Job) -> bool {
        let mut queue = self.lock();
        if queue.phase != Phase::Open {
            return false;
        }
        queue.outstanding += 1;
        queue.bytes += job.size;
        queue.jobs.push(job);
        let is_first = queue.jobs.len() == 1;
        drop(queue);
        if is_first {
            self.waker.wake();
        }
        true
    }

    /// Takes nothing any more, and has the connections closed once what is outstanding is done.
    pub(crate) fn close(&self, done: Option<Completer>) {
        let mut queue = self.lock();
        if queue.phase == Phase::Ended {
            drop(queue);
            if let Some(done) = done {
                done.complete(Ok(Value::None));
            }
            return;
        }
        queue.for_end.extend(done);
        queue.phase = Phase::Closing;
        drop(queue);
        self.waker.wake();
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.lock().outstanding
    }

    fn room_in(&self, queue: &Queue) -> bool {
        queue.outstanding < self.max_outstanding && queue.bytes < self.max_bytes
    }

    /// Gives back the room of what is done. Returns who waits for room, when there is enough for several.
    fn give_back(&self, done: usize, bytes: usize) -> Waiters {
        let mut queue = self.lock();
        queue.outstanding -= done;
        queue.bytes -= bytes;
        if queue.for_room.is_empty() || queue.outstanding > self.max_outstanding / 2 || queue.bytes > self.max_bytes / 2
        {
            return Waiters::default();
        }
        std::mem::take(&mut queue.for_room)
    }

    fn end(&self) {
        let mut queue = self.lock();
        queue.phase = Phase::Ended;
        let (for_room, for_end) = (std::mem::take(&mut queue.for_room), std::mem::take(&mut queue.for_end));
        let jobs = std::mem::take(&mut queue.jobs);
        drop(queue);
        drop(jobs);
        for_room.into_iter().for_each(Waiter::tell);
        for done in for_end {
            done.complete(Ok(Value::None));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ready when there is room, and when there is nothing to wait for any more.
impl Waitable for Submissions {
    type Locked<'a> = MutexGuard<'a, Queue>;

    fn locked(&self) -> Self::Locked<'_> {
        self.lock()
    }

    fn is_ready_in(&self, queue: &Self::Locked<'_>) -> bool {
        queue.phase == Phase::Ended || self.room_in(queue)
    }

    fn waiters<'a>(queue: &'a mut Self::Locked<'_>) -> Option<&'a mut Waiters> {
        Some(&mut queue.for_room)
    }
}

/// Carries out what is submitted, in its order, until it is closed.
pub(crate) async fn carry_out(producer: Producer, submissions: Arc<Submissions>, events: EventSender) {
    let _end = End(&submissions, events);
    let running = FuturesUnordered::new();
    let mut pump = Pump { submissions: &submissions, running, jobs: Vec::new(), told: Vec::new() };
    let begin = |job| publish(producer.clone(), job);
    poll_fn(|cx| if pump.turn(cx, &begin) == Phase::Open { Poll::Pending } else { Poll::Ready(()) }).await;
    let mut close = pin!(producer.close());
    let mut is_closed = false;
    poll_fn(|cx| {
        // What was submitted before is begun before, and so waited for.
        pump.turn(cx, &begin);
        is_closed = is_closed || close.as_mut().poll(cx).is_ready();
        pump.turn(cx, &begin);
        if pump.running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    if !is_closed {
        // nsqd has answered all there was: one that then doesn't close its side has lost nothing.
        let _ = tokio::time::timeout(TIME_TO_CLOSE, close).await;
    }
}

/// Tells of the end, however the task comes to it.
struct End<'a>(&'a Submissions, EventSender);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.1.end(None);
        self.0.end();
    }
}

struct Pump<'a, F> {
    submissions: &'a Submissions,
    running: FuturesUnordered<F>,
    jobs: Vec<Job>,
    told: Vec<Waiter>,
}

/// The end of a publish.
struct Done {
    promise: Promise,
    size: usize,
    outcome: Result<(), Error>,
}

impl<F: Future<Output = Done>> Pump<'_, F> {
    /// Begins what was submitted, and tells of what is done: of all of it at once, so that one wake-up serves many.
    fn turn(&mut self, cx: &mut Context<'_>, begin: impl Fn(Job) -> F) -> Phase {
        self.submissions.waker.register(cx.waker());
        let phase = {
            let mut queue = self.submissions.lock();
            std::mem::swap(&mut queue.jobs, &mut self.jobs);
            queue.phase
        };
        self.running.extend(self.jobs.drain(..).map(begin));
        self.jobs.shrink_to(KEEP_JOBS);
        let (mut done, mut bytes) = (0, 0);
        while let Poll::Ready(Some(Done { promise, size, outcome })) = self.running.poll_next_unpin(cx) {
            promise.keep(outcome.map_err(Failure::from), &mut self.told);
            done += 1;
            bytes += size;
        }
        if done > 0 {
            let for_room = self.submissions.give_back(done, bytes);
            Waiter::tell_all(self.told.drain(..).chain(for_room));
        }
        phase
    }
}

async fn publish(producer: Producer, job: Job) -> Done {
    let Job { topic, work, options, size, promise } = job;
    // A limit on how much is done in one go would only cut the batches in pieces.
    let outcome = tokio::task::unconstrained(async move {
        match work {
            Work::One(body) => producer.publish_with(topic, body, options).await,
            Work::Several(bodies) => producer.multipublish_with(topic, bodies, options).await,
        }
    })
    .await;
    Done { promise, size, outcome }
}

/// How long nsqds may take to close their sides before the producer counts as closed.
const TIME_TO_CLOSE: Duration = Duration::from_secs(1);

/// How many jobs the task keeps room for.
const KEEP_JOBS: usize = 1024;
